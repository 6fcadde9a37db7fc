"""Fused layers: the same operations, weights and cache, one launch per block, activations at its ends alone."""

import pytest

from edgewright.hwmodels import Work
from edgewright.workloads import Step, format_named, zoo
from edgewright.workloads.fused_layers import fused_layers

FP16 = format_named("fp16")
MODEL = zoo.model("llama-2-7b")
LAYERS, HIDDEN = 32, 4096


def test_it_holds_what_the_model_holds():
    fused = fused_layers(MODEL)
    assert fused.parameters == MODEL.parameters
    assert fused.kv_bytes_per_token(FP16) == MODEL.kv_bytes_per_token(FP16)
    for shards in (1, 8):
        assert fused.part(FP16, shards=shards).weight_bytes == pytest.approx(MODEL.part(FP16, shards=shards).weight_bytes)


def test_operations_weights_and_cache_stay():
    work, plain = fused_layers(MODEL).decode(1, 500.0), MODEL.decode(1, 500.0)
    assert sum(work.flops.values()) == pytest.approx(sum(plain.flops.values()))
    for tier in ("weights", "kv"):
        assert work.bytes[tier] == pytest.approx(plain.bytes[tier])


def test_launches_are_one_per_block_and_activations_cross_its_ends():
    """Attention and feed-forward of each layer, and what embedding and head have anyway."""
    step_work = fused_layers(MODEL).decode(1, 500.0)
    plain = Work(tuple(term for block in (MODEL.blocks[0], MODEL.blocks[-1]) for term in block.work(Step.of(decode=[500]), FP16)))
    assert step_work.launches == pytest.approx(2 * LAYERS + plain.launches)
    assert step_work.bytes["activations"] == pytest.approx(2 * LAYERS * 2 * HIDDEN * 2 + plain.bytes["activations"])


def test_vision_models_are_refused():
    with pytest.raises(ValueError, match="generating"):
        fused_layers(zoo.model("yolov8n"))
