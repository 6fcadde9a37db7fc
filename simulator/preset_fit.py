"""An engine's step times and limits from the log of a real server: for those who have one running, and no time to measure.

A request that decodes for n steps takes, from its first token to its last,

    seconds = step n + sequence sum(R) + context sum(K) + prompt P

where R and K are the sequences and tokens of context in each of those steps, known from the other requests of the log, and P the prompt
tokens that others had computed meanwhile. The four are found by non-negative least squares of relative errors. Steps are as long as the
terms say, so that two rounds place them in time.

Limits are seen only where they bind, while requests wait: sequences that were never exceeded for most of the waiting time are the limit of
the batch; else the tokens held in the middle of that time (its median) are what the KV memory takes. What never bound is unavailable.

How wrong: requests that were preempted look slow, and a log without them all (warm-up left out) has too small R and K. Terms that go
together in the log (sequences and context) are told apart badly, and their uncertainties say so. Prompts count as computed at their first
token, wherever the engine splits them. A request that was preempted holds no memory for a while and is counted as if it did, and one that
was admitted and has no token yet is not counted: on a vLLM run whose 2588 blocks of 16 tokens are known, the two leave 3 %.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["TERMS", "LoggedRequest", "PresetFit", "read_log"]

TERMS = ("step", "sequence", "context", "prompt")
"""Seconds per step, per sequence and step, per token of context and step, and per prompt token."""

_NAMES: Mapping[str, tuple[str, ...]] = {
    "arrival": ("arrival", "queued_ts", "arrival_time"),
    "first": ("first_token", "first_token_ts", "first_token_time"),
    "end": ("end", "last_token_ts", "end_time"),
    "prompt": ("prompt_tokens", "input_toks", "input_tokens"),
    "output": ("output_tokens", "output_toks"),
}
_ROUNDS = 3
_MOST = 0.5


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A request that a server answered: seconds on one clock, and tokens."""

    arrival: float
    first: float
    end: float
    prompt: float
    output: float


def read_log(path: Path) -> list[LoggedRequest]:
    """The requests of a file of JSON lines; raises `ValueError` for a line that lacks a key, naming what is accepted."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            figures = {name: next(float(row[key]) for key in keys if key in row) for name, keys in _NAMES.items()}
        except (StopIteration, ValueError, TypeError):
            accepted = "; ".join(f"{name}: {' or '.join(keys)}" for name, keys in _NAMES.items())
            raise ValueError(f"{path}:{number}: each line is a JSON table with numbers for {accepted}") from None
        found.append(LoggedRequest(**figures))
    return found


@dataclass
class PresetFit:
    """The estimator.

    Attributes:
        terms_: seconds by name of `TERMS`.
        errors_: their standard deviations.
        max_sequences_: sequences of the batch where that bound, else None.
        kv_tokens_: tokens that KV memory held while it bound, else None.
        residuals_: log(predicted / measured) of the time from first token to last.
    """

    terms_: dict[str, float] = field(default_factory=dict, init=False)
    errors_: dict[str, float] = field(default_factory=dict, init=False)
    max_sequences_: int | None = field(default=None, init=False)
    kv_tokens_: float | None = field(default=None, init=False)
    residuals_: Floats = field(default_factory=lambda: np.zeros(0), init=False)

    def fit(self, requests: Iterable[LoggedRequest]) -> PresetFit:
        """To a log; raises `ValueError` for fewer than ten answers of two tokens or more."""
        log = sorted(requests, key=lambda each: each.first)
        columns = np.array([(each.arrival, each.first, each.end, each.prompt, each.output) for each in log]).reshape(-1, 5).T
        if int((columns[4] > 1).sum()) < 2 * len(TERMS) + 2:
            raise ValueError("a fit needs ten answers of two tokens or more")
        edges, sequences, tokens = _timeline(columns)
        self._limits(columns, edges, sequences, tokens)
        asked, seconds = np.ones(len(edges) - 1), columns[2] - columns[1]
        for _ in range(_ROUNDS):
            amounts = _amounts(columns, edges, sequences, tokens, asked)
            logs = self._solve(amounts[columns[4] > 1], seconds[columns[4] > 1])
            asked = np.maximum(logs[0] + logs[1] * sequences + logs[2] * tokens, 1e-9)
        return self

    def engine(self, preset: str) -> dict[str, Any]:
        """The table `engine` of a service, on a device that takes no time of its own: the terms are all of the step."""
        limit = {} if self.max_sequences_ is None else {"max_sequences": self.max_sequences_}
        return {"preset": preset, "step_overhead": self.terms_["step"], "sequence_overhead": self.terms_["sequence"], **limit}

    def _solve(self, amounts: Floats, seconds: Floats) -> Floats:
        from scipy.optimize import nnls

        weighed = amounts / seconds[:, None]
        scale = np.maximum(np.linalg.norm(weighed, axis=0), 1e-300)
        found = np.asarray(nnls(weighed / scale, np.ones(len(seconds)))[0] / scale)
        misses = weighed @ found - 1.0
        spread = float((misses**2).sum()) / max(len(seconds) - len(TERMS), 1)
        covariance = np.linalg.pinv((weighed / scale).T @ (weighed / scale)) * spread
        self.terms_ = dict(zip(TERMS, map(float, found), strict=True))
        self.errors_ = dict(zip(TERMS, map(float, np.sqrt(np.diag(covariance)) / scale), strict=True))
        self.residuals_ = np.log(np.maximum(weighed @ found, 1e-300))
        return found

    def _limits(self, columns: Floats, edges: Floats, sequences: Floats, tokens: Floats) -> None:
        """What bound while requests waited."""
        middles, spans = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
        waiting = ((columns[0][:, None] < middles) & (columns[1][:, None] > middles)).sum(axis=0) > 1
        if not (spans * waiting).sum():
            return
        most = float(sequences[waiting].max())
        at_most = float((spans * waiting * (sequences == most)).sum() / (spans * waiting).sum())
        if at_most > _MOST:
            self.max_sequences_ = int(most)
        else:
            order = np.argsort(tokens)
            weight = np.cumsum((spans * waiting)[order])
            self.kv_tokens_ = float(tokens[order][np.searchsorted(weight, weight[-1] / 2)])


def _timeline(columns: Floats) -> tuple[Floats, Floats, Floats]:
    """Moments at which an answer begins or ends; between them, sequences that decode and their tokens of context."""
    _, first, end, prompt, output = columns
    edges = np.unique(np.concatenate([first, end]))
    middles = (edges[1:] + edges[:-1]) / 2
    runs = (first[:, None] <= middles) & (end[:, None] >= middles)
    share = (middles - first[:, None]) / np.maximum(end - first, 1e-12)[:, None]
    held = np.where(runs, prompt[:, None] + share * output[:, None], 0.0)
    return edges, runs.sum(axis=0).astype(np.float64), held.sum(axis=0)


def _amounts(columns: Floats, edges: Floats, sequences: Floats, tokens: Floats, asked: Floats) -> Floats:
    """What each request's time goes to, by `TERMS`; `asked` is the length of a step in each part of the timeline."""
    _, first, end, prompt, output = columns
    low, high = np.maximum(first[:, None], edges[:-1]), np.minimum(end[:, None], edges[1:])
    parts = np.maximum(high - low, 0.0) / asked
    steps = parts * ((output - 1) / np.maximum(parts.sum(axis=1), 1e-300))[:, None]
    others = (first[None, :] > first[:, None]) & (first[None, :] <= end[:, None])
    return np.stack([output - 1, steps @ sequences, steps @ tokens, others @ prompt], axis=1)
