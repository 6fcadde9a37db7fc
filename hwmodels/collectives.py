"""Collective communication as phases of messages, the form in which its alpha-beta cost is exact.

Hockney's model (a message of n bytes takes a + n/B; Parallel Computing 20(3), 1994) and the algorithms of Thakur, Rabenseifner and
Gropp, "Optimization of collective communication operations in MPICH", IJHPCA 19(1), 2005. `nbytes` is one device's full buffer: the
input of `allreduce`, `reduce`, `reducescatter` and `alltoall`, the output of `broadcast` and `allgather`; of `shift` and `ringpass`
it is the block that each device sends on. With N devices on a full-duplex switch, links of B bytes/s, a latency of a seconds,
L = ceil(log2 N), P the largest power of two in N and l = log2 P:

    | kind          | ring                  | star                           | tree                | direct              |
    | allreduce     | 2(N-1) (a + n/(N B))  | 2 (a + (N-1) n/B)              | 2 L (a + n/B)       | a + (N-1) n/B       |
    | broadcast     | 2(N-1) (a + n/(N B))  | a + (N-1) n/B                  | L (a + n/B)         | as star             |
    | reduce        | as broadcast          | as broadcast                   | as broadcast        | as star             |
    | allgather     | (N-1) (a + n/(N B))   | 2a + ((N-1) + (N-1)^2) n/(N B) | L a + (N-1)/N n/B   | a + (N-1)/N n/B     |
    | reducescatter | as allgather          | as allgather                   | as allgather        | as allgather        |
    | alltoall      | (N-1) (a + n/(N B))   | 2 (a + (N-1)^2/N n/B)          | Bruck: L of ~n/2    | a + (N-1)/N n/B     |
    | shift         | a + n/B               |                                |                     |                     |
    | ringpass      | (N-1) (a + n/B)       |                                |                     |                     |

    | kind          | recursive_doubling         | halving_doubling, N = P           | N > P: besides                      |
    | allreduce     | l (a + n/B)                | 2 l a + 2 (P-1)/P n/B             | 2 (a + n/B): pairs fold, and unfold |
    | reducescatter | l a + (P-1)/P n/B, halving | as recursive_doubling             | a + n/B, and a + n/(N B)            |
    | allgather     | l a + (P-1)/P n/B          | as recursive_doubling             | nothing: Bruck's, as in a tree      |
    | broadcast     | as tree                    | 2 L a + 2 (N-1)/N n/B             | nothing (binomial scatter, Bruck)   |
    | reduce        | as tree                    | as broadcast                      |                                     |

`bidirectional_ring` sends half of a buffer each way round (of an all-gather and ring pass: every block half of the way in each direction,
so that N-1 phases become ceil((N-1)/2)); it gains where both neighbours have links of their own, not behind one port of a switch, which
then carries both ways. `direct` sends everything at once; its broadcast and reduction are the star's. `hierarchical` needs `groups`
(nodes of several devices): an all-reduce is a reduce-scatter within groups of g devices, all-reduces of n/g between the groups' peers,
an all-gather within groups; other kinds likewise, all by rings, and an all-to-all by pairs. Groups of unlike size go through leaders, by
trees within and a ring between them. The ring broadcast is a pipelined chain of N segments. N > P is treated as MPICH does.

An all-to-all may be uneven: `shares[i][j]` of `nbytes` go from i to j. The arithmetic of a reduction is not in it (gamma): it is work of
the devices (`policies.plan.Collective.arithmetic`), one operation per element and message received in a phase that `reduces`.

Under contention a collective runs stage by stage (`stages`): phases that load the devices' links alike are one demand, and others wait for
their turn. A ring is one stage, a star two, a tree L.

How accurate is this model? Large buffers on dedicated links: within 10-15 %. Small ones depend on the software's alpha, which is
the links' latency and per-message figures. Skew between devices, and protocol changes of a library with size, are not in it (what those
of NCCL cost is in `hwmodels.collective_library`, which plans do not use). Within a stage latencies come before bytes, which a foreign flow
sees as one long pause instead of many short ones. The shifts of a pairwise all-to-all are one stage though on a network of several switches
each loads others of its links: there a foreign flow, or the loss of a link's capacity, is felt at the mean over the shifts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgewright.hwmodels.collective_groups import hierarchical
from edgewright.hwmodels.collective_patterns import (
    Phase,
    all_pairs,
    binomial,
    bruck,
    chains,
    circle,
    doubling,
    folded,
    halving,
    inward,
    levels,
    outward,
    reversed_phases,
    scatter,
    sized,
    unfolded,
)

__all__ = ["ALGORITHMS", "KINDS", "Phase", "algorithms", "loads", "phases", "stages"]

KINDS = ("allreduce", "broadcast", "reduce", "allgather", "reducescatter", "alltoall", "shift", "ringpass")
"""What a collective does, as in MPI; `shift` sends every device's block to the next one, `ringpass` all the way round."""

