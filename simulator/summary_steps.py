"""Sums over the table `steps`, by service, in one pass over its groups."""

from __future__ import annotations

from itertools import chain
from math import fsum
from typing import TYPE_CHECKING

import numpy as np

from edgewright.simulator.intervals import share
from edgewright.simulator.stored import groups
from edgewright.simulator.tables import Codes

if TYPE_CHECKING:
    from edgewright.simulator.intervals import Floats
    from edgewright.simulator.result_meta import Recorded

__all__ = ["RoundedOnce", "StepSums"]

_COLUMNS = ("replica", "start_s", "end_s", "iterations", "decode", "prefill_tokens", "output_tokens")


class RoundedOnce:
    """The sum of floats that come in groups, rounded once: what `math.fsum` gives of all of them.

    Whole numbers, which most are, add up as integers; so memory does not grow with them, and no float is made an object.
    """

    __slots__ = ("_rest", "_whole")

    def __init__(self) -> None:
        self._whole = 0
        self._rest: list[Floats] = []

    def add(self, values: Floats) -> None:
        """Some more."""
        whole = (np.abs(values) < 2.0**40) & (values == np.rint(values))
        self._whole += int(values[whole].astype(np.int64).sum())
        if not whole.all():
            self._rest.append(values[~whole])

    def __float__(self) -> float:
        """The sum."""
        high, low = divmod(self._whole, 1 << 53)
        return fsum(chain((float(high << 53), float(low)), *self._rest))


class StepSums:
    """Over the steps of each service within the window: tokens, prompt tokens, iterations that decode, and sequences that did so in them.

    Attributes:
        computed: positions of context that were computed, prefilled and decoded, over the whole run.
    """

    def __init__(self, run: Recorded) -> None:
        """Goes through the table once; steps that straddle an edge of the window count in proportion."""
        replicas, codes = run.tables["replicas"], Codes()
        service_of = dict(zip(replicas["replica"], replicas["service"], strict=True))
        self._sums: dict[str | None, tuple[RoundedOnce, ...]] = {None: _nothing()}
        computed = 0
        for group in groups(run.tables["steps"], _COLUMNS, coded=True):
            computed += int((group["prefill_tokens"] + group["decode"] * group["iterations"]).sum())
            within = share(group["start_s"], group["end_s"], *run.meta["window"])
            iterations = within * group["iterations"] * (group["decode"] > 0)
            added = (within * group["output_tokens"], within * group["prefill_tokens"], iterations, iterations * group["decode"])
            coded = codes.of(group["replica"])
            owners = np.array([service_of.get(name, "") for name in codes.names], dtype=object)[coded]
            for service in (None, *dict.fromkeys(owners)):
                sums, mine = self._sums.setdefault(service, _nothing()), slice(None) if service is None else owners == service
                for total, values in zip(sums, added, strict=True):
                    total.add(values[mine])
        self.computed = float(computed)

    def of(self, service: str | None) -> tuple[float, ...]:
        """The four sums of a service's steps (None: of all)."""
        return tuple(map(float, self._sums.get(service, ()))) or (0.0,) * 4


def _nothing() -> tuple[RoundedOnce, ...]:
    return tuple(RoundedOnce() for _ in range(4))
