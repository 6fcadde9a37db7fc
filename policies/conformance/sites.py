"""Small clusters and models on which build-time policies are tried: everything divides by 2, 3 and 4."""

from __future__ import annotations

from edgewright.hwmodels import Attachment, Bus, Cluster, Connection, Device, Engine, Link, Pool, Storage
from edgewright.hwmodels.energy import with_envelope
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Block, Format, Model, Step, from_config
from edgewright.workloads.model_operators import Linear

__all__ = ["dense_model", "expert_model", "one_shot_model", "site", "steps_of"]

FORMAT = Format("w8", 8.0, dtype="fp16")
LINK = Link("wire", "1 Gbit/s wire", bandwidth=125e6, latency=1e-4)
DISK = Storage("disk", "disk", read=1e9, write=5e8, latency=1e-4)
INSIDE = Engine("csd", "fpga", {"fp16": 1e10}, "internal", joules_per_flop={"fp16": 1e-11}, joules_per_byte=1e-11, static_W=1.0)
COMPUTING = Storage("csd", "storage that computes", read=1e9, write=5e8, latency=1e-4, internal=2e9, engine=INSIDE)


def site(devices: int, *, weight_budget: float | None = None) -> ReplicaSpec:
    """A replica of so many uneven boards around a switch, each with a disk and a storage that computes.

    `weight_budget` is in bytes, on every board.
    """
    names = tuple(f"board{number}" for number in range(devices))
    cluster = Cluster(
        devices={name: _board(1.0 + number) for number, name in enumerate(names)},
        switches=("switch",),
        connections=tuple(Connection(f"wire-{name}", (name, "switch"), LINK) for name in names),
        attachments=tuple(Attachment(store.name, name, store) for name in names for store in (DISK, COMPUTING)),
    )
    budget = None if weight_budget is None else dict.fromkeys(names, weight_budget)
    return ReplicaSpec("service.replica", names, cluster, FORMAT, budget)


def _board(speed: float) -> Device:
    engine = Engine("cpu", "cpu", {"fp32": 1e10 * speed, "fp16": 2e10 * speed, "int8": 4e10 * speed}, "dram")
    board = Device(
        name="board",
        title="a board",
        kind="cpu_sbc",
        engines={"cpu": engine},
        buses={"dram": Bus("dram", 1e10 * speed)},
        pools={"ram": Pool("ram", 8e9, "dram", reserved=1e9)},
        idle_W=2.0,
        tdp_W=10.0,
    )
    return with_envelope(board)


def dense_model(layers: int = 3) -> Model:
    """A transformer of 12 heads of 8, head and embedding apart."""
    return from_config(_config("llama", layers), name="dense")


def expert_model(layers: int = 3) -> Model:
    """A transformer whose feed-forward layers have 8 experts, two of them per token."""
    extra = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 48, "norm_topk_prob": False}
    return from_config(_config("olmoe", layers) | extra, name="experts")


def one_shot_model(layers: int = 6) -> Model:
    """A row of matrix products, one pass per item."""
    blocks = tuple(Block(f"layer{n}.fc", "ffn", n, (Linear(f"fc{n}", 64, 64, per="items"),), output=64.0) for n in range(layers))
    return Model("one-shot", blocks, hidden=0, vocab=10, generates=False, cuts=tuple(range(1, layers)), input=64.0, input_bytes=64.0)


def steps_of(model: Model) -> tuple[Step, ...]:
    """Steps to price: a lone sequence, a batch, prompts and chunks, both together; or one and several items."""
    if not model.generates:
        return (Step(items=1), Step(items=12))
    return (
        Step.of(decode=[7], windows=model.windows),
        Step.of(decode=[5, 9, 17, 30], windows=model.windows),
        Step.of(prefill=[(0, 12), (8, 4)], windows=model.windows),
        Step.of(decode=[5, 9, 17], prefill=[(0, 13)], windows=model.windows),
    )


def _config(kind: str, layers: int) -> dict[str, object]:
    return {
        "model_type": kind,
        "hidden_size": 96,
        "intermediate_size": 192,
        "num_hidden_layers": layers,
        "num_attention_heads": 12,
        "num_key_value_heads": 12,
        "head_dim": 8,
        "vocab_size": 120,
        "tie_word_embeddings": False,
        "max_position_embeddings": 4096,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
    }
