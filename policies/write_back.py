"""Writes that do not wait for the storage: a buffer in memory takes them, and drains behind the plan's back.

As an operating system's page cache does with dirty pages: a write ends once there is room for it in the buffer, and whoever writes faster
than the storage takes is held back to its rate once the buffer is full (Linux: `dirty_bytes`, balance_dirty_pages).
"""

from __future__ import annotations

from edgewright.policies.plan import Alloc, Free, Plan, Store, detach, seq

__all__ = ["write_back"]


def write_back(store: Store, buffer: str, name: str) -> Plan:
    """The store behind a buffer: what follows waits for room in the pool `buffer` only (bytes, of the replica or a device).

    `name` is that of the detached write, for `Join` (a sync) and `Cancel`; unique in the plan, unless the latest is all that is meant.

    How wrong: copying into the buffer takes no time, nothing is written twice or merged, and what has not drained by the end of a run is
    lost without notice, as it would be in a power cut.
    """
    return seq(Alloc(buffer, store.nbytes), detach(seq(store, Free(buffer, store.nbytes)), name))
