"""Where the rows of a run go as they come: into files, group by group."""

from __future__ import annotations

from pathlib import Path

from edgewright.simulator.stored import StoredTable, TableWriter
from edgewright.simulator.tables import Columns

__all__ = ["STREAMED", "Sink"]

STREAMED = ("jobs", "steps", "itl", "kv", "queue", "power", "usage", "sources", "thermal")
"""The tables whose rows never change once they are there, and grow with the run: these can be written as they come."""


class Sink:
    """A directory that takes the streamed tables.

    How wrong: rows wait in memory until a group is full; jobs also until all that came before them have ended.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._writers = {name: TableWriter(name, directory) for name in STREAMED}

    def put(self, table: str, columns: Columns) -> None:
        """A group of rows: `stored.ROWS` of them, but for the table's last."""
        self._writers[table].put(columns)

    def close(self) -> None:
        """Nothing more comes."""
        for writer in self._writers.values():
            writer.close()

    def stored(self) -> dict[str, Columns]:
        """The tables as they stand in the files (after `close`)."""
        return {name: StoredTable(name, self.directory) for name in STREAMED}
