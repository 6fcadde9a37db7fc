"""Who may serve a job at all, and the best of them by some key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edgewright.policies.views import Interruption, JobView, RoutingView, ServerView

__all__ = ["best", "candidates"]


def candidates(job: JobView, view: RoutingView | Interruption) -> list[ServerView]:
    """The servers that are up and can hold the job, in the view's order."""
    return [server for server in view.servers if server.available and server.can_hold(job)]


def best(servers: Sequence[ServerView], key: Callable[[ServerView], Any]) -> str | None:
    """The name of the server with the least key, the first of equals; None if there is none."""
    return min(servers, key=key).name if servers else None
