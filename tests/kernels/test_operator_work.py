"""What `Work` counts for attention, convolution, sparse products and small operators: bytes of arrays, and multiplications."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.hwmodels.kernel_work import kernel_work
from edgewright.hwmodels.operator_work import causal_pairs
from edgewright.kernels import kernel
from edgewright.workloads.formats import format_named
from edgewright.workloads.model_operators import Elementwise, Lookup
from edgewright.workloads.step import Step
from edgewright.workloads.transformer import CausalAttention
from edgewright.workloads.vision import Convolution, Shape

# Operands by tier: the arrays that a call must read or write at least once.
PARTS = {
    "attention": ((8, 20, 2, 3, 16), {"kv": (2, 3), "activations": (0, 1)}),
    "attention_window": ((8, 20, 2, 3, 16, 20), {"kv": (2, 3), "activations": (0, 1)}),
    "attention_decode": ((3, 20, 2, 3, 16), {"kv": (2, 3), "activations": (0, 1)}),
    "conv": ((9, 8, 2, 3, 5, 3, 2), {"weights": (2,), "activations": (0, 1)}),
    "conv_depthwise": ((9, 8, 6, 3, 2), {"weights": (2,), "activations": (0, 1)}),
    "gemm_experts": ((9, 4, 64, 5), {"weights": (2,), "activations": (0, 1)}),
    "spmm_nm": ((5, 7, 16), {"weights": (1, 2), "activations": (0, 3)}),
    "spmm_block": ((64, 7, 48, 3), {"weights": (1, 2, 3), "activations": (0, 4)}),
    "spmm_decoded": ((32, 7, 128, 5), {"weights": (1, 2, 3), "activations": (0, 4)}),
    "gemv_channels": ((5, 7, 1), {"weights": (1, 3), "activations": (0, 2)}),
    "rms_norm": ((5, 7), {"weights": (2,), "activations": (0, 1)}),
    "layer_norm": ((5, 7), {"weights": (2, 3), "activations": (0, 1)}),
    "softmax": ((5, 7), {"activations": (0, 1)}),
    "swiglu": ((5, 7), {"activations": (0, 1, 2)}),
    "shiftmax": ((5, 7), {"activations": (0, 1)}),
    "shiftgelu": ((5, 7), {"activations": (0, 1)}),
    "i_layer_norm": ((5, 7), {"weights": (2,), "activations": (0, 1)}),
    "kv_accumulate": ((20, 2, 3, 16), {"kv": (3,), "activations": (0, 1, 2)}),
    "kv_gumbel": ((20, 2, 3, 16), {"kv": (3,), "activations": (0, 1, 2, 4)}),
    "kv_select": ((3, 20, 4), {"activations": (0, 1)}),
    "kv_gather": ((20, 3, 16, 1), {"activations": (2,), "kv": (0, 1)}),
    "kv_cluster": ((20, 4, 16), {"kv": (1,), "activations": (0, 2)}),
    "kv_quantise_keys": ((64, 3, 40), {"kv": (0, 1)}),
    "kv_quantise_values": ((5, 3, 64), {"kv": (0, 1)}),
    "kv_widen_keys": ((64, 3, 40), {"kv": (0, 1)}),
    "kv_widen_values": ((5, 3, 64), {"kv": (0, 1)}),
}
FP32 = format_named("fp32")


def _operands(name, shape, dtype):
    return kernel(name).operands(kernel(name).checked(shape, dtype), dtype, np.random.default_rng(0))


@pytest.mark.parametrize("name", PARTS)
def test_counted_bytes_are_those_of_the_arrays(name):
    shape, parts = PARTS[name]
    for dtype in kernel(name).dtypes:
        operands = _operands(name, shape, dtype)
        held = {tier: sum(operands[at].nbytes for at in places) for tier, places in parts.items()}
        assert kernel_work(name, shape, dtype).bytes == {"weights": 0.0, "activations": 0.0, "kv": 0.0} | held


@pytest.mark.parametrize("one_in", [2, 3, 50])
def test_skipped_channels_are_not_read(one_in):
    _, weights, x, thresholds, *_ = _operands("gemv_channels", (5, 40, one_in), "fp32")
    passed = np.abs(x) >= thresholds
    work = kernel_work("gemv_channels", (5, 40, one_in), "fp32")
    assert work.bytes["weights"] == weights[passed].nbytes + thresholds.nbytes
    assert work.flops == {"fp32": 2.0 * weights[passed].size}


def test_experts_without_rows_are_not_read():
    *_, weights, starts = _operands("gemm_experts", (3, 8, 32, 5), "fp32")
    touched = np.diff(starts) > 0
    assert kernel_work("gemm_experts", (3, 8, 32, 5), "fp32").bytes["weights"] == weights[touched].nbytes


@given(tokens=st.integers(1, 12), past=st.integers(0, 12), window=st.integers(1, 30))
def test_pairs_are_those_that_the_mask_shows(tokens, past, window):
    query, key = np.arange(past, past + tokens)[:, None], np.arange(past + tokens)
    assert causal_pairs(past, tokens, window) == ((key <= query) & (key > query - window)).sum()


@pytest.mark.parametrize(
    ("name", "shape", "multiplied"),
    [
        ("conv", (8, 8, 2, 3, 5, 3, 2), 4 * 4 * (2 * 3 * 5) * 9),  # 16 pixels, 30 pairs of channels, 9 taps
        ("conv_depthwise", (8, 6, 4, 3, 1), 8 * 6 * 4 * 9),
        ("gemm_experts", (9, 4, 64, 5), 9 * 64 * 5),
        ("spmm_nm", (5, 7, 16), 5 * 8 * 7),  # 8 of 16 in each of 5 rows, 7 columns
        ("spmm_block", (64, 7, 48, 3), 4 * 256 * 7),  # 4 of 12 blocks
        ("spmm_decoded", (32, 7, 128, 5), 819 * 7),  # 4096 // 5 numbers
        ("attention", (8, 20, 2, 3, 16), 2 * 16 * 6 * (8 * 12 + 36)),  # 8 queries see 12 before them and 1 to 8 of their own
        ("attention_decode", (3, 20, 2, 3, 16), 2 * 16 * 6 * 3 * 20),
    ],
)
def test_operations_are_two_for_each_multiplication(name, shape, multiplied):
    assert kernel_work(name, shape, "fp32").flops == {"fp32": 2.0 * multiplied}


@pytest.mark.parametrize(("past", "window"), [(0, None), (12, None), (12, 5), (12, 16), (12, 40)])
def test_a_model_counts_the_same_attention_besides_what_it_writes_to_the_cache(past, window):
    # The kernel is given a cache that holds the new tokens already; a step of a model writes 8 tokens of 2 * 2 * 16 numbers too.
    step = Step.of(prefill=[(past, 8)], windows=[window] if window else [])
    (prompt,) = CausalAttention(6, 2, 16, span=window).terms(step, FP32, 1, (0,))
    shape = (8, 8 + past, 2, 3, 16)
    work = kernel_work("attention_window", (*shape, window), "fp32") if window else kernel_work("attention", shape, "fp32")
    assert replace(prompt, kv=prompt.kv - 8 * 2 * 2 * 16 * 4) == work.terms[0]


def test_a_model_counts_the_same_attention_of_new_tokens():
    (decode,) = CausalAttention(6, 2, 16).terms(Step.of(decode=[20, 20, 20]), FP32, 1, (0,))
    assert replace(decode, kv=decode.kv - 3 * 2 * 2 * 16 * 4) == kernel_work("attention_decode", (3, 20, 2, 3, 16), "fp32").terms[0]


def test_a_model_counts_the_same_convolution():
    for name, shape, operator in (
        ("conv", (9, 8, 2, 3, 5, 3, 2), Convolution(Shape(6, 9, 8), Shape(10, 5, 4), 9, 2, 0)),
        ("conv_depthwise", (9, 8, 6, 3, 2), Convolution(Shape(6, 9, 8), Shape(6, 5, 4), 9, 6, 0)),
    ):
        assert operator.terms(Step(items=1), FP32, 1, (0,)) == kernel_work(name, shape, "fp32").terms


def test_a_model_counts_the_same_norm_and_lookup():
    norm = Elementwise("norm", whole=2 * 7, vectors=7).terms(Step(prefill=5), FP32, 1, (0,))
    assert norm == kernel_work("rms_norm", (5, 7), "fp32").terms
    assert Lookup(11, 7).terms(Step(prefill=5), FP32, 1, (0,)) == kernel_work("lookup", (5, 7, 11), "fp32").terms
