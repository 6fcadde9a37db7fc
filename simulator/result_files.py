"""The files of a result directory: Parquet tables and `run.json`, written whole or not at all."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any

from edgewright.simulator.result_meta import Meta, MetaError
from edgewright.simulator.stored import StoredTable, TableWriter, groups
from edgewright.simulator.tables import TABLES, Columns

__all__ = ["read_meta", "read_tables", "replacing", "require_replaceable", "write_run", "write_tables"]

_RUN = "run.json"


def require_replaceable(directory: Path) -> None:
    """Raise FileExistsError if something that is not a result directory (one that holds `run.json`, or an empty one) stands there."""
    if directory.exists() and not (directory.is_dir() and _may_go(directory)):
        raise FileExistsError(f"{directory} exists and is not a result directory (it holds no {_RUN}): nothing was written")


@contextmanager
def replacing(directory: Path) -> Iterator[Path]:
    """A fresh directory to write into, renamed to `directory` at the end; removed if anything was raised.

    Raises FileExistsError as `require_replaceable` does.
    """
    directory = directory.absolute()
    require_replaceable(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        fresh = work / "new"
        fresh.mkdir()
        yield fresh
        if directory.exists():
            directory.rename(work / "old")
        fresh.rename(directory)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def write_run(meta: Meta, figures: Mapping[str, Any], directory: Path) -> None:
    """Write `run.json`: the metadata, and the figures of the summary (null where not available)."""
    plain = {key: None if isinstance(value, float) and not isfinite(value) else value for key, value in figures.items()}
    text = json.dumps({"format": 1, "meta": meta, "figures": plain}, indent=1, ensure_ascii=False)
    (directory / _RUN).write_text(text + "\n", encoding="utf-8")


def read_meta(directory: Path) -> dict[str, Any]:
    """The metadata of a result directory; raises FileNotFoundError, saying what is missing, and `MetaError` where it cannot be read."""
    path = directory / _RUN
    if not path.is_file():
        raise FileNotFoundError(f"{directory} is not a result directory: it holds no {_RUN}")
    try:
        meta: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["meta"]
    except (ValueError, KeyError, TypeError):
        raise MetaError(f"{path}: is not what a run writes; accepted is a result directory as `edgewright run` leaves it") from None
    return meta


def write_tables(tables: Mapping[str, Columns], directory: Path) -> None:
    """Write each table as Parquet, in groups of `stored.ROWS` rows; those that are stored there already stay."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        columns = tables[name]
        if not (isinstance(columns, StoredTable) and columns.path.parent == directory):
            _write_table(name, columns, directory)


def _write_table(name: str, columns: Columns, directory: Path) -> None:
    writer = TableWriter(name, directory)
    for group in groups(columns, TABLES[name].names):
        writer.put(group)
    writer.close()


def read_tables(directory: Path) -> dict[str, Columns]:
    """The tables of a result directory, read when they are asked for; raises FileNotFoundError for a missing one, `TableError` for one with
    other columns."""
    return {name: StoredTable(name, directory) for name in TABLES}


def _may_go(directory: Path) -> bool:
    return (directory / _RUN).is_file() or not any(directory.iterdir())
