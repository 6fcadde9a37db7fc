"""Recorded request traces: Azure LLM inference (CSV), Mooncake (JSONL), BurstGPT (CSV), and formats of yours; plain or gzipped.

A reader gives a `Trace`: rows in order of time, which starts at 0. A line that cannot be read is refused with one `TraceError` that
names file, line, column, value, and what is accepted.

A format of yours is a function under `@trace_format("mine")`: it is given the open file and its path, and yields the requests in any
order and from any origin of time. `records` and its `Cells` read columns and refuse what is no number as the built-in formats do.
Packages register theirs through the entry-point group `edgewright.traces`, whose entries are modules that do so.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, TypeAlias

from edgewright.workloads.arrivals_open import Replay
from edgewright.workloads.lengths_joint import Lengths, Recorded

__all__ = ["Cells", "Trace", "TraceError", "TraceReader", "TraceRow", "finite", "read_trace", "records", "trace_format", "trace_formats"]


class TraceError(ValueError):
    """A trace file that cannot be read; the message names file, line, column, value, and what is accepted."""


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One request.

    Attributes:
        time: seconds since the first request.
        prompt: prompt tokens.
        output: generated tokens.
        blocks: names of the prompt's blocks of tokens (Mooncake's `hash_ids`, 512 tokens each): requests that begin with the same
            blocks share that prefix. Empty if the trace does not tell.
        model: the model that was asked, None if the trace does not tell.
    """

    time: float
    prompt: int
    output: int
    blocks: tuple[int, ...] = ()
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """Requests in order of time.

    Attributes:
        name: the file's name.
        rows: the requests; the first at 0 s.
        dropped: requests that failed when they were recorded (BurstGPT: no response tokens) and are not in `rows`.
    """

    name: str
    rows: tuple[TraceRow, ...]
    dropped: int = 0

    @property
    def seconds(self) -> float:
        """From the first to the last request."""
        return self.rows[-1].time

    def arrivals(self, *, start: float = 0.0, thin: float = 1.0) -> Replay:
        """The recorded times, moved so that the first is at `start`."""
        return Replay(at=tuple(start + row.time for row in self.rows), thin=thin)

    def lengths(self) -> Recorded:
        """The recorded lengths."""
        return Recorded(rows=tuple(Lengths(row.prompt, row.output) for row in self.rows))

    def shared_tokens(self, block_tokens: int = 512) -> tuple[int, ...]:
        """For each request, the prompt tokens in its longest prefix of blocks that an earlier request began with too.

        What an unbounded prefix cache would have found; 0 where the trace names no blocks.
        """
        seen: dict[tuple[int, int], int] = {}
        return tuple(min(row.prompt, block_tokens * _known_prefix(row.blocks, seen)) for row in self.rows)


TraceReader: TypeAlias = Callable[[IO[str], Path], Iterable[TraceRow]]
"""Reads a format: the open file, and its path for messages, to the requests in it. Raises `TraceError`."""

_READERS: dict[str, TraceReader] = {}


def trace_format(name: str) -> Callable[[TraceReader], TraceReader]:
    """Function decorator: make the reader that of the format `name`. Raises `ValueError` for a name that another reader has."""

    def add(reader: TraceReader) -> TraceReader:
        if name in _READERS:
            raise ValueError(f"trace format {name!r} is already read by {_READERS[name].__module__}")
        _READERS[name] = reader
        return reader

    return add


def trace_formats() -> Mapping[str, TraceReader]:
    """The readers of all formats by name, sorted."""
    _load_entry_points()
    return MappingProxyType(dict(sorted(_READERS.items())))


@cache
def _load_entry_points() -> None:
    from importlib.metadata import entry_points

    for entry in entry_points(group="edgewright.traces"):
        entry.load()


def read_trace(path: Path | str, format: str) -> Trace:
    """Read a trace file; a name that ends in `.gz` is unpacked.

    Rows out of order are put in order. Raises `TraceError` for an unknown format, a malformed line, and a file without requests, and
    `OSError` where the file cannot be opened.
    """
    path = Path(path)
    formats = trace_formats()
    if format not in formats:
        near = get_close_matches(format, formats, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise TraceError(f"{path}: unknown trace format {format!r}: accepted are {', '.join(formats)}{hint}")
    try:
        with _opened(path) as file:
            rows = list(formats[format](file, path))
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error, csv.Error) as error:
        raise TraceError(f"{path}: not a readable text file ({error})") from error
    kept = sorted((row for row in rows if row.output > 0), key=lambda row: row.time)
    if not kept:
        raise TraceError(f"{path}: no requests in it; accepted is a file with at least one line of format {format}")
    origin = kept[0].time
    return Trace(path.name, tuple(replace(row, time=row.time - origin) for row in kept), len(rows) - len(kept))


