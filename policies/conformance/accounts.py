"""What a placement computes and reads in one step, counted off its compiled plan."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from edgewright.hwmodels import Cluster
from edgewright.hwmodels.conformance import require
from edgewright.policies.conformance.scripts import flat
from edgewright.policies.plan import Collective, Compute, Load, Mark, Op, Plan, Store, Transfer
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Block, Format, Model, Part, Step

__all__ = ["check_computed_once", "check_places", "check_token", "loaded_bytes", "matrix_flops", "operations", "shares_of"]

MATRIX = ("gemm", "gemv", "lut_gemv", "conv", "conv_depthwise", "attention", "attention_decode", "scan")


def operations(plan: Plan) -> list[Op]:
    """Every operation of one iteration of a plan, all strands together; `AssertionError` unless exactly one of them marks the token."""
    return check_token(flat(plan))


def check_token(ops: list[Op]) -> list[Op]:
    """The operations, if exactly one of them marks the token; else `AssertionError`."""
    tokens = sum(isinstance(op, Mark) and op.label == "token" for op in ops)
    require(tokens == 1, f"the plan has {tokens} Mark('token'), which ends the step as its sequences see it; accepted is 1")
    return ops


def check_places(ops: Iterable[Op], replica: ReplicaSpec) -> None:
    """Require that operations run on the replica's devices, with engines and storages that those have, and that transfers have a route."""
    for op in ops:
        strangers = sorted(set(_devices(op)) - set(replica.devices))
        require(not strangers, f"{type(op).__name__} on {strangers}; the replica's devices are {list(replica.devices)}")
        try:
            _resolve(op, replica.cluster)
        except ValueError as error:
            raise AssertionError(f"{type(op).__name__} cannot run: {error}") from error


def _devices(op: Op) -> tuple[str, ...]:
    match op:
        case Compute() | Load() | Store():
            return (op.device,)
        case Collective():
            return op.devices
        case _:
            return ()


def _resolve(op: Op, cluster: Cluster) -> None:
    match op:
        case Compute():
            cluster.engine_name(op.device, op.engine)
        case Load() | Store():
            cluster.storage_of(op.device, op.storage)
        case Transfer():
            cluster.route(op.src, op.dst)
        case _:
            pass


def check_computed_once(ops: Iterable[Op], model: Model, format: Format, steps: Iterable[Step]) -> None:
    """Require that the computes of a step are the model, each block once.

    Parts are counted block by block: a shard of `n` of a block that divides is 1/n of it, and the shares must add up to one exactly.
    Other works cannot be looked into: then the FLOPs of products and attention must be the model's in each of `steps`, to 1e-9.
    """
    computes = [op for op in ops if isinstance(op, Compute)]
    parts = [op.work for op in computes if isinstance(op.work, Part)]
    if len(parts) == len(computes):
        shares = shares_of(parts)
        wrong = {block.name: str(shares.get(index, 0)) for index, block in enumerate(model.blocks) if shares.get(index) != 1}
        require(not wrong, f"blocks that a step does not compute exactly once, and how often it does: {wrong}")
        return
    for step in steps:
        found = sum(matrix_flops(op, step) for op in computes)
        expected = sum(float(term.flops) for term in model.work(step, format) if term.kernel in MATRIX)
        require(abs(found - expected) <= 1e-9 * expected, f"computes {found:.12g} FLOPs where the model has {expected:.12g}, in {step}")


def matrix_flops(compute: Compute, step: Step) -> float:
    """FLOPs of products and attention of a compute in a step; norms and the like are repeated on every shard and do not add up."""
    work = compute.work(step) if callable(compute.work) else compute.work
    return sum(float(term.flops) for term in work if term.kernel in MATRIX)


def shares_of(parts: Iterable[Part]) -> dict[int, Fraction]:
    """How much of each block, by index, these parts are together."""
    shares: dict[int, Fraction] = {}
    for part in parts:
        for index, block in enumerate(part.blocks, part.start):
            shares[index] = shares.get(index, Fraction(0)) + _share(part, block)
    return shares


def _share(part: Part, block: Block) -> Fraction:
    return Fraction(1, part.shards) if block.shardable(part.shards) else Fraction(1)


def loaded_bytes(ops: Iterable[Op], step: Step) -> dict[str, float]:
    """Bytes that each device reads from storage in a step."""
    totals: dict[str, float] = {}
    for op in ops:
        if isinstance(op, Load):
            nbytes = op.nbytes(step) if callable(op.nbytes) else op.nbytes
            totals[op.device] = totals.get(op.device, 0.0) + float(nbytes)
    return totals
