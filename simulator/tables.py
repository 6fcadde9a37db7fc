"""The tables of a result: every column with its type, unit and meaning, and the check that a table has exactly these.

A table is a mapping from column name to a one-dimensional array; all columns of a table are equally long. Times are seconds of
simulated time. Where a figure does not apply or was never reached, a float is NaN, a text is empty and an integer identity is -1.

Window and run: `jobs.measured`, `itl` and what `summary` reads off the bins of `power`, `usage` and `steps` regard the measurement
window; `energy`, `resources`, `memory` and the counts in `replicas` cover the whole run, warm-up and drain included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from edgewright.simulator.tables_columns import SPECIFICATIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Columns: TypeAlias = Mapping[str, NDArray[Any]]
else:
    Columns = Mapping

__all__ = [
    "STATUSES",
    "TABLES",
    "Coded",
    "Codes",
    "Column",
    "Columns",
    "Numbers",
    "Table",
    "TableError",
    "Typed",
    "empty",
    "rows_by",
    "validated",
    "validated_all",
    "with_latencies",
]

Dtype: TypeAlias = Literal["str", "int", "float", "bool"]

STATUSES = ("completed", "rejected", "failed", "in_flight")
"""What can have become of a job when the run ends."""

_NUMPY: Mapping[str, Any] = MappingProxyType({"str": object, "int": np.int64, "float": np.float64, "bool": np.bool_})


class Typed(dict[str, "NDArray[Any]"]):
    """Columns of a table in their order and types, which nobody else holds: a result takes them as they are."""

    __slots__ = ()


class TableError(ValueError):
    """A table that lacks a column, has one too many, or holds values of the wrong type or length."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `dtype` is `str`, `int` (64 bit), `float` (64 bit) or `bool`; `unit` an SI unit, or `` for names and counts."""

    name: str
    dtype: Dtype
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its name, what a row is, and its columns in order."""

    name: str
    meaning: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in order."""
        return tuple(column.name for column in self.columns)


def _table(name: str, meaning: str, columns: str) -> Table:
    """A table from lines `name | dtype | unit | meaning`."""
    cells = [[cell.strip() for cell in line.split("|")] for line in columns.strip().splitlines()]
    return Table(name, meaning, tuple(Column(*cell) for cell in cells))  # type: ignore[arg-type]


TABLES: Mapping[str, Table] = MappingProxyType({name: _table(name, *parts) for name, parts in SPECIFICATIONS.items()})
"""Every table of a result, by name."""


def empty(name: str) -> dict[str, list[Any]]:
    """A table without rows, as lists to append to; `validated` turns it into arrays. Raises `TableError` for an unknown name."""
    return {column: [] for column in _table_named(name).names}


