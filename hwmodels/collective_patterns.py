"""Who sends what to whom: the message patterns that collectives are made of (`hwmodels.collectives` puts them together).

Ranks are numbered from 0, which is the root. A pattern gives the phases of its messages as fractions of the whole buffer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import permutations, zip_longest
from typing import NamedTuple

__all__ = [
    "Phase",
    "all_pairs",
    "binomial",
    "bruck",
    "chains",
    "circle",
    "doubling",
    "folded",
    "halving",
    "inward",
    "levels",
    "outward",
    "placed",
    "reversed_phases",
    "scatter",
    "side_by_side",
    "sized",
    "unfolded",
]


class Phase(NamedTuple):
    """Messages sent at the same time.

    Attributes:
        pairs: `(sender, receiver)` by rank.
        fraction: size of the largest message as a fraction of the full buffer.
        repeat: how often the phase is repeated, one after another.
        shares: size of each message as a share of the largest; empty: all alike.
        reduces: whether receivers add what they receive to what they have.
        level: phases of different levels use different parts of a network, or different distances in it.
    """

    pairs: tuple[tuple[int, int], ...]
    fraction: float
    repeat: int = 1
    shares: tuple[float, ...] = ()
    reduces: bool = False
    level: int = 0

    @property
    def sizes(self) -> tuple[float, ...]:
        """Size of each message as a fraction of the full buffer, one repetition."""
        return tuple(self.fraction * share for share in self.shares) or (self.fraction,) * len(self.pairs)


def sized(pairs: Iterable[tuple[int, int]], sizes: Iterable[float], *, level: int = 0, reduces: bool = False) -> tuple[Phase, ...]:
    """A phase of messages of these sizes; those of size 0 are not sent, and a phase without messages is none."""
    sent = [(pair, size) for pair, size in zip(pairs, sizes, strict=True) if size > 0.0]
    if not sent:
        return ()
    largest = max(size for _, size in sent)
    shares = tuple(size / largest for _, size in sent)
    return (Phase(tuple(pair for pair, _ in sent), largest, 1, () if min(shares) == 1.0 else shares, reduces, level),)


def levels(ranks: int) -> int:
    """How often one doubles from 1 to reach at least `ranks`."""
    return (ranks - 1).bit_length()


def inward(ranks: int) -> tuple[tuple[int, int], ...]:
    """Everyone to the root."""
    return tuple((rank, 0) for rank in range(1, ranks))


def outward(ranks: int) -> tuple[tuple[int, int], ...]:
    """The root to everyone."""
    return tuple((0, rank) for rank in range(1, ranks))


def circle(ranks: int, shift: int = 1) -> tuple[tuple[int, int], ...]:
    """Everyone to the rank `shift` places on."""
    return tuple((rank, (rank + shift) % ranks) for rank in range(ranks))


def all_pairs(ranks: int) -> tuple[tuple[int, int], ...]:
    """Everyone to everyone else."""
    return tuple(permutations(range(ranks), 2))


def binomial(ranks: int) -> tuple[Phase, ...]:
    """A binomial tree from the root: those who have the buffer (ranks below 2^level) each send it 2^level further."""
    return tuple(
        Phase(tuple((rank, rank + reach) for rank in range(min(reach, ranks - reach))), 1.0, level=level)
        for level, reach in enumerate(1 << level for level in range(levels(ranks)))
    )


def scatter(ranks: int) -> tuple[Phase, ...]:
    """A binomial scatter from the root: holders of the 2 d next blocks hand the upper half of them to the rank d further, d falling."""
    found: list[Phase] = []
    for level in reversed(range(levels(ranks))):
        reach = 1 << level
        pairs = [(rank, rank + reach) for rank in range(0, ranks - reach, 2 * reach)]
        found += sized(pairs, [min(reach, ranks - receiver) / ranks for _, receiver in pairs], level=level)
    return tuple(found)


def chains(ranks: int, ways: Sequence[Sequence[int]], fraction: float) -> tuple[Phase, ...]:
    """Pipelined chains side by side, each along the ranks of one way: `ranks` segments of `fraction`, a step later on each link."""
    steps = ranks + max(len(way) for way in ways) - 2
    return tuple(
        Phase(tuple((way[i], way[i + 1]) for way in ways for i in range(len(way) - 1) if 0 <= step - i < ranks), fraction)
        for step in range(steps)
    )


def bruck(ranks: int, blocks: Sequence[float]) -> tuple[Phase, ...]:
    """Bruck's pattern: at each level everyone sends `blocks[level]` of the buffer 2^level places back."""
    return tuple(Phase(circle(ranks, -(1 << level)), blocks[level], level=level) for level in range(levels(ranks)))


