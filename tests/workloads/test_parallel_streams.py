"""Parallel streams: rows and cached tokens P-fold, weights once, a mixture in front of the head."""

import pytest

from edgewright.workloads import Step, format_named, zoo
from edgewright.workloads.parallel_streams import parallel_streams

FP16 = format_named("fp16")
MODEL = zoo.model("qwen2-0.5b")
LAYERS, HEADS, HEAD, HIDDEN, VOCAB = 24, 2, 64, 896, 151936


def test_one_stream_is_the_model():
    assert parallel_streams(MODEL, 1) is MODEL


def test_parameters_are_those_of_the_model_the_mixture_and_the_prefixes():
    mixture, prefixes = (HIDDEN + 1) * HIDDEN * 4, LAYERS * 4 * 48 * 2 * HEADS * HEAD
    assert parallel_streams(MODEL, 4).parameters == MODEL.parameters + mixture + prefixes


def test_cache_is_p_fold():
    assert parallel_streams(MODEL, 4).kv_bytes_per_token(FP16) == 4 * MODEL.kv_bytes_per_token(FP16)


def test_work_of_the_layers_is_that_of_p_rows_and_the_head_is_computed_once():
    """4 streams of one sequence at 100 tokens against a batch of 4 at 148; the head has one row instead of four, and the mixture's."""
    one = parallel_streams(MODEL, 4).decode(1, 100.0, format=FP16)
    batch = MODEL.decode(4, 148.0, format=FP16)
    head, mixture = 2.0 * VOCAB * HIDDEN, 2.0 * (HIDDEN + 1) * HIDDEN * 4
    products = [sum(term.flops for term in work if term.kernel in ("gemm", "gemv")) for work in (one, batch)]
    assert products[0] == pytest.approx(products[1] - 3 * head + mixture)
    attention = [sum(term.kv for term in work) for work in (one, batch)]
    assert attention[0] == pytest.approx(attention[1])


def test_weights_are_read_once():
    reads = [sum(term.weights for term in parallel_streams(MODEL, streams).decode(1, 100.0, format=FP16)) for streams in (1, 8)]
    assert reads[1] < reads[0] + (HIDDEN + 2) * HIDDEN * 8 * 2 + 8 * 48 * 4 * HIDDEN * 2


def test_prompts_have_a_prefix_per_stream():
    step = Step.of(prefill=[(0, 10)])
    pairs = parallel_streams(MODEL, 2).work(step, FP16), MODEL.work(step, FP16)
    assert sum(pairs[0].flops.values()) > 2 * sum(pairs[1].flops.values()) - 4.0 * VOCAB * HIDDEN


@pytest.mark.parametrize(("model", "streams"), [("qwen3-30b-a3b", 2), ("qwen2-0.5b", 0)])
def test_what_cannot_be_is_refused(model, streams):
    with pytest.raises(ValueError, match="streams"):
        parallel_streams(zoo.model(model), streams)
