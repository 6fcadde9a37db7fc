"""Expert routes as recorded from a real model.

An `.npz` with an array `routes` (layers x tokens x top_k), or a `.jsonl` with a token a line: a list of experts for each layer.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgewright.workloads.streams import Stream
from edgewright.workloads.traces import TraceError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["RecordedRouting", "read_routes"]


@dataclass(frozen=True, slots=True, eq=False)
class RecordedRouting:
    """Routes replayed: each sequence starts at a token of the recording drawn for it, and goes on from the beginning after the end.

    Attributes:
        recorded: `(layers, tokens, top_k)`.
    """

    recorded: NDArray[np.int32]

    def routes(self, stream: Stream, count: int, *, start: int = 0, sequence: int = 0) -> NDArray[np.int32]:
        """See `routing_stats.Router`."""
        return self.routes_at(stream, np.full(count, sequence), np.arange(start, start + count))

    def routes_at(self, stream: Stream, sequences: ArrayLike, tokens: ArrayLike) -> NDArray[np.int32]:
        """See `routing_stats.Router`."""
        length = self.recorded.shape[1]
        begin = (stream.child("begin").uniforms_at(np.asarray(sequences, dtype=np.int64)) * length).astype(np.int64)
        return self.recorded[:, (begin + np.asarray(tokens, dtype=np.int64)) % length]


def read_routes(path: Path | str, experts: int) -> RecordedRouting:
    """Read recorded routes of a model with that many experts.

    Raises `TraceError` for a file of another form, experts out of range, and a route that names an expert twice; `OSError` where the
    file cannot be opened.
    """
    path = Path(path)
    routes = _from_lines(path) if path.suffix == ".jsonl" else _from_archive(path)
    if routes.ndim != 3 or routes.size == 0 or routes.dtype.kind not in "iu":
        raise TraceError(f"{path}: got {routes.dtype} of shape {routes.shape}; accepted are whole numbers, layers x tokens x top_k")
    _refuse(path, (routes < 0) | (routes >= experts), f"accepted are experts 0 to {experts - 1}", routes)
    ordered = np.sort(routes, axis=-1)
    _refuse(path, ordered[..., 1:] == ordered[..., :-1], "accepted are routes that name each expert once", routes)
    return RecordedRouting(np.ascontiguousarray(routes, dtype=np.int32))


def _from_archive(path: Path) -> NDArray[np.int64]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return np.asarray(archive["routes"])
    except (ValueError, KeyError, TypeError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise TraceError(
            f"{path}: got a file that does not hold `routes` ({error}); accepted is an .npz with an array of that name"
        ) from error


def _from_lines(path: Path) -> NDArray[np.int64]:
    tokens: list[NDArray[np.int64]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            tokens.append(np.array(json.loads(line)))
            if tokens[-1].shape != tokens[0].shape or tokens[-1].ndim != 2:
                raise ValueError(line)
        except (ValueError, RecursionError):
            accepted = "a list of as many experts for each layer, as in line 1"
            raise TraceError(f"{path}:{number}: column 1: got {line[:60]!r}; accepted is {accepted}") from None
    return np.stack(tokens, axis=1) if tokens else np.empty(0, dtype=np.int64)


def _refuse(path: Path, wrong: NDArray[np.bool_], accepted: str, routes: NDArray[np.int64]) -> None:
    if wrong.any():
        layer, token, _ = np.argwhere(wrong)[0]
        raise TraceError(f"{path}: layer {layer}, token {token}: got {routes[layer, token].tolist()}; {accepted}")
