"""A table as it grows: every column one typed array, eight bytes a cell, texts as numbers of the names met so far."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.simulator.tables import TABLES, Coded, Numbers, Typed

__all__ = ["Growing", "Texts"]

TOGETHER = 128
"""Rows that go into the columns at once: a tenth of the time of one by one."""

_CODES = {"int": "q", "float": "d", "bool": "b"}
_NUMPY: dict[str, Any] = {"int": np.int64, "float": np.float64, "bool": np.bool_}


class Texts(Sequence[str]):
    """A column of texts, of which few differ. As long as all are the same, it is but that text, and how often."""

    __slots__ = ("_codes", "_count", "_names")

    def __init__(self) -> None:
        self._names = Numbers()
        self._codes = array("q")
        self._count = 0

    def _number(self, text: str) -> int:
        """The number of a text that comes; with the second that differs, the numbers of all rows are kept."""
        names = self._names
        if len(names) == 1 and text not in names:
            self._codes = array("q", bytes(8 * self._count))
        return names[text]

    def put(self, texts: Sequence[str]) -> None:
        """Texts more."""
        if len(self._names) <= 1:
            for text in texts:
                self._number(text)
        if len(self._names) > 1:
            self._codes.extend(map(self._names.__getitem__, texts))
        self._count += len(texts)

    def repeat(self, text: str, count: int) -> None:
        """One text, so many times more."""
        number = self._number(text)
        if len(self._names) > 1:
            self._codes.extend(array("q", [number]) * count)
        self._count += count

    def extend(self, texts: Sequence[str], codes: NDArray[np.int64]) -> None:
        """So many texts more as there are codes, which are places in `texts`."""
        known = np.zeros(len(texts), np.int64)
        for place in np.flatnonzero(np.bincount(codes)).tolist():
            known[place] = self._number(texts[place])
        if len(self._names) > 1:
            self._codes.frombytes(known[codes].view(np.uint8).data)
        self._count += len(codes)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        names = list(self._names)
        if len(names) > 1:
            found = self._codes[index]
            return [names[code] for code in found] if isinstance(index, slice) else names[found]
        places = range(self._count)[index]
        return names * len(places) if isinstance(index, slice) else names[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self[:])

    def __delitem__(self, index: slice) -> None:
        self._count -= len(range(self._count)[index])
        del self._codes[index]

    def coded(self, count: int) -> Coded:
        """The first of them, as numbers."""
        if len(self._names) <= 1:
            return Coded(list(self._names), np.zeros(count, np.int64))
        return Coded(list(self._names), np.array(self._codes[:count], np.int64))

    def values(self, count: int) -> NDArray[Any]:
        """The first of them as an array of objects, equal texts the same object; if all are the same, none but that is held."""
        names = np.array(list(self._names), dtype=object)
        if len(names) <= 1:
            return np.broadcast_to(names[0], (count,)) if count else np.empty(0, dtype=object)
        return names[np.frombuffer(self._codes, np.int64, count)] if count else np.empty(0, dtype=object)


class _Cells(Mapping[str, Any]):
    """The columns of a table, which has all its rows there before one of them is looked at."""

    def __init__(self, columns: Mapping[str, Any], settle: Callable[[], None]) -> None:
        self._columns = columns
        self._settle = settle

    def __getitem__(self, name: str) -> Any:
        self._settle()
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


class Growing:
    """The rows of one table so far; those that have been taken are gone. Rows wait for others to go into the columns together.

    Attributes:
        name: of the table, one of `tables.TABLES`.
        columns: by name, to read cells and to set them.
    """

    __slots__ = ("_columns", "_grown", "_kinds", "_lent", "_puts", "_rows", "_width", "columns", "name")

    def __init__(self, name: str, grown: Callable[[Growing], None] | None = None) -> None:
        """`grown`: called whenever the columns have grown, which is not with every row."""
        self.name = name
        self._grown = grown
        self._kinds = {column.name: column.dtype for column in TABLES[name].columns}
        self._columns: dict[str, Any] = {each: Texts() if kind == "str" else array(_CODES[kind]) for each, kind in self._kinds.items()}
        self._lent = False
        self._rows: list[tuple[Any, ...]] = []
        self._puts = self._ways_in()
        self._width = len(self._columns)
        self.columns: Mapping[str, Any] = _Cells(self._columns, self._settle)

    def _ways_in(self) -> list[Callable[[Any], None]]:
        return [column.put if isinstance(column, Texts) else column.extend for column in self._columns.values()]

    def __len__(self) -> int:
        return len(next(iter(self._columns.values()))) + len(self._rows)

    def add(self, row: tuple[Any, ...]) -> None:
        """A row more, its cells in the order of the columns; raises `ValueError` for too few or many.

        A cell of another type is a `TypeError` when the row goes into the columns: when they are looked at, at the latest.
        """
        if len(row) != self._width:
            raise ValueError(f"a row of {len(row)} cells in a table of {self._width} columns")
        rows = self._rows
        rows.append(row)
        if len(rows) >= TOGETHER:
            self._settle()
            if self._grown is not None:
                self._grown(self)

    def _settle(self) -> None:
        """Put the rows that wait into the columns."""
        rows, self._rows = self._rows, []
        if rows:
            if self._lent:
                self._take_back()
            for put, cells in zip(self._puts, zip(*rows, strict=True), strict=True):
                put(cells)

    def extend(self, rows: Mapping[str, Any]) -> None:
        """Rows more, as columns of equal length; of texts the one that they have in common, or `(texts, their place there by row)`."""
        self._settle()
        if self._lent:
            self._take_back()
        count = max(len(column) for column in rows.values() if not isinstance(column, str | tuple))
        for name, kind in self._kinds.items():
            if kind == "str" and isinstance(rows[name], tuple):
                self._columns[name].extend(*rows[name])
            elif kind == "str":
                self._columns[name].repeat(rows[name], count)
            else:
                self._columns[name].frombytes(np.ascontiguousarray(rows[name], _NUMPY[kind]).view(np.uint8).data)
        if self._grown is not None:
            self._grown(self)

    def first(self, count: int) -> Typed:
        """The first rows as arrays of their own."""
        return Typed(self._arrays(count, np.copy, Texts.values))

    def lend(self) -> Typed:
        """All rows as arrays that stay as they are: the next row is added to a copy. Of a table whose cells are not set afterwards."""
        found = self._arrays(len(self), np.asarray, Texts.values)
        self._lent = True
        return Typed(found)

    def _arrays(self, count: int, owned: Callable[[NDArray[Any]], NDArray[Any]], texts: Callable[[Texts, int], Any]) -> dict[str, Any]:
        self._settle()
        found: dict[str, Any] = {}
        for name, column in self._columns.items():
            if isinstance(column, Texts):
                found[name] = texts(column, count)
            else:
                dtype = _NUMPY[self._kinds[name]]
                found[name] = owned(np.frombuffer(column, dtype, count)) if count else np.empty(0, dtype)
        return found

    def _take_back(self) -> None:
        self._columns.update({name: column[:] for name, column in self._columns.items() if not isinstance(column, Texts)})
        self._puts = self._ways_in()
        self._lent = False

    def take(self, count: int) -> dict[str, Any]:
        """The first rows, which are here no longer; texts as `tables.Coded`."""
        found: dict[str, Any] = self._arrays(count, np.copy, Texts.coded)
        for column in self._columns.values():
            del column[:count]
        return found