ALGORITHMS = (
    "ring",
    "bidirectional_ring",
    "star",
    "direct",
    "tree",
    "recursive_doubling",
    "halving_doubling",
    "hierarchical",
)
"""How its messages travel."""

Shares = Sequence[Sequence[float]]
Groups = Sequence[Sequence[int]]


def algorithms(kind: str) -> tuple[str, ...]:
    """The algorithms that a kind of collective has; raises `ValueError` for an unknown kind."""
    if kind not in KINDS:
        raise ValueError(f"unknown collective {kind!r}: accepted are {', '.join(KINDS)}")
    if kind == "shift":
        return ALGORITHMS[:1]
    if kind == "ringpass":
        return ALGORITHMS[:2]
    return tuple(name for name in ALGORITHMS if kind != "alltoall" or not name.endswith("doubling"))


def phases(kind: str, ranks: int, algorithm: str, groups: Groups = (), shares: Shares | Sequence[float] = ()) -> tuple[Phase, ...]:
    """The phases of a collective over `ranks` devices, in order; rank 0 is the root. Empty for a single device.

    Args:
        kind: one of `KINDS`.
        ranks: number of devices.
        algorithm: one of `algorithms(kind)`.
        groups: ranks by group, for `hierarchical`: every rank in one of them.
        shares: of an uneven all-to-all: `shares[i][j]` of the buffer go from rank i to rank j; or one row, alike for every sender.

    Raises:
        ValueError: for anything else.
    """
    if algorithm not in algorithms(kind):
        raise ValueError(f"unknown algorithm {algorithm!r} of collective {kind!r}: accepted are {', '.join(algorithms(kind))}")
    if ranks < 1:
        raise ValueError("a collective needs at least one device")
    if shares and kind != "alltoall":
        raise ValueError(f"collective {kind!r} has no shares: expected them of an alltoall only")
    if ranks == 1:
        return ()
    if algorithm == "hierarchical":
        return hierarchical(kind, _partition(groups, ranks), phases, _matrix(shares, ranks))
    if kind == "alltoall":
        return _alltoall(ranks, algorithm, _matrix(shares, ranks))
    return _BUILDERS[kind](ranks, algorithm)


def stages(steps: Sequence[Phase]) -> tuple[tuple[Phase, ...], ...]:
    """Phases that load every device's links in the same proportions, taken together; one after another."""
    found: list[list[Phase]] = []
    for step in steps:
        if found and found[-1][-1].level == step.level and _profile(found[-1][-1]) == _profile(step):
            found[-1].append(step)
        else:
            found.append([step])
    return tuple(map(tuple, found))


def loads(steps: Sequence[Phase], *, reducing: bool = False) -> dict[int, tuple[float, int]]:
    """What each rank receives: fraction of the buffer, and number of messages; `reducing`: only what it adds to its own."""
    found: dict[int, tuple[float, int]] = {}
    for step in steps:
        for (_, receiver), size in zip(step.pairs, step.sizes, strict=True):
            if step.reduces or not reducing:
                fraction, count = found.get(receiver, (0.0, 0))
                found[receiver] = (fraction + size * step.repeat, count + step.repeat)
    return dict(sorted(found.items()))


