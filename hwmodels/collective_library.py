"""What a collective costs through NCCL: which algorithm and protocol it chooses, and the costs that these are made of.

NCCL sends by one of three protocols (Hu et al., "Demystifying NCCL", 2025): LL (8-byte words, half of them flags: no waiting, half the
rate), LL128 (128-byte lines with 8 of flags) and Simple (large chunks behind memory fences). It takes the algorithm and protocol for which
its own model, latency + bytes / rate with constants by algorithm, protocol and kind of link, is least; the constants here are those of
`src/graph/tuning.cc` (NCCL 2.12 to 2.27, Ampere). Where it switches follows from them, with nothing fitted: from LL to Simple in an
all-reduce of 2 A100s between 512 KiB and 1 MiB (592 kB), in an all-gather of 2 and of 4 between 1 and 2 MiB (1.1 and 1.6 MB), as
measured. What the choice then takes is not what that model says, which knows neither the call nor the kernel's start. It is priced as

    base + steps * hop + (start, if Simple) + bytes on the wire / (reach * link) + own block / copy rate

with costs per (system, library) that a fit finds (`experiments.validation.collectives`). All of them enter linearly.

How wrong: constants change a little with versions, and those of trees and networks are not checked by what is measured here. Trees are for
all-reduces only, NVLS and CollNet are missing, and so are the steps in the number of channels, which make LL up to
20 % slower at 32 to 128 kB than the straight line here. Between nodes rates are those of the network alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, log2
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

__all__ = ["KINDS", "PROTOCOLS", "Chosen", "Fabric", "chosen", "cost_terms", "library_seconds"]

Protocol: TypeAlias = Literal["LL", "LL128", "Simple"]

PROTOCOLS: tuple[Protocol, ...] = ("LL", "LL128", "Simple")
"""NCCL's protocols, from the least latency to the highest rate."""

KINDS = ("all_reduce", "all_gather", "reduce_scatter", "alltoall", "send_recv")
"""What there are costs of."""

_BASE = MappingProxyType({"ring": (6.6e-6, 14.0e-6, 8.4e-6), "tree": (6.8e-6, 14.0e-6, 8.4e-6)})
_HOP: Mapping[tuple[str, str], tuple[float, float, float]] = MappingProxyType(
    {
        ("nvlink", "ring"): (0.6e-6, 1.9e-6, 3.4e-6),
        ("nvlink", "tree"): (0.6e-6, 1.25e-6, 4.0e-6),
        ("pci", "ring"): (1.0e-6, 2.5e-6, 5.7e-6),
        ("pci", "tree"): (1.0e-6, 1.9e-6, 5.0e-6),
        ("net", "ring"): (2.7e-6, 4.0e-6, 14.0e-6),
        ("net", "tree"): (5.0e-6, 8.5e-6, 14.0e-6),
    }
)
_LL_MOST = (87.7e9, 22.5e9, 19.0e9)
"""Bytes per second that LL reaches at most on Ampere, over 1, 2 and more nodes."""


@dataclass(frozen=True, slots=True)
class Fabric:
    """What joins the devices of a collective.

    Attributes:
        kind: `nvlink` or `pci`, inside a node.
        inside: bytes/s of a device's link in its node, one way; `tuned` what the library takes it for.
        between: bytes/s of one network port; 0 if there is one node. The library takes it at its word.
        ports: network ports of a node that its devices share.
    """

    kind: Literal["nvlink", "pci"]
    inside: float
    tuned: float
    between: float = 0.0
    ports: int = 1


class Chosen(NamedTuple):
    """An algorithm (`ring`, `tree` or `pairs`: everyone to everyone directly) and a protocol."""

    algorithm: str
    protocol: Protocol


def chosen(kind: str, ranks: int, per_node: int, nbytes: float, fabric: Fabric) -> Chosen:
    """What NCCL takes for `nbytes` of the whole buffer over `ranks` devices, `per_node` of them in each node."""
    if kind in ("alltoall", "send_recv"):
        return Chosen("pairs", "Simple")
    found, least = Chosen("ring", "Simple"), inf
    for algorithm in ("ring", "tree") if kind == "all_reduce" else ("ring",):
        for index, protocol in enumerate(PROTOCOLS):
            seconds = _believed(kind, ranks, per_node, nbytes, fabric, algorithm, index)
            if seconds < least:
                found, least = Chosen(algorithm, protocol), seconds
    return found


