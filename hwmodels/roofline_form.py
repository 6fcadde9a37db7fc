"""The roofline of a work whose quantities are affine in a few variables, as matrices: thousands of points are priced at once.

The formula is that of `roofline`, term by term, with the divisions by rates done once: roofs become rows of seconds per unit of each
variable. What remains per point is a matrix product, a maximum per term, and a sum.

How wrong: not at all beyond `roofline`; the terms are rounded in another order (1e-15 of each).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from edgewright.hwmodels.affine import Affine
from edgewright.hwmodels.efficiency import efficiency_of
from edgewright.hwmodels.energy import dynamic_scale, flop_joules
from edgewright.hwmodels.roofline import Price, overhead, peak_of
from edgewright.hwmodels.specs import Device, Engine, stated
from edgewright.hwmodels.work import Term, Work

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

__all__ = ["RoofForm", "roof_form"]

CHUNK = 4096
"""Points whose roofs are compared at a time: their matrices stay in the cache."""


@dataclass(frozen=True, slots=True, eq=False)
class RoofForm:
    """A priced work as a function of the point `(1, variables...)`.

    Attributes:
        roofs: `(6, terms, 1 + variables)`: per term, the seconds of arithmetic, of weights and KV cache on the bus, of activations there,
            of the cache; the bytes of activations, and those by which they exceed the cache (they cross the bus where that is above 0).
        serial: by term, the exponent that joins arithmetic and memory (`Efficiency.serial`).
        linear: `(4, 1 + variables)`: seconds of overheads, bytes on the bus but for activations, joules of arithmetic, of the cache.
        joules_per_byte: of what crosses the bus.
    """

    roofs: Floats
    serial: Floats
    linear: Floats
    joules_per_byte: float

    def price(self, points: Floats) -> Price:
        """The prices at `points`, shape `(count, 1 + variables)` with 1 in the first column; arrays of that length."""
        if len(points) <= CHUNK:
            return Price(*self._prices(points))
        import numpy as np

        parts = [self._prices(points[begin : begin + CHUNK]) for begin in range(0, len(points), CHUNK)]
        return Price(*(np.concatenate(fields) for fields in zip(*parts, strict=True)))

    def over(self, groups: Sequence[Sequence[int]]) -> RoofForm:
        """The form in fewer variables: one for each group of columns, all of which have its value; the others are 0."""
        import numpy as np

        def merged(table: Floats) -> Floats:
            return np.stack([table[..., list(group)].sum(axis=-1) for group in groups], axis=-1)

        return replace(self, roofs=merged(self.roofs), linear=merged(self.linear))

    def parted(self) -> tuple[RoofForm, RoofForm]:
        """What follows the first variable alone, and the terms and sums that follow the others: prices of the two add up."""
        moves = self.roofs[:, :, 2:].any(axis=(0, 2))
        still, moving = self.linear.copy(), self.linear.copy()
        still[:, 2:], moving[:, :2] = 0.0, 0.0
        parts = ((~moves, still), (moves, moving))
        first, second = (replace(self, roofs=self.roofs[:, mine], serial=self.serial[mine], linear=linear) for mine, linear in parts)
        return first, second

    def price_one(self, point: Floats) -> Price:
        """The price at one point, in floats."""
        return Price(*(float(field[0]) for field in self._prices(point[None])))

    def _prices(self, points: Floats) -> tuple[Floats, ...]:
        """The fields of `Price`, in order."""
        import numpy as np

        compute, held, activations, cache, size, excess = np.matmul(self.roofs, points.T)
        memory = held + np.where(excess > 0.0, activations, 0.0)
        overheads, streamed, compute_joules, cache_joules = self.linear @ points.T
        bus_bytes = streamed + np.where(excess > 0.0, size, 0.0).sum(axis=0)
        fluid = np.maximum(self._joined(compute, memory), cache).sum(axis=0)
        sums = compute.sum(axis=0), memory.sum(axis=0), cache.sum(axis=0)
        return fluid, overheads, *sums, compute_joules, bus_bytes * self.joules_per_byte, cache_joules, bus_bytes

    def _joined(self, compute: Floats, memory: Floats) -> Floats:
        import numpy as np

        larger = np.maximum(compute, memory)
        if not self.serial.any():
            return larger
        ratio = np.minimum(compute, memory) / np.where(larger > 0.0, larger, 1.0)
        serial = self.serial[:, None]
        with np.errstate(divide="ignore"):
            joint: Floats = np.where(serial > 0.0, larger * (1.0 + ratio ** (1.0 / serial)) ** serial, larger)
        return joint


def roof_form(work: Work, device: Device, engine: str, clock: float, variables: int) -> RoofForm:
    """The form of a work with `Affine` quantities in so many variables; arguments and errors as in `roofline.price`."""
    import numpy as np

    unit = device.engines[engine]
    size, bandwidth, scale = 1 + variables, device.buses[unit.bus].bandwidth, dynamic_scale(unit, clock)
    count = len(work.terms)
    form = RoofForm(np.zeros((6, count, size)), np.zeros(count), np.zeros((4, size)), _bus_joules(unit, work))
    for number, term in enumerate(work.terms):
        _fill(form, number, term, unit, bandwidth, clock, scale)
    return form


def _fill(form: RoofForm, number: int, term: Term, unit: Engine, bandwidth: float, clock: float, scale: float) -> None:
    dtype, peak = peak_of(unit, term.dtype)
    efficiency, size = efficiency_of(unit, term.kernel, dtype), form.linear.shape[1]
    flops, held, activations = _row(term.flops, size), _row(term.weights + term.kv, size), _row(term.activations, size)
    launches, rate = _row(term.launches, size), bandwidth * efficiency.memory
    form.roofs[0, number] = flops / (peak * efficiency.compute * clock)
    form.roofs[1, number], form.roofs[2, number] = held / rate, activations / rate
    form.roofs[4, number], form.roofs[5, number, 0] = activations, 1.0
    form.serial[number] = efficiency.serial
    form.linear[0] += launches * overhead(unit, efficiency.ramp, clock)
    form.linear[1] += held
    form.linear[2] += flops * (flop_joules(unit, dtype) * scale)
    if unit.cache_bandwidth:
        total = held + activations
        form.roofs[3, number] = total / (unit.cache_bandwidth * clock)
        form.roofs[5, number] = activations - unit.cache_bytes * launches
        form.linear[3] += total * (stated(unit, "joules_per_cache_byte", unit.joules_per_cache_byte) * scale)


def _bus_joules(unit: Engine, work: Work) -> float:
    return stated(unit, "joules_per_byte", unit.joules_per_byte) if work.terms else 0.0


def _row(quantity: Any, size: int) -> Floats:
    """The coefficients of an affine quantity, or of a number."""
    import numpy as np

    row = np.zeros(size)
    if isinstance(quantity, Affine):
        row[:] = quantity.coefficients
    else:
        row[0] = quantity
    return row
