"""Prices of the express loop: the roofline of a run of steps, in which only the context grows.

Every roof of every term is a line over the tokens of context (`hwmodels.roofline_form`), so a term whose binding roof is the same in the
first and in the last step of a run adds to one line for all of them; only terms that change their roof within it are looked at step by
step. Importing this module imports Numba.
"""

from __future__ import annotations

from edgewright.simulator import express_books as at
from edgewright.simulator.express_books import Books
from edgewright.simulator.express_jit import compiled

__all__ = ["begin_run", "bent_roofs", "set_price"]


@compiled
def set_price(b: Books, case: int, decode: float, prefill: float, emits: float, context: float, pairs: float, reads: float) -> None:
    """The price of a run of steps of a case, as lines over the tokens of context beyond `context`, of which each step adds `decode`."""
    roofs, linear, point = b.roofs, b.linear, b.point
    point[0], point[1], point[2], point[3] = 1.0, decode, prefill, emits
    point[5], point[6], point[7] = context, pairs, reads
    for roof in range(6):
        for term in range(roofs.shape[2]):
            constant = 0.0
            for place in range(8):
                constant += roofs[case, roof, term, place] * point[place]
            b.line[0, roof, term], b.line[1, roof, term] = constant, roofs[case, roof, term, 5]
    for part in range(4):
        constant = 0.0
        for place in range(8):
            constant += linear[case, part, place] * point[place]
        b.flat[0, part], b.flat[1, part] = constant, linear[case, part, 5]
    b.clock[at.HOST] = b.clock[at.HOST_STEP] + b.clock[at.HOST_SEQUENCE] * emits
    _straighten(b, case, decode * (b.counts[at.ITERATIONS] - 1))


@compiled
def _straighten(b: Books, case: int, span: float) -> None:
    """Add up the terms whose binding roof is the same at both ends of the run: roofs are lines, so it binds between them, too.

    The others are bent, and priced step by step.
    """
    b.flat[0, 4] = b.flat[1, 4] = b.flat[0, 5] = b.flat[1, 5] = 0.0
    b.counts[at.BENT] = 0
    for term in range(b.roofs.shape[2]):
        first, last = _binding(b, term, 0.0), _binding(b, term, span)
        if b.serial[case, term] > 0.0 or first != last:
            b.bent[b.counts[at.BENT]] = term
            b.counts[at.BENT] += 1
            continue
        for end in range(2):
            if first % 3 == 1:
                b.flat[end, 4] += b.line[end, 1, term] + (b.line[end, 2, term] if first >= 3 else 0.0)
            else:
                b.flat[end, 4] += b.line[end, 3 if first % 3 == 2 else 0, term]
            b.flat[end, 5] += b.line[end, 4, term] if first >= 3 else 0.0


@compiled
def _spills(b: Books, term: int, further: float) -> bool:
    spills: bool = b.line[0, 5, term] + further * b.line[1, 5, term] > 0.0
    return spills


@compiled
def _roof(b: Books, roof: int, term: int, further: float) -> float:
    seconds: float = b.line[0, roof, term] + further * b.line[1, roof, term]
    return seconds


@compiled
def _binding(b: Books, term: int, further: float) -> int:
    """Which roof of a term binds: 0 arithmetic, 1 memory, 2 cache; 3 more where its activations cross the bus."""
    spills = _spills(b, term, further)
    compute, memory = _roof(b, 0, term, further), _roof(b, 1, term, further) + (_roof(b, 2, term, further) if spills else 0.0)
    found = 2 if _roof(b, 3, term, further) > max(compute, memory) else 0 if compute > memory else 1
    return found + 3 * spills


@compiled
def bent_roofs(b: Books, case: int, further: float) -> tuple[float, float]:
    """Seconds of the roofs, and bytes of activations on the bus, of the terms that are bent."""
    fluid, spilled = 0.0, 0.0
    for place in range(b.counts[at.BENT]):
        term = b.bent[place]
        compute, memory = _roof(b, 0, term, further), _roof(b, 1, term, further)
        if _spills(b, term, further):
            memory += _roof(b, 2, term, further)
            spilled += _roof(b, 4, term, further)
        larger, serial = max(compute, memory), b.serial[case, term]
        if serial > 0.0 and larger > 0.0:
            larger *= (1.0 + (min(compute, memory) / larger) ** (1.0 / serial)) ** serial
        fluid += max(larger, _roof(b, 3, term, further))
    return fluid, spilled


@compiled
def begin_run(b: Books, case: int) -> None:
    """The first step of a run, whose price is set, begins."""
    clock, flat = b.clock, b.flat
    fluid, spilled = bent_roofs(b, case, 0.0)
    clock[at.STARTED] = clock[at.ENDED] = clock[at.NOW]
    b.counts[at.DONE], b.counts[at.WAITING] = 0, b.counts[at.TAIL] - b.counts[at.HEAD] + b.counts[at.ASIDE]
    clock[at.LATENCY], clock[at.STEP_BYTES], clock[at.STEP_ENGINE_J] = (
        flat[0, 0],
        flat[0, 1] + flat[0, 5] + spilled,
        flat[0, 2] + flat[0, 3],
    )
    clock[at.FLUID] = max(flat[0, 4] + fluid, clock[at.STEP_BYTES] / clock[at.BANDWIDTH])
    clock[at.END] = clock[at.ENDED] + (clock[at.HOST] + (clock[at.LATENCY] + clock[at.FLUID]))
