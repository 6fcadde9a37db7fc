"""An engine's step times and limits from the log of a real server: for those who have one running, and no time to measure.

A request that decodes for n steps takes, from its first token to its last,

    seconds = step n + sequence sum(R) + context sum(K) + prompt P

where R and K are the sequences and tokens of context in each of those steps, known from the other requests of the log, and P the prompt
tokens that others had computed meanwhile. The four are found by non-negative least squares of relative errors. Steps are as long as the
terms say, so that two rounds place them in time. Engines compute prompts in steps that decode, too (`chunked_prefill`), or in steps of
their own (`continuous`), which n then counts besides: both are tried, and the one that fits better is said to be the engine's batching.

Limits are seen only where they bind, while requests wait for more than ten times the time per token: sequences that were never exceeded
for most of the waiting time are the limit of the batch; else the tokens held in the middle of that time (its median) are what the KV
memory takes. What never bound is unavailable.

How wrong: requests that were preempted look slow, and a log without them all (warm-up left out) has too small R and K. Terms that go
together in the log (sequences and context) are told apart badly, and their uncertainties say so. Prompts count as computed at their first
token, wherever the engine splits them. A request that was preempted holds no memory for a while and is counted as if it did, and one that
was admitted and has no token yet is not counted: on a vLLM run whose 2588 blocks of 16 tokens are known, the two leave 3 %.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

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
_STEPS = 10.0


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
        batching_: the batching policy that steps are taken by, `chunked_prefill` or `continuous`.
        residuals_: log(predicted / measured) of the time from first token to last.
    """

    terms_: dict[str, float] = field(default_factory=dict, init=False)
    errors_: dict[str, float] = field(default_factory=dict, init=False)
    max_sequences_: int | None = field(default=None, init=False)
    kv_tokens_: float | None = field(default=None, init=False)
    batching_: str = field(default="", init=False)
    residuals_: Floats = field(default_factory=lambda: np.zeros(0), init=False)

    def fit(self, requests: Iterable[LoggedRequest]) -> PresetFit:
        """To a log; raises `ValueError` for fewer than ten answers of two tokens or more."""
        log = sorted(requests, key=lambda each: each.first)
        columns = np.array([(each.arrival, each.first, each.end, each.prompt, each.output) for each in log]).reshape(-1, 5).T
        if int((columns[4] > 1).sum()) < 2 * len(TERMS) + 2:
            raise ValueError("a fit needs ten answers of two tokens or more")
        edges, sequences, tokens = _timeline(columns)
        self._limits(columns, edges, sequences, tokens)
        tried = {name: self._terms(columns, edges, sequences, tokens, name == "continuous") for name in ("chunked_prefill", "continuous")}
        self.batching_ = min(tried, key=lambda name: float((tried[name].misses ** 2).sum()))
        best = tried[self.batching_]
        self.terms_ = dict(zip(TERMS, map(float, best.values), strict=True))
        self.errors_ = dict(zip(TERMS, map(float, best.deviations), strict=True))
        self.residuals_ = np.log(np.maximum(best.misses + 1.0, 1e-300))
        return self

    def engine(self, preset: str) -> dict[str, Any]:
        """The table `engine` of a scenario, or of a file that one names: a preset with these terms as all that a step takes, and what was
        seen of its limits."""
        terms = {f"{name}_overhead": float(f"{value:.6g}") for name, value in self.terms_.items()}
        limit = {} if self.max_sequences_ is None else {"max_sequences": self.max_sequences_}
        held = {} if self.kv_tokens_ is None else {"kv_tokens": int(self.kv_tokens_)}
        return {"preset": preset, "whole_step": True, **terms, **limit, **held}

    def document(self, preset: str, source: str, today: date) -> dict[str, Any]:
        """A file that scenarios name: the table `engine`, and under `fit` where it comes from and how far it is off."""
        sizes = np.abs(self.residuals_)
        off = {"median": round(float(np.median(sizes)), 4), "p90": round(float(np.quantile(sizes, 0.9)), 4)}
        unseen = [name for name, value in (("max_sequences", self.max_sequences_), ("kv_tokens", self.kv_tokens_)) if value is None]
        head = {"source": source, "date": today.isoformat(), "answers": len(self.residuals_), "first_to_last_token": off}
        errors = {f"{name}_overhead": float(f"{self.errors_[name]:.3g}") for name in TERMS}
        return {"engine": self.engine(preset), "fit": {**head, "batching": self.batching_, "deviations": errors, "never_bound": unseen}}

    def _terms(self, columns: Floats, edges: Floats, sequences: Floats, tokens: Floats, apart: bool) -> _Solved:
        seconds, several = columns[2] - columns[1], columns[4] > 1
        parts, prompts = np.diff(edges), _prompts_at(columns, edges[1:])
        for _ in range(_ROUNDS):
            solved = _solve(_amounts(columns, edges, sequences, tokens, parts, apart)[several], seconds[several])
            step, sequence, context, prompt = solved.values
            lost = prompt * prompts + (apart * (prompts > 0)) * step
            parts = np.maximum(np.diff(edges) - lost, 0.0) / np.maximum(step + sequence * sequences + context * tokens, 1e-9)
        return solved

    def _limits(self, columns: Floats, edges: Floats, sequences: Floats, tokens: Floats) -> None:
        """What bound while requests waited."""
        middles, spans = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
        overdue = _overdue(columns)
        waiting = ((overdue[:, None] < middles) & (columns[1][:, None] > middles)).sum(axis=0) > 1
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