def _profile(step: Phase) -> tuple[tuple[tuple[int, bool], float], ...]:
    """What each rank sends and receives, relative to the most."""
    found: dict[tuple[int, bool], float] = {}
    for pair, size in zip(step.pairs, step.sizes, strict=True):
        for place, rank in enumerate(pair):
            found[rank, bool(place)] = found.get((rank, bool(place)), 0.0) + size
    most = max(found.values())
    return tuple(sorted((port, round(amount / most, 12)) for port, amount in found.items()))


def _partition(groups: Groups, ranks: int) -> tuple[tuple[int, ...], ...]:
    if sorted(rank for group in groups for rank in group) != list(range(ranks)):
        raise ValueError(f"a hierarchical collective needs groups: expected ranks 0 to {ranks - 1}, each in one of them, not {groups!r}")
    return tuple(sorted(tuple(sorted(group)) for group in groups if group))


def _matrix(shares: Shares | Sequence[Any], ranks: int) -> tuple[tuple[float, ...], ...]:
    """The share of the buffer that goes from each rank to each."""
    if not shares:
        return ((1.0 / ranks,) * ranks,) * ranks
    rows = tuple(tuple(row) for row in shares) if isinstance(shares[0], Sequence) else (tuple(shares),) * ranks
    if len(rows) != ranks or any(len(row) != ranks for row in rows) or not all(share >= 0.0 for row in rows for share in row):
        raise ValueError(f"shares {shares!r} are not {ranks} by {ranks} figures of zero or more: expected what goes from each rank to each")
    return rows


def _halves(ranks: int) -> tuple[int, int]:
    """How far a block goes either way round, so that it reaches everyone."""
    return ranks // 2, (ranks - 1) // 2


def _both_ways(ranks: int, fraction: float) -> tuple[Phase, ...]:
    """Every block half of the way round in each direction; the last step of an even circle is needed in one of them only."""
    onwards, back = _halves(ranks)
    found = (Phase(circle(ranks) + circle(ranks, -1), fraction, back),) if back else ()
    return found + ((Phase(circle(ranks), fraction),) if onwards > back else ())


def _broadcast(ranks: int, algorithm: str) -> tuple[Phase, ...]:
    onwards, back = _halves(ranks)
    match algorithm:
        case "star" | "direct":
            return (Phase(outward(ranks), 1.0),)
        case "ring":
            return chains(ranks, [range(ranks)], 1.0 / ranks)
        case "bidirectional_ring":
            return chains(ranks, [range(onwards + 1), [0, *range(ranks - 1, ranks - 1 - back, -1)]], 1.0 / ranks)
        case "halving_doubling":
            return scatter(ranks) + _allgather(ranks, "recursive_doubling")
        case _:
            return binomial(ranks)


def _allgather(ranks: int, algorithm: str) -> tuple[Phase, ...]:
    match algorithm:
        case "ring":
            return (Phase(circle(ranks), 1.0 / ranks, ranks - 1),)
        case "bidirectional_ring":
            return _both_ways(ranks, 1.0 / ranks)
        case "star":
            return (Phase(inward(ranks), 1.0 / ranks), Phase(outward(ranks), (ranks - 1) / ranks))
        case "direct":
            return (Phase(all_pairs(ranks), 1.0 / ranks),)
        case "recursive_doubling" | "halving_doubling" if not folded(ranks):
            return reversed_phases(halving(ranks, (1.0 / ranks,) * ranks), reduces=False)
        case _:
            return bruck(ranks, [min(1 << level, ranks - (1 << level)) / ranks for level in range(levels(ranks))])


def _reduce(ranks: int, algorithm: str) -> tuple[Phase, ...]:
    if algorithm == "halving_doubling":
        gathering = reversed_phases(scatter(ranks), reduces=False)
        return reversed_phases(_allgather(ranks, "recursive_doubling"), reduces=True) + gathering
    return reversed_phases(_broadcast(ranks, algorithm), reduces=True)


