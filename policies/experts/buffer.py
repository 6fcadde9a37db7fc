"""A buffer of experts of all layers, with EdgeMoE's eviction.

Yi et al., IEEE TMC 2025: when the buffer is full, the expert goes that is used rarely and whose layer comes up last: the least `f / D`,
where `f` counts its uses and `D = (its layer - current layer) mod layers` is how far ahead its layer is. `D = 0`, the layer being
computed, goes last, and of it what is not in use. (As printed, the paper's denominator is the distance backward, which would protect
the layer just left against the stated intent; the forward distance is used here.)
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["ExpertBuffer"]


class ExpertBuffer:
    """At most `slots` experts as `(layer, expert)`, layers counted from 0.

    Where a layer needs more than fit, the surplus is read, used and dropped.
    """

    __slots__ = ("_held", "_layers", "_uses", "slots")

    def __init__(self, slots: int, layers: int) -> None:
        self.slots = slots
        self._layers = layers
        self._held: dict[tuple[int, int], None] = {}
        self._uses: dict[tuple[int, int], int] = {}

    def __contains__(self, expert: tuple[int, int]) -> bool:
        return expert in self._held

    def __len__(self) -> int:
        return len(self._held)

    def use(self, layer: int, experts: Sequence[int]) -> None:
        """The layer uses these experts, which are in memory now: keep them, and as much of the rest as fits."""
        for expert in experts:
            key = (layer, expert)
            self._uses[key] = self._uses.get(key, 0) + 1
            self._held[key] = None
        wanted = set(experts)
        idle = sorted((key for key in self._held if key[0] != layer or key[1] not in wanted), key=lambda key: self._worth(key, layer))
        for key in idle[: max(0, len(self._held) - self.slots)]:
            del self._held[key]
        while len(self._held) > self.slots:
            del self._held[next(iter(self._held))]

    def _worth(self, key: tuple[int, int], current: int) -> tuple[bool, float, tuple[int, int]]:
        ahead = (key[0] - current) % self._layers
        return ahead == 0, self._uses[key] / (ahead or 1), key
