"""Request-level batching: a batch closes, runs to the end of its longest member, and only then the next one is formed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from edgewright.policies.batching.admission import fitting, prompts_step, whole_prompts, within_limits
from edgewright.policies.families import Batch
from edgewright.policies.views import Horizon, ReplicaView, WaitingView

__all__ = ["ClosingAgent"]

_NOBODY: frozenset[int] = frozenset()
_NOTHING = Batch()
_TO_THE_END = Batch(decode=True, until=Horizon(steps=float("inf"), arrival=False, completion=True))


class ClosingAgent:
    """Forms a batch when `size` jobs wait or the time `due(view)` has come, and runs it alone.

    A batch that memory cannot hold closes with the jobs that it can. Prompts that exceed `max_tokens` together are computed over
    several steps before the members decode side by side; a member that was preempted returns to its batch as soon as it fits. Members
    that wait are at the head of the queue: those not computed yet came first, and preempted jobs go before all others.
    """

    def __init__(self, size: int, due: Callable[[ReplicaView], float]) -> None:
        """`due`: the time at which a partial batch of the jobs that wait (one at least) may start."""
        self._size = size
        self._due = due
        self._members = _NOBODY

    def next_batch(self, view: ReplicaView) -> Batch:
        """See `BatchingAgent`."""
        members, waiting = self._members, view.waiting
        missing = [job for job in islice(waiting, len(members)) if job.id in members] if members and waiting else []
        if view.running or missing:
            return self._go_on(view, whole_prompts(view, missing))
        self._members = _NOBODY
        return self._close(view, waiting) if waiting else _NOTHING

    def _go_on(self, view: ReplicaView, prompts: Sequence[WaitingView]) -> Batch:
        if prompts:
            return prompts_step(prompts)
        return _TO_THE_END if view.running else _NOTHING

    def _close(self, view: ReplicaView, waiting: Sequence[WaitingView]) -> Batch:
        size = min(self._size, view.max_sequences)
        if len(waiting) < size and view.now < self._due(view):
            return Batch(wake_at=self._due(view))
        members = fitting(view, list(islice(waiting, size)))
        self._members = frozenset([job.id for job in members])
        return self._go_on(view, within_limits(view, members))
