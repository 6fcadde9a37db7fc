"""Tables gone through group by group: what a figure needs of them, so that the report of a long run never holds a whole table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.simulator.stored import groups
from edgewright.simulator.tables import rows_by

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgewright.simulator.tables import Columns

__all__ = ["chosen", "peaks"]


def peaks(table: Columns, by: str, value: str) -> dict[str, float]:
    """The greatest value by name, NaN where there is none; names in order of appearance."""
    found: dict[str, float] = {}
    for group in groups(table, (by, value)):
        for name, rows in rows_by(group[by]).items():
            found[name] = float(np.fmax(found.get(name, np.nan), np.fmax.reduce(group[value][rows])))
    return found


def chosen(table: Columns, by: str, names: Sequence[str], columns: Sequence[str]) -> dict[str, Mapping[str, NDArray[Any]]]:
    """Some columns of the rows of few names, by name; names without rows are left out."""
    parts: dict[str, list[Mapping[str, NDArray[Any]]]] = {name: [] for name in names}
    for group in groups(table, (by, *columns)):
        for name, rows in rows_by(group[by]).items():
            if name in parts:
                parts[name].append({column: group[column][rows] for column in columns})
    return {name: {column: np.concatenate([part[column] for part in own]) for column in columns} for name, own in parts.items() if own}
