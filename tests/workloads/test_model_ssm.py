"""State-space blocks: what they keep, and that they are not divided."""

import pytest

from edgewright.workloads import Format, Step, from_config

F = Format("fp16", 16.0)
TINY = {
    "model_type": "mamba",
    "hidden_size": 8,
    "state_size": 4,
    "conv_kernel": 3,
    "time_step_rank": 2,
    "num_hidden_layers": 2,
    "vocab_size": 10,
}
INNER = 2 * 8


@pytest.fixture
def tiny():
    return from_config(TINY, "tiny-mamba")


def test_parameters_and_state(tiny):
    products = 8 * 2 * INNER + INNER * (2 + 2 * 4) + 2 * INNER + INNER + INNER * 8  # in; dt, B and C; dt and its bias; out
    scan = INNER * (3 + 1) + INNER * 4 + INNER  # taps and their bias; A; D
    assert tiny.parameters == 10 * 8 + 2 * (8 + products + scan) + 8
    assert tiny.state_bytes(F) == 2 * (2 * INNER * (4 + 3))
    assert tiny.kv_bytes_per_token(F) == 0


def test_blocks_are_not_sharded(tiny):
    """The product of dt, B and C takes all channels: shards would have to sum its outputs inside the block, which no plan does."""
    layers = [block for block in tiny.blocks if block.kind == "ssm"]
    assert not any(block.shardable(2) or block.reduces for block in layers)
    whole, shard = tiny.part(F, 1, 3), tiny.part(F, 1, 3, shards=2)
    assert (shard.weight_bytes, shard.state_bytes) == (whole.weight_bytes, whole.state_bytes)
    step = Step.of(decode=[5], prefill=[(0, 4)])
    assert shard(step) == whole(step)
