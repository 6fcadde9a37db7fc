"""A table as it grows: every column one typed array, eight bytes a cell, texts as numbers of the names met so far."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.simulator.tables import TABLES, Typed

__all__ = ["Growing", "Texts"]

_CODES = {"int": "q", "float": "d", "bool": "b"}
_NUMPY: dict[str, Any] = {"int": np.int64, "float": np.float64, "bool": np.bool_}


class Texts(Sequence[str]):
    """A column of texts, of which few differ."""

    __slots__ = ("_codes", "_names")

    def __init__(self) -> None:
        self._names: dict[str, int] = {}
        self._codes = array("q")

    def append(self, text: str) -> None:
        """One text more."""
        code = self._names.get(text)
        if code is None:
            code = self._names[text] = len(self._names)
        self._codes.append(code)

    def repeat(self, text: str, count: int) -> None:
        """One text, so many times more."""
        self._codes.extend(array("q", [self._names.setdefault(text, len(self._names))]) * count)

    def extend(self, texts: Sequence[str], codes: NDArray[np.int64]) -> None:
        """So many texts more as there are codes, which are places in `texts`."""
        known = np.array([self._names.setdefault(text, len(self._names)) for text in texts], np.int64)
        self._codes.frombytes(known[codes].view(np.uint8).data)

    def __len__(self) -> int:
        return len(self._codes)

    def __getitem__(self, index: Any) -> Any:
        names = list(self._names)
        found = self._codes[index]
        return [names[code] for code in found] if isinstance(index, slice) else names[found]

    def __iter__(self) -> Iterator[str]:
        names = list(self._names)
        return (names[code] for code in self._codes)

    def __delitem__(self, index: slice) -> None:
        del self._codes[index]
        if not self._codes:
            self._names.clear()

    def values(self, count: int) -> NDArray[Any]:
        """The first of them as an array of objects, equal texts the same object."""
        names = np.array(list(self._names), dtype=object)
        codes = np.frombuffer(self._codes, np.int64, count) if count else np.empty(0, np.int64)
        return names[codes] if len(names) else np.empty(0, dtype=object)


class Growing:
    """The rows of one table so far; those that have been taken are gone.

    Attributes:
        name: of the table, one of `tables.TABLES`.
        columns: by name, to read cells and to set them.
    """

    __slots__ = ("_appends", "_kinds", "_lent", "columns", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._kinds = {column.name: column.dtype for column in TABLES[name].columns}
        self.columns: dict[str, Any] = {each: Texts() if kind == "str" else array(_CODES[kind]) for each, kind in self._kinds.items()}
        self._lent = False
        self._appends = tuple(column.append for column in self.columns.values())

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def add(self, row: Sequence[Any]) -> None:
        """A row more, its cells in the order of the columns; raises `ValueError` for too few or many, `TypeError` for another type."""
        if self._lent:
            self._take_back()
        for append, cell in zip(self._appends, row, strict=True):
            append(cell)

    def extend(self, rows: Mapping[str, Any]) -> None:
        """Rows more, as columns of equal length; of texts the one that they have in common, or `(texts, their place there by row)`."""
        if self._lent:
            self._take_back()
        count = max(len(column) for column in rows.values() if not isinstance(column, str | tuple))
        for name, kind in self._kinds.items():
            if kind == "str" and isinstance(rows[name], tuple):
                self.columns[name].extend(*rows[name])
            elif kind == "str":
                self.columns[name].repeat(rows[name], count)
            else:
                self.columns[name].frombytes(np.ascontiguousarray(rows[name], _NUMPY[kind]).view(np.uint8).data)

    def first(self, count: int) -> Typed:
        """The first rows as arrays of their own."""
        return self._arrays(count, np.copy)

    def lend(self) -> Typed:
        """All rows as arrays that stay as they are: the next row is added to a copy. Of a table whose cells are not set afterwards."""
        self._lent = True
        return self._arrays(len(self), np.asarray)

    def _arrays(self, count: int, owned: Callable[[NDArray[Any]], NDArray[Any]]) -> Typed:
        found = Typed()
        for name, column in self.columns.items():
            if isinstance(column, Texts):
                found[name] = column.values(count)
            else:
                dtype = _NUMPY[self._kinds[name]]
                found[name] = owned(np.frombuffer(column, dtype, count)) if count else np.empty(0, dtype)
        return found

    def _take_back(self) -> None:
        self.columns.update({name: column[:] for name, column in self.columns.items() if not isinstance(column, Texts)})
        self._appends = tuple(column.append for column in self.columns.values())
        self._lent = False

    def take(self, count: int) -> Typed:
        """The first rows, which are here no longer."""
        found = self.first(count)
        for column in self.columns.values():
            del column[:count]
        return found
