"""The jobs of an open source as columns, all at once: the same draws as one by one, without an object per job."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from edgewright.workloads.arrivals_process import OpenProcess
from edgewright.workloads.azure import AzureLengths
from edgewright.workloads.jobs_source import Source
from edgewright.workloads.lengths_joint import Conditional, Joint, LengthProcess, OneShot
from edgewright.workloads.lengths_marginals import Empirical, Marginal
from edgewright.workloads.streams import Stream

__all__ = ["JobColumns", "job_columns"]


@dataclass(frozen=True, slots=True)
class JobColumns:
    """Jobs in order of arrival; arrays of one length.

    Attributes:
        arrival: seconds.
        index: the job's number within its source, before thinning.
        prompt, output: tokens.
    """

    arrival: NDArray[np.float64]
    index: NDArray[np.int64]
    prompt: NDArray[np.int64]
    output: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.arrival)


def job_columns(source: Source, stream: Stream, start: float, stop: float) -> JobColumns:
    """What `source.jobs(stream, start, stop, ...)` yields, bit for bit. Raises `ValueError` for a source whose jobs are more than this:
    such as follow others, or share a beginning."""
    if not isinstance(source.arrivals, OpenProcess) or source.prefixes is not None:
        raise ValueError(f"jobs of {source.name!r} are not columns: they follow others, or their prompts begin alike")
    times, index = _arrivals(source.arrivals, stream.child("arrivals"), start, stop)
    prompts, outputs = _lengths(source.lengths, stream.child("lengths"), index)
    return JobColumns(times, index, prompts, outputs)


def _arrivals(process: OpenProcess, stream: Stream, start: float, stop: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """`process.arrivals`: their times, and what they are numbered by."""
    times = np.fromiter(takewhile(stop.__gt__, process.raw_times(stream, start)), np.float64)
    kept = times >= start
    if process.thin < 1.0:
        kept &= stream.child("thin").uniforms_at(np.arange(len(times))) < process.thin
    return times[kept], np.flatnonzero(kept)


def _lengths(process: LengthProcess, stream: Stream, index: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if isinstance(process, AzureLengths):
        process = process.table
    if isinstance(process, OneShot):
        return np.full(len(index), process.inputs), np.zeros(len(index), np.int64)
    if isinstance(process, Joint) and process.correlation == 0.0:
        return _quantiles(process.prompt, stream.child("prompt"), index), _quantiles(process.output, stream.child("output"), index)
    if isinstance(process, Conditional):
        return _conditional(process, stream, index)
    drawn = np.array([process.draw(stream, each) for each in index.tolist()], dtype=np.int64).reshape(-1, 2)
    return drawn[:, 0], drawn[:, 1]


def _conditional(process: Conditional, stream: Stream, index: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    prompts = _quantiles(process.prompt, stream.child("prompt"), index)
    ranges = np.searchsorted(process.edges, prompts, side="left") if process.edges else np.zeros(len(prompts), np.int64)
    outputs, drawn = np.empty(len(prompts), np.int64), stream.child("output")
    for number, output in enumerate(process.output):
        mine = ranges == number
        outputs[mine] = _quantiles(output, drawn, index[mine])
    return prompts, outputs


def _quantiles(marginal: Marginal, stream: Stream, index: NDArray[np.int64]) -> NDArray[np.int64]:
    """`marginal.at(stream.uniform(i))` for each index."""
    drawn = stream.uniforms_at(index)
    if not isinstance(marginal, Empirical):
        return np.array([marginal.at(u) for u in drawn.tolist()], dtype=np.int64)
    levels, values = np.array(marginal.levels), np.array(marginal.values, dtype=np.float64)
    upper = np.minimum(np.searchsorted(levels, drawn, side="right"), len(levels) - 1)
    left, right, below, above = levels[upper - 1], levels[upper], values[upper - 1], values[upper]
    found: NDArray[np.int64] = np.rint(below + (above - below) * (drawn - left) / (right - left)).astype(np.int64)
    return found
