"""Recorded request traces: Azure LLM inference (CSV), Mooncake (JSONL), BurstGPT (CSV); plain or gzipped.

A reader gives a `Trace`: rows in order of time, which starts at 0. A line that cannot be read is refused with one `TraceError` that
names file, line, column, value, and what is accepted.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Literal, TypeAlias

from edgewright.workloads.arrivals_open import Replay
from edgewright.workloads.lengths_joint import Lengths, Recorded

__all__ = ["TRACE_FORMATS", "Trace", "TraceError", "TraceFormat", "TraceRow", "read_trace"]

TraceFormat: TypeAlias = Literal["azure", "burstgpt", "mooncake"]


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


def read_trace(path: Path | str, format: TraceFormat) -> Trace:
    """Read a trace file; a name that ends in `.gz` is unpacked.

    Rows out of order are put in order. Raises `TraceError` for an unknown format, a malformed line, and a file without requests, and
    `OSError` where the file cannot be opened.
    """
    path = Path(path)
    if format not in TRACE_FORMATS:
        raise TraceError(f"{path}: unknown trace format {format!r}: accepted are {', '.join(sorted(TRACE_FORMATS))}")
    try:
        with _opened(path) as file:
            rows = list(TRACE_FORMATS[format](file, path))
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error, csv.Error) as error:
        raise TraceError(f"{path}: not a readable text file ({error})") from error
    kept = sorted((row for row in rows if row.output > 0), key=lambda row: row.time)
    if not kept:
        raise TraceError(f"{path}: no requests in it; accepted is a file with at least one line of format {format}")
    origin = kept[0].time
    return Trace(path.name, tuple(replace(row, time=row.time - origin) for row in kept), len(rows) - len(kept))


def _azure(file: IO[str], path: Path) -> Iterator[TraceRow]:
    """TIMESTAMP (ISO 8601, read to the microsecond), ContextTokens, GeneratedTokens."""
    for cells in _records(file, path, ("TIMESTAMP", "ContextTokens", "GeneratedTokens")):
        time = cells.read("TIMESTAMP", _timestamp, "a date and time such as 2023-11-16 18:15:46.6805900")
        yield TraceRow(time, cells.tokens("ContextTokens", 1), cells.tokens("GeneratedTokens", 1))


def _burstgpt(file: IO[str], path: Path) -> Iterator[TraceRow]:
    """Timestamp (seconds), Model, Request tokens, Response tokens (0: the request failed); other columns are not read."""
    for cells in _records(file, path, ("Timestamp", "Model", "Request tokens", "Response tokens")):
        time = cells.read("Timestamp", _seconds, "seconds, a finite number")
        tokens = cells.tokens("Request tokens", 1), cells.tokens("Response tokens", 0)
        yield TraceRow(time, *tokens, model=cells.values["Model"])


def _mooncake(file: IO[str], path: Path) -> Iterator[TraceRow]:
    """One JSON object a line: timestamp (milliseconds), input_length, output_length, hash_ids."""
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        cells = _Cells(path, number, _json_object(line, path, number))
        time = cells.read("timestamp", _seconds, "milliseconds, a finite number") / 1000.0
        tokens = cells.tokens("input_length", 1), cells.tokens("output_length", 1)
        yield TraceRow(time, *tokens, blocks=cells.read("hash_ids", _whole_numbers, "a list of whole numbers"))


TRACE_FORMATS: Mapping[str, Callable[[IO[str], Path], Iterator[TraceRow]]] = MappingProxyType(
    {"azure": _azure, "burstgpt": _burstgpt, "mooncake": _mooncake}
)
"""Readers by format."""


@dataclass(frozen=True, slots=True)
class _Cells:
    """The values of one line by column."""

    path: Path
    line: int
    values: Mapping[str, Any]

    def read(self, column: str, parse: Callable[[Any], Any], accepted: str) -> Any:
        value = self.values.get(column)
        try:
            return parse(value)
        except (ValueError, TypeError, OverflowError):
            raise TraceError(f"{self.path}:{self.line}: column {column}: got {value!r}; accepted is {accepted}") from None

    def tokens(self, column: str, least: int) -> int:
        accepted = f"a whole number from {least}"
        number = self.read(column, _whole, accepted)
        if number < least:
            raise TraceError(f"{self.path}:{self.line}: column {column}: got {number}; accepted is {accepted}")
        return int(number)


def _records(file: IO[str], path: Path, columns: tuple[str, ...]) -> Iterator[_Cells]:
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
        yield _Cells(path, reader.line_num, dict(zip(header, values, strict=True)))


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


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not math.isfinite(number := float(value)):
        raise ValueError(value)
    return number


def _whole(value: Any) -> int:
    number = _seconds(value)
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