def cost_terms(kind: str, ranks: int, per_node: int, nbytes: float, fabric: Fabric) -> dict[str, float]:
    """How much of each cost a collective takes: `seconds = sum(cost * amount)`.

    Costs: `base` seconds per call; `hop.PROTOCOL` per step inside a node; `start` of Simple; `wire.PROTOCOL`, how often the nominal time of
    the wire; `copy`, likewise of the own block; `pair` and `pair.wire` of point-to-point calls; `net.hop`, `net.wire`, `net.pair` between
    nodes. Raises `ValueError` for an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown collective {kind!r} of the library: accepted are {', '.join(KINDS)}")
    algorithm, protocol = chosen(kind, ranks, per_node, nbytes, fabric)
    nodes, steps = max(1, ranks // per_node), _steps(kind, ranks)
    within = fabric.inside if nodes == 1 else fabric.between * min(per_node, fabric.ports)
    own = nbytes / ranks / fabric.inside
    if algorithm == "pairs":
        wire = nbytes if kind == "send_recv" else nbytes * (ranks - 1) / ranks
        terms = {"base": 1.0, "pair": 1.0, "pair.wire" if nodes == 1 else "net.pair": wire / within}
        return terms | ({"copy": own} if kind == "alltoall" else {}) | ({"net.hop": 1.0} if nodes > 1 else {})
    across = _across(kind, ranks, nodes) if algorithm == "ring" else 2.0 * log2(nodes)
    hops = steps - across if algorithm == "ring" else 2.0 * (per_node - 1)
    wire = nbytes * steps / ranks if algorithm == "ring" else 2.0 * nbytes
    terms = {"base": 1.0, f"hop.{protocol}": hops, "copy": own}
    if protocol == "Simple":
        terms["start"] = 1.0
    if nodes == 1:
        return terms | {f"wire.{protocol}": wire / within}
    flags = 2.0 if protocol == "LL" else 1.0
    return terms | {"net.hop": across, "net.wire": flags * wire / within}


def library_seconds(terms: Mapping[str, float], costs: Mapping[str, float]) -> float:
    """Seconds of a call with these terms; raises `KeyError` for a cost that is not known."""
    return sum(costs[name] * amount for name, amount in terms.items())


def _steps(kind: str, ranks: int) -> int:
    return 2 * (ranks - 1) if kind == "all_reduce" else ranks - 1


def _across(kind: str, ranks: int, nodes: int) -> int:
    """Steps of a ring that cross between nodes."""
    return 0 if nodes == 1 else min(_steps(kind, ranks), 2 * nodes if kind == "all_reduce" else nodes - 1)


def _believed(kind: str, ranks: int, per_node: int, nbytes: float, fabric: Fabric, algorithm: str, protocol: int) -> float:
    """Seconds by NCCL's own model."""
    nodes, steps = max(1, ranks // per_node), _steps(kind, ranks)
    rate = fabric.tuned if nodes == 1 else fabric.between * min(per_node, fabric.ports)
    inside, outside = _HOP[fabric.kind, algorithm][protocol], _HOP["net", algorithm][protocol]
    most = _LL_MOST[min(nodes, 3) - 1]
    if algorithm == "ring":
        share = (min(most, rate * (1 / 4 if nodes > 1 or kind == "all_reduce" else 1 / 3)), rate * (0.7 if per_node < 2 else 0.92), rate)
        across = _across(kind, ranks, nodes)
        latency = (steps - across) * inside + across * outside
        return _BASE[algorithm][protocol] + latency + nbytes * steps / ranks / share[protocol]
    tree = 0.92 * rate
    share = (min(most, tree / 3.8), tree * (7 / 9 if nodes == 1 else 120 / 128), tree)
    latency = 2.0 * ((per_node - 1) * inside + log2(nodes) * outside)
    return _BASE[algorithm][protocol] + latency + 2.0 * nbytes / share[protocol]