def _overdue(columns: Floats) -> Floats:
    """When requests have waited for longer than a step and a prompt explain: `_STEPS` times the usual time per token after arrival."""
    several = columns[4] > 1
    per_token = (columns[2] - columns[1])[several] / (columns[4] - 1)[several]
    return np.asarray(columns[0] + _STEPS * np.median(per_token), np.float64)


class _Solved(NamedTuple):
    """Terms, their standard deviations, and predicted / measured - 1."""

    values: Floats
    deviations: Floats
    misses: Floats


def _solve(amounts: Floats, seconds: Floats) -> _Solved:
    from scipy.optimize import nnls

    weighed = amounts / seconds[:, None]
    scale = np.maximum(np.linalg.norm(weighed, axis=0), 1e-300)
    found = np.asarray(nnls(weighed / scale, np.ones(len(seconds)))[0] / scale)
    misses = weighed @ found - 1.0
    spread = float((misses**2).sum()) / max(len(seconds) - len(TERMS), 1)
    covariance = np.linalg.pinv((weighed / scale).T @ (weighed / scale)) * spread
    return _Solved(found, np.sqrt(np.diag(covariance)) / scale, misses)


def _timeline(columns: Floats) -> tuple[Floats, Floats, Floats]:
    """Moments at which an answer begins or ends; between them, sequences that decode and their tokens of context."""
    _, first, end, prompt, output = columns
    edges = np.unique(np.concatenate([first, end]))
    middles = (edges[1:] + edges[:-1]) / 2
    runs = (first[:, None] <= middles) & (end[:, None] >= middles)
    share = (middles - first[:, None]) / np.maximum(end - first, 1e-12)[:, None]
    held = np.where(runs, prompt[:, None] + share * output[:, None], 0.0)
    return edges, runs.sum(axis=0).astype(np.float64), held.sum(axis=0)


def _prompts_at(columns: Floats, moments: Floats) -> Floats:
    """Prompt tokens whose computation ends at each moment: they took time of the part of the timeline before it."""
    known = columns[1] >= moments[0]
    found = np.zeros(len(moments))
    np.add.at(found, np.searchsorted(moments, columns[1][known]), columns[3][known])
    return found


def _amounts(columns: Floats, edges: Floats, sequences: Floats, tokens: Floats, parts: Floats, apart: bool) -> Floats:
    """What each request's time goes to, by `TERMS`.

    `parts` are the steps (or what is in proportion to them) in each part of the timeline; `apart`: prompts have steps of their own, those
    that end together one.
    """
    _, first, end, prompt, output = columns
    within = (first[:, None] <= edges[:-1]) & (end[:, None] >= edges[1:])
    own = within * parts
    steps = own * ((output - 1) / np.maximum(own.sum(axis=1), 1e-300))[:, None]
    others = (first[None, :] > first[:, None]) & (first[None, :] <= end[:, None])
    alone = others[:, np.unique(first, return_index=True)[1]].sum(axis=1) if apart else np.zeros(len(first))
    return np.stack([output - 1 + alone, steps @ sequences + others.sum(axis=1), steps @ tokens, others @ prompt], axis=1)