def validated(name: str, columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The table's columns in their order and types, copied.

    Raises `TableError` if a column is missing, unknown, of another length than the first, or not of its type: integers become floats,
    but never the other way round.
    """
    table = _table_named(name)
    unknown, missing = sorted(set(columns) - set(table.names)), [column for column in table.names if column not in columns]
    if unknown or missing:
        raise TableError(f"table {name!r}: unknown columns {unknown}, missing columns {missing}; accepted are {', '.join(table.names)}")
    arrays = {column.name: _array(name, column, columns[column.name]) for column in table.columns}
    lengths = {column: len(array) for column, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise TableError(f"table {name!r}: columns of different lengths: {lengths}")
    return arrays


def validated_all(tables: Mapping[str, Mapping[str, Sequence[Any] | NDArray[Any]]]) -> dict[str, dict[str, NDArray[Any]]]:
    """All tables of a result, those not given without rows. Raises `TableError` for an unknown table, too."""
    for name in tables:
        _table_named(name)
    found = {name: tables.get(name, empty(name)) for name in TABLES}
    return {name: columns if isinstance(columns, Typed) else validated(name, columns) for name, columns in found.items()}


def with_latencies(jobs: Mapping[str, Sequence[Any] | NDArray[Any] | Coded], end_s: float) -> dict[str, Any]:
    """The table `jobs` with its derived columns `ttft_s`, `tpot_s`, `e2e_s`, `queue_s` and `missed` filled in from the others.

    `end_s` is the end of the run: a job that is still in flight has missed a deadline that lies before it. A rejected or failed job
    with a deadline has missed it.
    """
    arrival, first, finished = (np.asarray(jobs[column], np.float64) for column in ("arrival_s", "first_token_s", "finished_s"))
    deadline, output = np.asarray(jobs["deadline_s"], np.float64), np.asarray(jobs["output_tokens"], np.int64)
    told = jobs["status"]
    status = told.texts() if isinstance(told, Coded) else np.asarray(told, object)
    completed = status == "completed"
    late = np.where(completed, finished > deadline, (status != "in_flight") | (end_s > deadline))
    several = completed & (output >= 2)
    return {
        **jobs,
        "ttft_s": np.where(output >= 1, first - arrival, np.nan),
        "tpot_s": np.where(several, (finished - first) / np.maximum(output - 1, 1), np.nan),
        "e2e_s": np.where(completed, finished - arrival, np.nan),
        "queue_s": np.asarray(jobs["scheduled_s"], np.float64) - np.asarray(jobs["queued_s"], np.float64),
        "missed": np.isfinite(deadline) & late,
    }


class Numbers(dict[str, int]):
    """A name that is looked up for the first time gets the next number: nothing of a look-up of the others is in Python."""

    def __missing__(self, name: str) -> int:
        self[name] = len(self)
        return self[name]


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """A column of texts as numbers: for each row the place of its text in `names`, of which each is there once."""

    names: Sequence[str]
    codes: NDArray[np.integer[Any]]

    def __len__(self) -> int:
        return len(self.codes)

    def texts(self) -> NDArray[Any]:
        """The column as an array of objects, equal texts the same one."""
        names: NDArray[Any] = np.array(self.names, dtype=object)
        return names[self.codes] if len(self.codes) else np.empty(0, dtype=object)


class Codes:
    """Numbers for the names met so far, in order of appearance."""

    __slots__ = ("_numbers",)

    def __init__(self) -> None:
        self._numbers = Numbers()

    @property
    def names(self) -> list[str]:
        """The names met so far."""
        return list(self._numbers)

    def of(self, names: NDArray[Any] | Coded) -> NDArray[np.intp]:
        """The number of each name in a column of texts; new names get the next ones."""
        numbers = self._numbers
        if isinstance(names, Coded):
            return self._of_coded(names)
        if len(names) and (names.strides == (0,) or bool((names == names[0]).all())):
            return np.full(len(names), numbers[names[0]], np.intp)
        return np.fromiter(map(numbers.__getitem__, names.tolist()), np.intp, len(names))

    def _of_coded(self, texts: Coded) -> NDArray[np.intp]:
        numbers, codes = self._numbers, texts.codes
        if not all(name in numbers for name in texts.names):
            found, first = np.unique(codes, return_index=True)
            for code in found[np.argsort(first)].tolist():
                numbers[texts.names[code]]
        known = np.fromiter((numbers.get(name, -1) for name in texts.names), np.intp, len(texts.names))
        return known.take(codes)


def rows_by(names: NDArray[Any]) -> dict[str, NDArray[np.intp]]:
    """The row numbers of each name in a column of texts, names in order of appearance."""
    codes = Codes()
    coded = codes.of(names)
    if len(codes.names) == 1:
        return {codes.names[0]: np.arange(len(names))}
    order = np.argsort(coded, kind="stable")
    return dict(zip(codes.names, np.split(order, np.cumsum(np.bincount(coded))[:-1]), strict=True)) if codes.names else {}


def _table_named(name: str) -> Table:
    if name not in TABLES:
        raise TableError(f"unknown table {name!r}: accepted are {', '.join(TABLES)}")
    return TABLES[name]


def _array(table: str, column: Column, values: Sequence[Any] | NDArray[Any]) -> NDArray[Any]:
    found: NDArray[Any] = np.array(values, dtype=object) if column.dtype == "str" else np.array(values)
    if found.ndim != 1 or not _suits(column.dtype, found):
        raise TableError(f"table {table!r}, column {column.name!r}: expected a column of {column.dtype}, got {_described(found)}")
    return found.astype(_NUMPY[column.dtype], copy=False)


def _suits(dtype: Dtype, found: NDArray[Any]) -> bool:
    if len(found) == 0:
        return True
    if dtype == "str":
        return set(map(type, found)) <= {str, np.str_}
    return found.dtype.kind in {"int": "iu", "float": "iuf", "bool": "b"}[dtype]


def _described(found: NDArray[Any]) -> str:
    kinds = sorted({type(value).__name__ for value in found.ravel()[:1000]}) if found.dtype == object else [str(found.dtype)]
    return f"{found.ndim} dimension(s) of {', '.join(kinds)}"
