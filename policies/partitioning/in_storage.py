"""Attention over the cache inside the storage that holds it.

Pan et al., "InstInfer: In-Storage Attention Offloading for Cost-Effective Long-Context LLM Inference", 2024 (arXiv 2409.04992).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgewright.hwmodels import Quantity, Work
from edgewright.hwmodels.units import Seconds
from edgewright.policies.base import at_least
from edgewright.policies.families import Placement
from edgewright.policies.partitioning.requirements import require_devices
from edgewright.policies.plan import Compute, Delay, Load, Mark, Plan, Store, par, seq
from edgewright.policies.registry import register
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Model, Part, Step
from edgewright.workloads.cache_apart import cache_only, without_cache

__all__ = ["CacheShare", "Exchange", "InStorage", "QueryBytes", "WrittenBytes"]


@dataclass(frozen=True, slots=True)
class CacheShare:
    """The work over the cache of one storage: of `part`, a shard of `cache_only`."""

    part: Part

    def __call__(self, step: Step) -> Work:
        return self.part(step)


@dataclass(frozen=True, slots=True)
class QueryBytes:
    """Bytes of the queries of decoding tokens, or of their results: `numbers` per token in all layers of one storage's heads."""

    numbers: float
    activation_bytes: float

    def __call__(self, step: Step) -> Quantity:
        return step.decode * self.numbers * self.activation_bytes


@dataclass(frozen=True, slots=True)
class WrittenBytes:
    """Bytes that the new tokens of a step write: `copies` of their keys and values."""

    per_token: float
    copies: float

    def __call__(self, step: Step) -> Quantity:
        return step.tokens * self.per_token * self.copies


@dataclass(frozen=True, slots=True)
class Exchange:
    """Seconds of handing queries over and taking results back, besides their bytes, where anything decodes."""

    seconds: float

    def __call__(self, step: Step) -> float:
        return self.seconds if step.decode else 0.0


@register("partitioning", "in_storage")
@dataclass(frozen=True, slots=True, kw_only=True)
class InStorage:
    """One device computes all but what decoding does with the cache; that is done in its storages that compute, which hold the cache.

    Queries go to the storages and results come back; heads are split evenly. Keys and values of new tokens are written while the device
    computes (InstInfer: those of a layer while the next is computed). Nothing of the cache is on the device, so its memory does not limit
    the batch. KV policies apply: what they read per token, they read inside.

    Attributes:
        storages: names of the device's storages; empty: all that compute.
        copies: of keys and values written. InstInfer writes keys a second time, by channels: 1.5 (dense attention alone needs 1).
        exchange: seconds per layer for handing over and taking back, besides bytes (commands over PCIe); assumed.
        engine: the device's engine that computes; None: its first.

    How wrong it can be: whether the cache fits the storages is not checked. All layers are handed over at once in place of one by one,
    which changes no sum. Reads are at the internal rate whatever their size: pages of which a part is wanted are the KV policy's to count.
    Flash wear, erasing, and reads that wait behind programs of the same die are left out.
    """

    storages: tuple[str, ...] = ()
    copies: float = 1.5
    exchange: Seconds = 20e-6
    engine: str | None = None

    def __post_init__(self) -> None:
        at_least(self, copies=1, exchange=0)

    def plan(self, model: Model, replica: ReplicaSpec) -> Placement:
        """The plan; raises `ValueError` unless the replica has one device with storages that compute, and a model whose heads divide."""
        (device,) = require_devices("in_storage", replica, 1, 1)
        replica.cluster.engine_name(device, self.engine)
        storages = self.storages or _computing(replica, device)
        for storage in storages:
            replica.cluster.engine_name(device, storage)
        rest, cache = without_cache(model).part(replica.format), _share(model, replica, len(storages))
        attending = sum(1 for block in cache.blocks if block.operators)
        width = sum(block.output for block in cache.blocks if block.operators) / len(storages)
        written = WrittenBytes(cache.kv_bytes_per_token, self.copies)
        vectors = QueryBytes(width, replica.format.activation_bytes)
        program = seq(
            par(Compute(device, rest, self.engine, name="model"), *(Store(device, written, storage) for storage in storages)),
            Delay(Exchange(self.exchange * attending)),
            par(*(self._inside(device, storage, cache, vectors) for storage in storages)),
            Mark(),
        )
        return Placement(program, {device: (rest,)})

    def _inside(self, device: str, storage: str, cache: Part, vectors: QueryBytes) -> Plan:
        work = Compute(device, CacheShare(cache), storage, name=f"attention {storage}")
        return seq(Store(device, vectors, storage), work, Load(device, vectors, storage))


def _computing(replica: ReplicaSpec, device: str) -> Sequence[str]:
    """The device's storages that compute, in order; raises `ValueError` where there are none."""
    found = [each.name for each in replica.cluster.attachments if each.device == device and each.storage.engine is not None]
    if not found:
        raise ValueError(
            f"{replica.name}: 'in_storage' needs storages that compute, and {device} has none; accepted are some with an engine"
        )
    return found


def _share(model: Model, replica: ReplicaSpec, storages: int) -> Part:
    """What one of so many storages does; raises `ValueError` for heads that do not divide."""
    cache = cache_only(model)
    uneven = [block.name for block in cache.blocks if block.operators and not block.shardable(storages)]
    if uneven:
        raise ValueError(f"{replica.name}: 'in_storage' splits heads evenly, and those of {uneven[0]} do not divide by {storages}")
    return cache.part(replica.format, shards=storages)
