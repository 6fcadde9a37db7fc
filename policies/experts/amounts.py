"""Amounts of expert plans that depend on the step, as values; the outcomes that they read are listed in `keys.py`."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.hwmodels import Quantity
from edgewright.policies.experts.keys import missing_key
from edgewright.workloads import Part, Step
from edgewright.workloads.moe import distinct_experts

__all__ = ["CrossingBytes", "GatheredBytes", "MissingBytes"]


@dataclass(frozen=True, slots=True)
class MissingBytes:
    """Bytes of the experts of a layer that a step touches and that are not in memory.

    Without an outcome: the expected distinct experts, each missing with probability `1 - slots / count` (uniform routing).

    Attributes:
        layer: number of the layer.
        expert_bytes: of one expert (or of the shard of it that the device holds).
        count, top_k: experts of the layer, and of a token.
        slots: experts kept in memory.
    """

    layer: int
    expert_bytes: float
    count: int
    top_k: int
    slots: int

    def __call__(self, step: Step) -> Quantity:
        missing = step.outcomes.get(missing_key(self.layer))
        if missing is None:
            distinct = distinct_experts(self.count, self.top_k, step.tokens)
            missing = distinct * max(0.0, 1.0 - self.slots / self.count)
        return missing * self.expert_bytes


@dataclass(frozen=True, slots=True)
class CrossingBytes:
    """Buffer of an all-to-all in which as many bytes cross as the step's tokens send to experts elsewhere.

    In an even all-to-all of `n` bytes per device over `N` devices, `(N - 1) n` bytes cross in all: `n = vectors * vector_bytes / (N - 1)`.
    In one with shares that add up to 1 it is all of them.
    Without an outcome: each token sends to each other device with the probability that one of `choices` uniform choices lands there.

    Attributes:
        key: outcome that holds the vectors sent.
        vector_bytes: bytes of one token's hidden vector.
        devices: devices that take part, 2 or more.
        choices: experts of a token whose place matters.
        even: whether the pairs of devices are taken as even; otherwise the collective has shares.

    How wrong: shares are expectations; a device that attracts more than that in a step would take longer.
    """

    key: str
    vector_bytes: float
    devices: int
    choices: int
    even: bool = True

    def __call__(self, step: Step) -> Quantity:
        others = self.devices - 1
        sent = step.outcomes.get(self.key)
        if sent is None:
            sent = step.tokens * others * (1.0 - (1.0 - 1.0 / self.devices) ** self.choices)
        return sent * self.vector_bytes / (others if self.even else 1)


@dataclass(frozen=True, slots=True)
class GatheredBytes:
    """What every device must learn of the new tokens so that any of them can go on: their ids, and the keys and values of `part`.

    `cache` false: the ids alone, as ExFlow's formula has it; nobody then says where keys and values of other devices' tokens come from.
    """

    part: Part
    cache: bool = True

    def __call__(self, step: Step) -> Quantity:
        return step.tokens * ((self.part.kv_bytes_per_token if self.cache else 0.0) + self.part.model.result_bytes)
