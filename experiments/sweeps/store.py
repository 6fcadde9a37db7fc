"""The data set of a sweep: one Parquet file per run, written whole or not at all, so that a sweep killed at any moment goes on from there.

    DIRECTORY/sweep.json               what is swept; a directory holds one sweep
    DIRECTORY/runs/p00003-r0001-ID.parquet   one row: run, point, replicate, seed, status, reason, factors, figures
    DIRECTORY/scenarios/ID.json        the resolved scenario of that row
    DIRECTORY/results.parquet          all rows in order, written when the sweep ends

Files hold no time and no name of a machine: the same sweep gives the same bytes, on one core or many.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.experiments.sweeps.runs import Outcome, Run

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FIXED", "Store", "column_types"]

FIXED = ("run", "point", "replicate", "seed", "status", "reason")
"""Columns of every row, before those of the factors and the figures. `status` is `completed` or `failed`."""


class Store:
    """The files of one sweep.

    Attributes:
        directory: where they are.
        types: Arrow type of each factor's column.
    """

    def __init__(self, directory: Path, identity: Mapping[str, Any], types: Mapping[str, str]) -> None:
        """Open or begin; raises FileExistsError if something else than this sweep stands there."""
        self.directory = directory
        self.types = dict(types)
        text = json.dumps(identity, indent=1, sort_keys=True, default=str) + "\n"
        mark = directory / "sweep.json"
        if mark.is_file() and mark.read_text(encoding="utf-8") != text:
            problem = f"{directory} holds another sweep, or one begun with other versions"
            raise FileExistsError(f"{problem}; accepted: another directory (`--out`), or another `name`")
        if not mark.is_file() and directory.exists() and any(each.name != ".lock" for each in directory.iterdir()):
            raise FileExistsError(f"{directory} exists and holds no sweep; accepted: a new directory, or that of this sweep to go on with")
        for part in ("runs", "scenarios"):
            (directory / part).mkdir(parents=True, exist_ok=True)
            for left_over in (directory / part).glob(".*.part"):
                left_over.unlink()
        if not mark.is_file():
            _write(mark, text.encode())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory; raises FileExistsError while another process does. The lock dies with its process."""
        try:
            import fcntl
        except ImportError:
            yield
            return
        with (self.directory / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise FileExistsError(f"{self.directory} is being written by another process; accepted: one sweep at a time") from None
            yield

    def put(self, run: Run, outcome: Outcome) -> None:
        """Keep a run's row and its resolved scenario."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        resolved = json.dumps(run.scenario.resolved(), indent=1, sort_keys=True, default=str) + "\n"
        _write(self.directory / "scenarios" / f"{run.id}.json", resolved.encode())
        sink = pa.BufferOutputStream()
        pq.write_table(self._row(run, outcome), sink, compression="zstd", version="2.6")
        _write(self._piece(run), sink.getvalue().to_pybytes())

    def get(self, run: Run) -> dict[str, Any] | None:
        """The row of a run that has ended, None if it has not."""
        import pyarrow.parquet as pq

        path = self._piece(run)
        found: dict[str, Any] | None = pq.read_table(path).to_pylist()[0] if path.is_file() else None
        return found

    def table(self) -> pa.Table:
        """All rows so far, by point and replicate; a figure that a run did not have is null."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        pieces = [pq.read_table(path) for path in sorted((self.directory / "runs").glob("*.parquet"))]
        return pa.concat_tables(pieces, promote_options="default").combine_chunks() if pieces else pa.table({})

    def close(self) -> None:
        """Write `results.parquet`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        sink = pa.BufferOutputStream()
        pq.write_table(self.table(), sink, compression="zstd", version="2.6")
        _write(self.directory / "results.parquet", sink.getvalue().to_pybytes())

    def _piece(self, run: Run) -> Path:
        return self.directory / "runs" / f"p{run.point:05d}-r{run.replicate:04d}-{run.id}.parquet"

    def _row(self, run: Run, outcome: Outcome) -> pa.Table:
        import pyarrow as pa

        status = "failed" if outcome.reason else "completed"
        fixed = (run.id, run.point, run.replicate, run.scenario.seed, status, outcome.reason)
        kinds = ("string", "int64", "int64", "int64", "string", "string")
        columns = {name: pa.array([value], kind) for name, value, kind in zip(FIXED, fixed, kinds, strict=True)}
        for key, value in run.factors.items():
            kind = self.types[key]
            columns[key] = pa.array([json.dumps(value, sort_keys=True) if kind == "json" else value], "string" if kind == "json" else kind)
        columns |= {name: pa.array([value], "float64") for name, value in outcome.figures.items()}
        return pa.table(columns)


def column_types(points: Sequence[Mapping[str, object]]) -> dict[str, str]:
    """The type of each factor's column: that of all its values, or `json` (text) where they are tables or of several types."""
    return {key: _type([point[key] for point in points]) for key in (points[0] if points else ())}


def _type(values: list[object]) -> str:
    if all(isinstance(value, bool) for value in values):
        return "bool"
    numbers = not any(isinstance(value, bool) for value in values)
    if numbers and all(isinstance(value, int) for value in values):
        return "int64"
    if numbers and all(isinstance(value, int | float) for value in values):
        return "float64"
    return "string" if all(isinstance(value, str) for value in values) else "json"


def _write(path: Path, content: bytes) -> None:
    """All or nothing, even if the power fails: written beside its place, flushed, renamed."""
    part = path.parent / f".{path.name}.part"
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