def _reducescatter(ranks: int, algorithm: str) -> tuple[Phase, ...]:
    if algorithm == "star":
        return (Phase(inward(ranks), (ranks - 1) / ranks, reduces=True), Phase(outward(ranks), 1.0 / ranks))
    if algorithm.endswith("doubling"):
        pairs, power = folded(ranks) // 2, ranks - folded(ranks) // 2
        blocks = (2.0 / ranks,) * pairs + (1.0 / ranks,) * (power - pairs)
        return _fold(ranks) + halving(ranks, blocks) + unfolded(ranks, 1.0 / ranks)
    return reversed_phases(_allgather(ranks, algorithm), reduces=True)


def _fold(ranks: int) -> tuple[Phase, ...]:
    return reversed_phases(unfolded(ranks, 1.0), reduces=True)


def _allreduce(ranks: int, algorithm: str) -> tuple[Phase, ...]:
    match algorithm:
        case "ring" | "bidirectional_ring":
            pairs = circle(ranks) if algorithm == "ring" else circle(ranks) + circle(ranks, -1)
            part = Phase(pairs, ranks / len(pairs) / ranks, ranks - 1, reduces=True)
            return (part, part._replace(reduces=False))
        case "direct":
            return (Phase(all_pairs(ranks), 1.0, reduces=True),)
        case "recursive_doubling":
            return _fold(ranks) + doubling(ranks, 1.0, reduces=True) + unfolded(ranks, 1.0)
        case "halving_doubling":
            power = ranks - folded(ranks) // 2
            scattering = halving(ranks, (1.0 / power,) * power)
            return _fold(ranks) + scattering + reversed_phases(scattering, reduces=False) + unfolded(ranks, 1.0)
        case _:
            return _reduce(ranks, algorithm) + _broadcast(ranks, algorithm)


def _alltoall(ranks: int, algorithm: str, shares: Shares) -> tuple[Phase, ...]:
    match algorithm:
        case "ring":
            return tuple(step for shift in range(1, ranks) for step in _shifted(ranks, (shift,), shares))
        case "bidirectional_ring":
            both = [sorted({shift, ranks - shift}) for shift in range(1, ranks // 2 + 1)]
            return tuple(step for shifts in both for step in _shifted(ranks, shifts, shares))
        case "direct":
            return sized(all_pairs(ranks), [shares[a][b] for a, b in all_pairs(ranks)])
        case "star":
            sent = [sum(shares[rank]) - shares[rank][rank] for rank in range(1, ranks)]
            taken = [sum(row[rank] for row in shares) - shares[rank][rank] for rank in range(1, ranks)]
            return sized(inward(ranks), sent) + sized(outward(ranks), taken)
        case _:
            return tuple(step for level in range(levels(ranks)) for step in _forwarded(ranks, level, shares))


def _shifted(ranks: int, shifts: Sequence[int], shares: Shares) -> tuple[Phase, ...]:
    """Everyone to those so many places on."""
    pairs = [pair for shift in shifts for pair in circle(ranks, shift)]
    return sized(pairs, [shares[a][b] for a, b in pairs])


def _forwarded(ranks: int, level: int, shares: Shares) -> tuple[Phase, ...]:
    """Bruck: blocks whose distance has the level's bit go 2^level on, from where the lower bits have brought them."""
    pairs = circle(ranks, 1 << level)
    far = [distance for distance in range(1, ranks) if distance >> level & 1]
    sizes = []
    for holder, _ in pairs:
        origins = [((holder - distance % (1 << level)) % ranks, distance) for distance in far]
        sizes.append(sum(shares[origin][(origin + distance) % ranks] for origin, distance in origins))
    return sized(pairs, sizes, level=level)


def _shift(ranks: int, algorithm: str) -> tuple[Phase, ...]:
    return (Phase(circle(ranks), 1.0),)


def _ringpass(ranks: int, algorithm: str) -> tuple[Phase, ...]:
    return (Phase(circle(ranks), 1.0, ranks - 1),) if algorithm == "ring" else _both_ways(ranks, 1.0)


_BUILDERS: Mapping[str, Callable[[int, str], tuple[Phase, ...]]] = {
    "allreduce": _allreduce,
    "broadcast": _broadcast,
    "reduce": _reduce,
    "allgather": _allgather,
    "reducescatter": _reducescatter,
    "shift": _shift,
    "ringpass": _ringpass,
}
