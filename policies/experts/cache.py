"""One layer's experts in memory, under LRU."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["ExpertCache"]


class ExpertCache:
    """At most `slots` experts; those that a step needs are used together, ties in recency broken by their number.

    Where a step needs more than `slots`, the surplus is read, used and dropped.
    """

    __slots__ = ("_held", "slots")

    def __init__(self, slots: int, held: Iterable[int] = ()) -> None:
        self.slots = slots
        self._held = dict.fromkeys(held)

    @property
    def held(self) -> tuple[int, ...]:
        """The experts in memory, least recently used first."""
        return tuple(self._held)

    def use(self, needed: Sequence[int]) -> list[int]:
        """Use these experts; returns those that were not in memory."""
        held = self._held
        missing = [expert for expert in needed if expert not in held]
        for expert in needed:
            held.pop(expert, None)
            held[expert] = None
        while len(held) > self.slots:
            del held[next(iter(held))]
        return missing

    def restore(self, held: Iterable[int]) -> None:
        """Go back to these experts, least recently used first."""
        self._held = dict.fromkeys(held)
