"""Mixtures of experts: how many are touched, what they cost, and how a layer is taken apart."""

import numpy as np
import pytest

from edgewright.workloads import Format, Step, from_config, zoo
from edgewright.workloads.moe import ExpertGroup, distinct_experts, routed_experts, without_experts

F = Format("fp16", 16.0)
TINY = {
    "model_type": "qwen3_moe",
    "hidden_size": 8,
    "intermediate_size": 20,
    "moe_intermediate_size": 6,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "num_hidden_layers": 3,
    "mlp_only_layers": [0],
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 10,
}
EXPERT = 3 * 8 * 6


@pytest.fixture
def tiny():
    return from_config(TINY, "tiny-moe")


def weights(model, step):
    return model.work(step, F).bytes["weights"]


def test_shape(tiny):
    assert [block.kind for block in tiny.blocks] == ["embed", "attention", "ffn", "attention", "moe", "attention", "moe", "head"]
    experts = tiny.experts
    assert (experts.blocks, experts.count, experts.top_k, experts.shared, experts.parameters) == ((4, 6), 4, 2, 0, EXPERT)
    assert tiny.active_parameters == tiny.parameters - 2 * 2 * EXPERT
    assert experts.expert_bytes(F) == 2 * EXPERT


def test_expected_distinct_experts():
    """k of E for one token; by enumeration for two tokens of one of two experts: 1 or 2, each half the time."""
    assert distinct_experts(64, 8, 1) == pytest.approx(8)
    assert distinct_experts(2, 1, 2) == 1.5
    assert distinct_experts(64, 8, 10_000) == pytest.approx(64)


def test_expected_distinct_experts_against_sampling():
    rng = np.random.default_rng(1)
    drawn = [len({int(each) for _ in range(6) for each in rng.permutation(16)[:3]}) for _ in range(4000)]
    assert np.mean(drawn) == pytest.approx(distinct_experts(16, 3, 6), abs=4 * np.std(drawn) / 4000**0.5)


def test_weights_follow_distinct_experts(tiny):
    """One token reads 2 experts per layer; outcomes replace the expectation layer by layer."""
    one = Step.of(decode=[5])
    told = Step(decode=1, emits=1, full=one.full, outcomes={"moe2.distinct": 1.0})
    assert weights(tiny, one) - weights(tiny, told) == pytest.approx(1 * EXPERT * 2)


def test_work_follows_tokens(tiny):
    base = without_experts(tiny)
    for batch in (1, 3):
        step = Step.of(decode=[5] * batch)
        routed = tiny.work(step, F).flops["fp16"] - base.work(step, F).flops["fp16"]
        assert routed == pytest.approx(2 * EXPERT * batch * 2 * 2)  # two layers, two experts each


def test_outcomes_may_be_arrays(tiny):
    step = Step(decode=2, emits=2, full=Step.of(decode=[5, 5]).full, outcomes={"moe1.distinct": np.array([2.0, 3.0])})
    few, many = weights(tiny, step)
    assert many - few == pytest.approx(EXPERT * 2)


def test_groups_and_the_rest_are_the_whole(tiny):
    """Experts held 1 and 3 of 4 on two devices, everything else once."""
    step = Step.of(decode=[5, 6, 7])
    routed = routed_experts(tiny)
    groups = [ExpertGroup(routed, F, held, f"moe{layer}.d{device}") for layer in (1, 2) for device, held in enumerate((1, 3))]
    apart = [without_experts(tiny).work(step, F), *(group(step) for group in groups)]
    whole = tiny.work(step, F)
    for tier, total in whole.bytes.items():
        assert sum(each.bytes[tier] for each in apart) == pytest.approx(total)
    assert sum(each.flops["fp16"] for each in apart) == pytest.approx(whole.flops["fp16"])
    assert without_experts(tiny).weight_bytes(F) + sum(group.weight_bytes for group in groups) == pytest.approx(tiny.weight_bytes(F))


def test_a_group_hears_what_falls_on_it(tiny):
    group = ExpertGroup(routed_experts(tiny), F, 2, "moe1.orin0")
    work = group(Step(decode=4, outcomes={"moe1.orin0.rows": 5.0, "moe1.orin0.distinct": 1.0}))
    assert work.flops["fp16"] == 2 * EXPERT * 5
    assert work.bytes["weights"] == 2 * EXPERT
    assert not group(Step())


def test_a_dense_model_has_no_experts_to_take():
    with pytest.raises(ValueError, match=r"llama-3\.2-1b has no routed experts"):
        routed_experts(zoo.model("llama-3.2-1b"))


def test_shared_experts_serve_every_token():
    """DeepSeek-V2-Lite: 2 shared experts of 1408, 6 of 64 routed, the first layer dense."""
    model = zoo.model("deepseek-v2-lite")
    assert (model.experts.count, model.experts.top_k, model.experts.shared, len(model.experts.blocks)) == (64, 6, 2, 26)
    shared = [each for each in model.blocks[4].operators if getattr(each, "name", "").startswith("shared.") and each.parameters]
    assert sum(each.parameters for each in shared) == 3 * 2048 * 2 * 1408
