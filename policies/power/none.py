"""No control: the domain draws what its devices ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgewright.policies.families import Actuation, PowerAgent
from edgewright.policies.registry import register
from edgewright.policies.views import PowerView
from edgewright.workloads import Stream

__all__ = ["Uncontrolled"]


@register("power", "none")
@dataclass(frozen=True, slots=True, kw_only=True)
class Uncontrolled:
    """Never commands anything. The budget may be exceeded, and the result says when."""

    def start(self, scope: str, stream: Stream) -> PowerAgent:
        """The agent of one power domain; it keeps no state."""
        return _Agent()


class _Agent:
    def act(self, view: PowerView) -> Sequence[Actuation]:
        return ()