def folded(ranks: int) -> int:
    """How many of the first ranks pair up before an algorithm that needs a power of two: even ones hand over to their odd neighbours."""
    return 2 * (ranks - (1 << (ranks.bit_length() - 1)))


def unfolded(ranks: int, fraction: float) -> tuple[Phase, ...]:
    """Odd ranks of the pairs give their even neighbours what those need at the end; nothing for a power of two."""
    return sized([(rank + 1, rank) for rank in range(0, folded(ranks), 2)], [fraction] * (folded(ranks) // 2), level=-1)


def _active(ranks: int) -> tuple[int, ...]:
    """The ranks that go on after pairs have folded: a power of two."""
    pairs = folded(ranks)
    return (*range(1, pairs, 2), *range(pairs, ranks))


def doubling(ranks: int, fraction: float, *, reduces: bool) -> tuple[Phase, ...]:
    """Everyone exchanges `fraction` of the buffer with the rank 1, 2, 4, ... places away (of those that go on after folding)."""
    active = _active(ranks)
    return tuple(
        Phase(tuple((active[each], active[each ^ 1 << level]) for each in range(len(active))), fraction, 1, (), reduces, level)
        for level in range(levels(len(active)))
    )


def halving(ranks: int, blocks: Sequence[float]) -> tuple[Phase, ...]:
    """Reduce-scatter by recursive halving among the ranks that go on: everyone sends the half that its partner will answer for.

    `blocks`: how much of the buffer each of those ranks ends up with.
    """
    active = _active(ranks)
    found: list[Phase] = []
    for level in reversed(range(levels(len(active)))):
        reach = 1 << level
        pairs = [(each, each ^ reach) for each in range(len(active))]
        sizes = [sum(blocks[partner // reach * reach : partner // reach * reach + reach]) for _, partner in pairs]
        found += sized([(active[a], active[b]) for a, b in pairs], sizes, level=level, reduces=True)
    return tuple(found)


def reversed_phases(steps: Iterable[Phase], *, reduces: bool) -> tuple[Phase, ...]:
    """The dual: every message the other way, the phases backwards; a reduction for every distribution."""
    return tuple(step._replace(pairs=tuple((b, a) for a, b in step.pairs), reduces=reduces) for step in reversed(tuple(steps)))


def placed(steps: Iterable[Phase], ranks: Sequence[int], fraction: float = 1.0, level: int = 0) -> tuple[Phase, ...]:
    """The phases among some ranks of a larger group, over a part of its buffer."""
    return tuple(
        step._replace(pairs=tuple((ranks[a], ranks[b]) for a, b in step.pairs), fraction=step.fraction * fraction, level=level + step.level)
        for step in steps
    )


def side_by_side(parts: Iterable[Sequence[Phase]]) -> tuple[Phase, ...]:
    """Several sequences of phases in lockstep: the next phase of all begins when the last of this one has ended."""
    found: list[Phase] = []
    for together in zip_longest(*parts):
        steps = [step for step in together if step is not None]
        repeats = {step.repeat for step in steps}
        assert len(repeats) == 1, "patterns side by side are of one shape"
        pairs = [pair for step in steps for pair in step.pairs]
        sizes = [size for step in steps for size in step.sizes]
        merged = sized(pairs, sizes, level=steps[0].level, reduces=any(step.reduces for step in steps))
        found += [step._replace(repeat=repeats.pop()) for step in merged]
    return tuple(found)
