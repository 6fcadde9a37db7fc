"""Prompts that begin alike: system prompts, few-shot examples, documents that many ask about."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.workloads.jobs_bounds import Count, NonNegative, Portion
from edgewright.workloads.streams import Stream

__all__ = ["Prefixes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefixes:
    """Prompts of a source begin with one of `groups` beginnings.

    Attributes:
        tokens: length of each beginning.
        groups: how many different ones there are.
        skew: Zipf exponent of their popularity; 0: all alike.
        share: fraction of the jobs (of conversations, all turns alike) that begin with one; the others share nothing.
        included: whether drawn or recorded prompts hold it already; else it comes before them, once per conversation.
        name: sources that give the same name have the same beginnings; empty: a source's are its own.

    How wrong: all beginnings are of one length, and none extends another (documents under one system prompt do).
    """

    tokens: Count
    groups: Count = 1
    skew: NonNegative = 0.0
    share: Portion = 1.0
    included: bool = False
    name: str = ""

    def of(self, stream: Stream, source: str, *index: int) -> str:
        """The name of a job's beginning, empty if it has none; `stream` is the source's own."""
        drawn = stream.child("prefixes")
        if not drawn.child("share").bernoulli(self.share, *index):
            return ""
        group = drawn.choice([(rank + 1.0) ** -self.skew for rank in range(self.groups)], *index)
        return f"{self.name or source}/{group}"
