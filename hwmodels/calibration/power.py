"""What a machine draws: idle, with its cores spinning, computing and streaming; from spans of known work and whatever can be read.

    watts = idle_W + static_W + joules_per_flop x operations/s + joules_per_byte x bytes/s

Four spans on all cores tell the four apart, each with those before it known: nothing; a chase of pointers within the first-level cache,
which computes and streams next to nothing; multiply-adds in registers; a stream through memory. The energy per operation of other formats
is inverse to their peaks, as `hwmodels.energy` has it. What a span does not show (a difference below 2 % of what is drawn anyhow) is
unavailable, never 0.

How wrong: the chase does spend some energy, which counts as static; caches' energy is in that of memory. A reader's scope is its own: a
package without its memory, a plug with fans and supply.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np

from edgewright.hwmodels.calibration.readers import Reader, Reading, used
from edgewright.hwmodels.calibration.suite import COLD
from edgewright.hwmodels.kernel_work import kernel_work
from edgewright.kernels import ThisHost, kernel
from edgewright.kernels.runners import running

if TYPE_CHECKING:
    from edgewright.kernels.runners import Call

__all__ = ["SPANS", "MachinePower", "Span", "figures_of", "machine_power", "work_for"]

_SECONDS = 2.0
_BATCH_SECONDS = 0.1
_RESOLVED = 1.02


@dataclass(frozen=True, slots=True)
class Span:
    """Energy over a time, and the operations and bytes of all cores in it."""

    reading: Reading
    operations: float = 0.0
    bytes: float = 0.0

    @property
    def watts(self) -> float | None:
        """Mean power, None where it could not be read."""
        joules, seconds = self.reading.joules, self.reading.seconds
        return joules / seconds if joules is not None and seconds > 0.0 else None


@dataclass(frozen=True, slots=True)
class MachinePower:
    """What was found.

    Attributes:
        idle: of the span in which nothing was done.
        figures: `idle_W`, `static_W`, `joules_per_flop` (fp32) and `joules_per_byte`; None where it is unavailable.
    """

    idle: Reading
    figures: Mapping[str, float | None] = field(default_factory=dict)

    @classmethod
    def of_idle(cls, idle: Reading) -> MachinePower:
        """Nothing but what was drawn idle."""
        return cls(idle, figures_of({"idle": Span(idle)}))


SPANS: Mapping[str, tuple[str, tuple[int, ...], str]] = {
    "static": ("chase", (2**8, 2**14), "uint64"),
    "arithmetic": ("peak_fp32", (768 * 2048,), "fp32"),
    "stream": ("read", (COLD // 4, 1), "fp32"),
}
"""The work of each span: a kernel, its shape and format."""


def machine_power(
    source: Reader | Reading,
    cores: int,
    rest: Callable[[float], object],
    seconds: float = _SECONDS,
    watch: Callable[[str], None] = lambda _: None,
) -> MachinePower:
    """Time the spans, if there is anything to read; `rest` waits for so many seconds, and `watch` hears what is next."""
    if isinstance(source, Reading):
        return MachinePower.of_idle(source)
    watch("idle")
    spans = {"idle": Span(used(source, lambda: rest(seconds)))}
    for name, (kernel_name, shape, dtype) in SPANS.items():
        watch(name)
        act = work_for(kernel_name, shape, dtype, cores, seconds)
        done: list[float] = []
        reading = used(source, lambda act=act, done=done: done.append(act()))  # type: ignore[misc]
        asked = () if name == "static" else kernel_work(kernel_name, shape, dtype).terms
        operations, moved = (sum(float(getattr(term, part)) for term in asked) * done[0] for part in ("flops", "bytes"))
        spans[name] = Span(reading, operations, moved)
    return MachinePower(spans["idle"].reading, figures_of(spans))


def figures_of(spans: Mapping[str, Span]) -> dict[str, float | None]:
    """The four figures of the four spans; of a span that is missing or unavailable, and of what builds on it, None."""
    found: dict[str, float | None] = {"idle_W": _above(spans.get("idle"), [])}
    known = [found["idle_W"]]
    static = found["static_W"] = _above(spans.get("static"), known)
    known.append(static)
    for name, figure, part in (("arithmetic", "joules_per_flop", "operations"), ("stream", "joules_per_byte", "bytes")):
        span = spans.get(name)
        extra = _above(span, known)
        amount = 0.0 if span is None else getattr(span, part)
        found[figure] = None if extra is None or span is None or not amount else extra * span.reading.seconds / amount
    return found


def work_for(name: str, shape: tuple[int, ...], dtype: str, cores: int, seconds: float) -> Callable[[], float]:
    """An act that calls a kernel on so many cores for about so long, and gives how many calls all of them made; operands are ready then."""
    chosen, generator = kernel(name), np.random.default_rng(0)
    calls: list[list[Call]] = [[chosen.bound(chosen.operands(shape, dtype, generator))] for _ in range(cores)]
    for each in calls:
        each[0]()

    def act() -> float:
        made = 0
        with ExitStack() as stack:
            runner = stack.enter_context(running(ThisHost(), calls, None))
            start, batch = monotonic(), 1
            while monotonic() - start < seconds:
                per_call = runner(batch)
                made += batch
                batch = max(1, round(_BATCH_SECONDS / max(per_call, 1e-9)))
        return float(made * cores)

    return act


def _above(span: Span | None, known: Sequence[float | None]) -> float | None:
    """Watts of a span above what is known; None where anything of it is not, or nothing is left."""
    watts = None if span is None else span.watts
    below = [each for each in known if each is not None]
    if watts is None or len(below) < len(known) or watts <= _RESOLVED * sum(below):
        return None
    return watts - sum(below)
