"""A model taken apart at its cache: both sides together are the model, and only one of them caches."""

import pytest

from edgewright.workloads import Format, Step, zoo
from edgewright.workloads.cache_apart import cache_only, without_cache

BYTE = Format("byte", 8.0, 8.0, 8.0, "fp32", "fp32", vector_bits=8.0)
"""One byte per number."""


@pytest.mark.parametrize("step", [Step.of(decode=[5, 9]), Step.of(prefill=[(0, 7)]), Step.of(decode=[5], prefill=[(4, 3)])])
def test_both_sides_together_are_the_model(two_layers, step):
    """Operations by format, and every byte that is moved."""
    whole = two_layers.work(step, BYTE)
    sides = [side(two_layers).part(BYTE)(step) for side in (without_cache, cache_only)]
    assert sum(side.flops.get("fp32", 0.0) for side in sides) == pytest.approx(whole.flops["fp32"])
    assert sum(sum(side.bytes.values()) for side in sides) == pytest.approx(sum(whole.bytes.values()))


def test_decoding_is_on_the_cache_side_and_prompts_are_on_the_other(two_layers):
    """5 + 9 cached tokens, 2 layers, 8 numbers: 2 operations each for scores and values. Of a prompt nothing is over there."""
    cache = cache_only(two_layers).part(BYTE)
    assert cache(Step.of(decode=[5, 9])).flops == {"fp32": 2 * (5 + 9) * 2 * 8 * 2}
    assert not cache(Step.of(prefill=[(0, 7)])).terms


def test_the_cache_is_held_once_and_the_weights_on_the_other_side(two_layers):
    assert without_cache(two_layers).kv_bytes_per_token(BYTE) == 0
    assert cache_only(two_layers).kv_bytes_per_token(BYTE) == two_layers.kv_bytes_per_token(BYTE) == 2 * 2 * 8
    assert (cache_only(two_layers).parameters, without_cache(two_layers).parameters) == (0, two_layers.parameters)


def test_heads_divide_into_shards(two_layers):
    """Half of the operations, and of the cache."""
    half = cache_only(two_layers).part(BYTE, shards=2)
    assert half(Step.of(decode=[5, 9])).flops == {"fp32": (5 + 9) * 2 * 8 * 2}
    assert half.kv_bytes_per_token == 2 * 8


def test_a_model_without_a_cache_cannot_be_taken_apart():
    with pytest.raises(ValueError, match="caches no keys and values"):
        without_cache(zoo.model("mamba-130m"))
