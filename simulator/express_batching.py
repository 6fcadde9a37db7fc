"""The batching policies that express loops know, and their figures in the books."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright.policies.batching import Continuous, Dynamic, Static
from edgewright.simulator import express_books as at

if TYPE_CHECKING:
    from edgewright.simulator.express_books import Books, PassBooks
    from edgewright.simulator.replica import Replica

__all__ = ["BATCHINGS", "largest_batch", "set_batching"]

BATCHINGS = (Continuous, Static, Dynamic)
"""The policies."""


def set_batching(books: Books | PassBooks, replica: Replica) -> None:
    """Write down how batches form, and how large they may be."""
    batching, counts = replica.setup.tables[0].batching, books.counts
    counts[at.MOST], counts[at.MAX_TOKENS] = replica.most, replica.preset.max_tokens
    if isinstance(batching, Static | Dynamic):
        counts[at.RULE] = at.DYNAMIC if isinstance(batching, Dynamic) else at.CLOSING
        counts[at.SIZE], books.clock[at.TIMEOUT] = min(batching.size, replica.most), batching.timeout


def largest_batch(replica: Replica) -> int:
    """Inputs of one pass that a step computes at most."""
    batching = replica.setup.tables[0].batching
    size = batching.size if isinstance(batching, Static | Dynamic) else replica.most
    return max(1, min(size, replica.most, replica.preset.max_tokens))
