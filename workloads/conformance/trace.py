"""The suite of a trace format: a reader under a name, and a sample of what it reads."""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory

from edgewright.hwmodels.conformance import Suite, require
from edgewright.workloads.traces import Trace, TraceError, read_trace

__all__ = ["TRACE", "TraceSample", "check_trace_format"]

_GARBAGE = "?\x07 this is no request {"


@dataclass(frozen=True, slots=True)
class TraceSample:
    """A format by its name, and the text of a file in it: a few requests, at least two."""

    format: str
    text: str

    def read(self, content: str | bytes, name: str = "sample") -> Trace:
        """What the format's reader finds in a file of that content; raises `TraceError`."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            return read_trace(path, self.format)


def check_trace_format(format: str, sample: str) -> None:
    """Require of a trace format all that `TRACE` checks, on the text of a sample; raises `AssertionError` that names what fails."""
    TRACE.require(TraceSample(format, sample), format)


def _reads(sample: TraceSample) -> None:
    """The sample is read: two requests or more, the first at 0 s, in order of time, of whole tokens from 1."""
    trace = sample.read(sample.text)
    require(len(trace.rows) > 1, f"{len(trace.rows)} request in the sample")
    require(trace.rows[0].time == 0.0, f"the first request arrives at {trace.rows[0].time} s")
    for row, following in pairwise((*trace.rows, trace.rows[-1])):
        require(isfinite(row.time) and row.time <= following.time, f"{row.time} s comes before {following.time} s")
        for tokens in (row.prompt, row.output):
            require(isinstance(tokens, int) and tokens >= 1, f"a request of {row.prompt!r} and {row.output!r} tokens")


def _again(sample: TraceSample) -> None:
    """The same file gives the same requests again, also gzipped, and they survive the way to another process."""
    first = sample.read(sample.text).rows
    require(sample.read(sample.text).rows == first, "other requests the second time")
    require(sample.read(gzip.compress(sample.text.encode()), "sample.gz").rows == first, "other requests from the gzipped file")
    require(pickle.loads(pickle.dumps(first)) == first, "other requests come back from pickle")


def _line_ends(sample: TraceSample) -> None:
    """Windows' line ends, a byte order mark, and a last line that ends or does not, change nothing."""
    first, bare = sample.read(sample.text).rows, sample.text.rstrip("\n")
    for what, content in (
        ("Windows' line ends", sample.text.replace("\n", "\r\n").encode()),
        ("a byte order mark", b"\xef\xbb\xbf" + sample.text.encode()),
        ("a last line without an end", bare.encode()),
        ("an empty last line", f"{bare}\n\n".encode()),
    ):
        require(sample.read(content).rows == first, f"other requests with {what}")


def _refuses(sample: TraceSample) -> None:
    """What is no trace is refused with `TraceError`, and nothing else: an empty file, its first letter alone, bytes that are no text."""
    for what, content in (("an empty file", b""), ("one letter", sample.text[:1].encode()), ("what is no text", b"\xff\xfe\x00\x01")):
        _refused(what, partial(sample.read, content))


def _says_where(sample: TraceSample) -> None:
    """A line that cannot be read is refused with a `TraceError` that names the file and the line."""
    lines = sample.text.rstrip("\n").split("\n")
    said = _refused("a line of garbage", partial(sample.read, "\n".join([*lines, _GARBAGE, ""]), "garbled"))
    require(
        f"garbled:{len(lines) + 1}:" in said, f"of garbage in line {len(lines) + 1} of `garbled` it says {said!r}: FILE:LINE: is missing"
    )


def _refused(what: str, attempt: Callable[[], Trace]) -> str:
    """What the refusal says; any other exception is for the suite to report."""
    try:
        attempt()
    except TraceError as refusal:
        return str(refusal)
    raise AssertionError(f"{what} is read as a trace")


TRACE: Suite[TraceSample] = Suite(
    "trace format",
    {"reads": _reads, "again": _again, "line ends": _line_ends, "refuses": _refuses, "says where": _says_where},
)
"""The checks of a trace format. How wrong: that times are seconds and columns the right ones, nobody can know but its author."""
