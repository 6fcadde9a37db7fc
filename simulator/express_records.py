"""What the express loops write down. Importing this module imports Numba."""

from __future__ import annotations

from edgewright.simulator import express_books as at
from edgewright.simulator.express_books import Books, PassBooks
from edgewright.simulator.express_jit import compiled

__all__ = ["keep", "note_blocks", "note_gap", "note_queue", "note_step"]


@compiled
def note_queue(b: Books | PassBooks, time: float) -> None:
    """The queue, or the batch, has changed."""
    count, rows, row = b.counts, b.queues, b.counts[at.QUEUES]
    rows[row, 0], rows[row, 1], rows[row, 2] = time, count[at.TAIL] - count[at.HEAD] + count[at.ASIDE], count[at.RUNNING]
    count[at.QUEUES] = row + 1


@compiled
def note_blocks(b: Books, time: float, blocks: int) -> None:
    """So many blocks are held, perhaps as many as before."""
    count = b.counts
    if count[at.CAPACITY] >= 0 and count[at.RECORDED] != blocks:
        count[at.RECORDED] = blocks
        b.blocks[count[at.BLOCKS], 0], b.blocks[count[at.BLOCKS], 1] = time, blocks
        count[at.BLOCKS] += 1


@compiled
def note_gap(b: Books, gap: float, weight: int) -> None:
    """So many measured jobs have got a token so long after their last."""
    count = b.counts
    if weight == 0:
        return
    last = count[at.GAPS] - 1
    if last >= count[at.GAPS_KEPT] and b.gaps[last, 0] == gap:
        b.gaps[last, 1] += weight
        return
    b.gaps[count[at.GAPS], 0], b.gaps[count[at.GAPS], 1] = gap, weight
    count[at.GAPS] += 1


@compiled
def note_step(b: Books, iterations: int, decode: int, prefill: int, output: int, context: int) -> None:
    """A step, or a run of steps, has ended now."""
    count, rows, row = b.counts, b.steps, b.counts[at.STEPS]
    rows[row, 0], rows[row, 1], rows[row, 2] = b.clock[at.STARTED], b.clock[at.NOW], iterations
    rows[row, 3], rows[row, 4], rows[row, 5] = decode, prefill, output
    rows[row, 6], rows[row, 7], rows[row, 8] = context, count[at.WAITING], count[at.USED]
    count[at.STEPS] = row + 1


@compiled
def keep(b: Books) -> None:
    """What has been written down stands."""
    b.counts[at.BLOCKS_KEPT], b.counts[at.GAPS_KEPT] = b.counts[at.BLOCKS], b.counts[at.GAPS]
