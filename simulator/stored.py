"""Tables in Parquet files: written group by group as they fill, read column by column as they are asked for.

A table that is written as it grows has the same bytes as one that is written at once: groups of `ROWS` rows either way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgewright.simulator.tables import TABLES, Coded, Codes, Columns, Table, TableError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["KEPT", "ROWS", "StoredTable", "TableWriter", "first_rows", "groups", "rows_at", "rows_of"]

ROWS = 1 << 15
"""Rows of a group."""

KEPT = 1 << 18
"""Rows up to which a table is small: columns that were read are kept."""

_NUMPY: dict[str, Any] = {"int": np.int64, "float": np.float64, "bool": np.bool_}


class TableWriter:
    """One table on its way into `NAME.parquet`, unit and meaning in the metadata of each column. No time, no name of a machine is in it."""

    def __init__(self, name: str, directory: Path) -> None:
        import pyarrow.parquet as pq

        self._table = TABLES[name]
        self._schema = _schema(self._table)
        few = [each.name for each in self._table.columns if each.dtype != "float"]  # a number for each time, which differ, would cost most
        path = directory / f"{name}.parquet"
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd", version="2.6", use_dictionary=few)

    def put(self, columns: Columns) -> None:
        """A group of rows: `ROWS` of them, but for the last."""
        import pyarrow as pa

        arrays = [_arrow(each.dtype, columns[each.name]) for each in self._table.columns]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema), row_group_size=ROWS)

    def close(self) -> None:
        """Nothing more comes."""
        self._writer.close()


class StoredTable(Mapping[str, NDArray[Any]]):
    """A table in a file, its columns read when they are asked for; those of small tables are kept."""

    def __init__(self, name: str, directory: Path) -> None:
        """Raises FileNotFoundError if there is none, `TableError` for other columns than the table has."""
        import pyarrow.parquet as pq

        self.name = name
        self.path = directory / f"{name}.parquet"
        if not self.path.is_file():
            raise FileNotFoundError(f"{directory} is not a whole result directory: it holds no {name}.parquet")
        metadata = pq.read_metadata(self.path)
        self.rows: int = metadata.num_rows
        self._kept: dict[str, NDArray[Any]] = {}
        expected = _schema(TABLES[name])
        if not metadata.schema.to_arrow_schema().equals(expected, check_metadata=False):
            found, wanted = metadata.schema.to_arrow_schema(), dict(zip(expected.names, expected.types, strict=True))
            odd = sorted({each.name for each in found if wanted.get(each.name) != each.type} | (set(wanted) - set(found.names)))
            raise TableError(f"table {name!r} in {self.path}: columns {odd} are missing, unknown or of another type")

    def __getitem__(self, column: str) -> NDArray[Any]:
        if column in self._kept:
            return self._kept[column]
        if column not in TABLES[self.name].names:
            raise KeyError(column)
        found = self._read(column)
        if self.rows <= KEPT:
            self._kept[column] = found
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(TABLES[self.name].names)

    def __len__(self) -> int:
        return len(TABLES[self.name].names)

    def _read(self, column: str) -> NDArray[Any]:
        """Group by group, into one array: at no moment are there two copies of all."""
        dtype = _dtype(self.name, column)
        found: NDArray[Any] = np.empty(self.rows, dtype)
        begin = 0
        for group in self.groups([column]):
            found[begin : begin + len(group[column])] = group[column]
            begin += len(group[column])
        return found

    def groups(self, columns: Sequence[str], rows: int = 0, coded: bool = False) -> Iterator[dict[str, Any]]:
        """Some columns, so many rows at a time (in whole groups, at least one); `coded`: texts as `Coded`."""
        with self._opened(columns) as file:
            step = max(1, rows // ROWS)
            for first in range(0, file.num_row_groups, step):
                yield _columns(file, range(first, min(first + step, file.num_row_groups)), columns, coded)

    def rows_at(self, columns: Sequence[str], rows: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
        """Some columns of the rows of these numbers, in their order; only the groups that they are in are read."""
        found: dict[str, NDArray[Any]] = {name: np.empty(len(rows), _dtype(self.name, name)) for name in columns}
        with self._opened(columns) as file:
            ends = np.cumsum([file.metadata.row_group(each).num_rows for each in range(file.num_row_groups)])
            places = np.searchsorted(ends, rows, side="right")
            for place in np.unique(places).tolist():
                group, mine = _columns(file, [place], columns, coded=False), np.flatnonzero(places == place)
                for name, values in group.items():
                    found[name][mine] = values[rows[mine] - (ends[place] - len(values))]
        return found

    def _opened(self, columns: Sequence[str]) -> pq.ParquetFile:
        """The file, texts of these columns to be read as numbers of a few names."""
        import pyarrow.parquet as pq

        return pq.ParquetFile(self.path, read_dictionary=[each for each in columns if _dtype(self.name, each) is object])


def rows_of(columns: Columns) -> int:
    """How many rows a table has, wherever it is."""
    return columns.rows if isinstance(columns, StoredTable) else len(next(iter(columns.values())))


def groups(columns: Columns, names: Sequence[str], rows: int = 0, coded: bool = False) -> Iterator[dict[str, Any]]:
    """Some columns of a table, so many rows at a time (in whole groups, at least one), wherever the table is.

    `coded`: texts of stored tables come as `Coded`, for whoever takes either (`Codes.of`).
    """
    if isinstance(columns, StoredTable):
        yield from columns.groups(names, rows, coded)
        return
    found, step = {name: columns[name] for name in names}, ROWS * max(1, rows // ROWS)
    for begin in range(0, len(found[names[0]]), step):
        yield {name: values[begin : begin + step] for name, values in found.items()}


def first_rows(columns: Columns, count: int) -> dict[str, NDArray[Any]]:
    """The first rows of a table, wherever it is; no more is read than their groups."""
    names, parts, left = list(columns), [], count
    for group in groups(columns, names):
        parts.append({name: values[:left] for name, values in group.items()})
        left -= len(parts[-1][names[0]])
        if left <= 0:
            break
    return {name: np.concatenate([part[name] for part in parts]) for name in names} if parts else {name: columns[name] for name in names}


def rows_at(columns: Columns, names: Sequence[str], rows: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
    """Some columns of the rows of these numbers, in their order, wherever the table is; no more is read than their groups."""
    return columns.rows_at(names, rows) if isinstance(columns, StoredTable) else {name: columns[name][rows] for name in names}


def _columns(file: pq.ParquetFile, row_groups: Sequence[int], columns: Sequence[str], coded: bool) -> dict[str, Any]:
    table = file.read_row_groups(list(row_groups), columns=list(columns), use_threads=False)
    found = {name: _numpy(table.column(name).combine_chunks()) for name in columns}
    return found if coded else {name: values.texts() if isinstance(values, Coded) else values for name, values in found.items()}


def _dtype(table: str, column: str) -> Any:
    return next(_NUMPY.get(each.dtype, object) for each in TABLES[table].columns if each.name == column)


def _schema(table: Table) -> pa.Schema:
    import pyarrow as pa

    types = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
    fields = [
        pa.field(each.name, types[each.dtype], nullable=False, metadata={"unit": each.unit, "meaning": each.meaning})
        for each in table.columns
    ]
    return pa.schema(fields, metadata={"row": table.meaning})


def _arrow(dtype: str, values: Any) -> pa.Array:
    """An array of Arrow made of its buffers: the converter of pyarrow would load pandas."""
    import pyarrow as pa

    if dtype == "str":
        return _arrow_texts(values if isinstance(values, Coded) else _coded(values))
    count = len(values)
    if dtype == "bool":
        return pa.Array.from_buffers(pa.bool_(), count, [None, pa.py_buffer(np.packbits(values, bitorder="little"))])
    kind = pa.int64() if dtype == "int" else pa.float64()
    return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(np.ascontiguousarray(values))])


def _coded(texts: NDArray[Any]) -> Coded:
    codes = Codes()
    found = codes.of(texts)
    return Coded(codes.names, found)


def _arrow_texts(texts: Coded) -> pa.Array:
    """Made here: decoding numbers by pyarrow would load all that it computes with."""
    import pyarrow as pa

    encoded, count = [name.encode() for name in texts.names], len(texts)
    lengths = np.fromiter(map(len, encoded), np.int32, len(encoded))
    offsets = np.zeros(count + 1, np.int32)
    np.cumsum(lengths[texts.codes] if count else lengths[:0], out=offsets[1:])
    letters = b"".join(map(encoded.__getitem__, texts.codes.tolist()))
    return pa.Array.from_buffers(pa.string(), count, [None, pa.py_buffer(offsets), pa.py_buffer(letters)])


def _numpy(found: Any) -> Any:
    """A column of a group as an array, texts as `Coded`."""
    import pyarrow as pa

    if isinstance(found, pa.DictionaryArray):
        codes = np.frombuffer(found.indices.buffers()[1], np.int32, len(found), found.indices.offset * 4)
        return Coded(found.dictionary.to_pylist(), codes)
    kind = str(found.type)
    if kind == "bool":
        bits = np.frombuffer(found.buffers()[1], np.uint8)
        return np.unpackbits(bits, bitorder="little")[found.offset : found.offset + len(found)].astype(np.bool_)
    return np.frombuffer(found.buffers()[1], {"int64": np.int64, "double": np.float64}[kind], len(found), found.offset * 8)