@trace_format("azure")
def _azure(file: IO[str], path: Path) -> Iterator[TraceRow]:
    """TIMESTAMP (ISO 8601, read to the microsecond), ContextTokens, GeneratedTokens."""
    for cells in records(file, path, ("TIMESTAMP", "ContextTokens", "GeneratedTokens")):
        time = cells.read("TIMESTAMP", _timestamp, "a date and time such as 2023-11-16 18:15:46.6805900")
        yield TraceRow(time, cells.tokens("ContextTokens", 1), cells.tokens("GeneratedTokens", 1))


@trace_format("burstgpt")
def _burstgpt(file: IO[str], path: Path) -> Iterator[TraceRow]:
    """Timestamp (seconds), Model, Request tokens, Response tokens (0: the request failed); other columns are not read."""
    for cells in records(file, path, ("Timestamp", "Model", "Request tokens", "Response tokens")):
        time = cells.read("Timestamp", finite, "seconds, a finite number")
        tokens = cells.tokens("Request tokens", 1), cells.tokens("Response tokens", 0)
        yield TraceRow(time, *tokens, model=cells.values["Model"])


@trace_format("mooncake")
def _mooncake(file: IO[str], path: Path) -> Iterator[TraceRow]:
    """One JSON object a line: timestamp (milliseconds), input_length, output_length, hash_ids."""
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        cells = Cells(path, number, _json_object(line, path, number))
        time = cells.read("timestamp", finite, "milliseconds, a finite number") / 1000.0
        tokens = cells.tokens("input_length", 1), cells.tokens("output_length", 1)
        yield TraceRow(time, *tokens, blocks=cells.read("hash_ids", _whole_numbers, "a list of whole numbers"))


@dataclass(frozen=True, slots=True)
class Cells:
    """The values of one line by column; what cannot be read is refused with a `TraceError` that names file, line, column and value."""

    path: Path
    line: int
    values: Mapping[str, Any]

    def read(self, column: str, parse: Callable[[Any], Any], accepted: str) -> Any:
        """What `parse` makes of a column's value; `accepted` says what that would be, where it raises."""
        value = self.values.get(column)
        try:
            return parse(value)
        except (ValueError, TypeError, OverflowError):
            raise TraceError(f"{self.path}:{self.line}: column {column}: got {value!r}; accepted is {accepted}") from None

    def tokens(self, column: str, least: int = 1) -> int:
        """A column's value as a whole number from `least`."""
        accepted = f"a whole number from {least}"
        number = self.read(column, _whole, accepted)
        if number < least:
            raise TraceError(f"{self.path}:{self.line}: column {column}: got {number}; accepted is {accepted}")
        return int(number)


def records(file: IO[str], path: Path, columns: tuple[str, ...]) -> Iterator[Cells]:
    """The lines of a CSV file with a header that has those columns, and maybe more; raises `TraceError`."""
    reader = csv.reader(file)
    header = [name.strip() for name in next(reader, [])]
    missing = [name for name in columns if name not in header]
    if missing:
        raise TraceError(
            f"{path}:1: column {missing[0]} is missing: got {','.join(header)!r}; accepted is a header with {', '.join(columns)}"
        )
    for values in reader:
        if not values:
            continue
        if len(values) != len(header):
            raise TraceError(f"{path}:{reader.line_num}: column count: got {len(values)}; accepted are {len(header)}: {', '.join(header)}")
        yield Cells(path, reader.line_num, dict(zip(header, values, strict=True)))


def _json_object(line: str, path: Path, number: int) -> Mapping[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise TraceError(f"{path}:{number}: column 1: got {line.strip()[:60]!r}; accepted is one JSON object a line")
    return value


def _timestamp(value: str) -> float:
    moment = datetime.fromisoformat(value.strip())
    return (moment.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds()


def finite(value: Any) -> float:
    """A finite number, for `Cells.read`; raises `ValueError` or `TypeError`."""
    if isinstance(value, bool) or not math.isfinite(number := float(value)):
        raise ValueError(value)
    return number


def _whole(value: Any) -> int:
    number = finite(value)
    if number != int(number):
        raise ValueError(value)
    return int(number)


def _whole_numbers(values: Any) -> tuple[int, ...]:
    if not isinstance(values, list):
        raise TypeError(values)
    return tuple(_whole(value) for value in values)


def _known_prefix(blocks: tuple[int, ...], seen: dict[tuple[int, int], int]) -> int:
    """Leading blocks that `seen` knows; `seen`, a trie as (node, block) -> node, then knows all."""
    node, known = 0, 0
    for block in blocks:
        known += (node, block) in seen
        node = seen.setdefault((node, block), len(seen) + 1)
    return known


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")
