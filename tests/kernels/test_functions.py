"""Functions of single numbers for vectors: their error over their range, and 16-bit floats bit by bit."""

import numpy as np

from edgewright.kernels.functions import exponential, logistic, widened_bf16, widened_fp16
from edgewright.kernels.jit import compiled


@compiled
def _each_exponential(out, x):
    for i in range(x.size):
        out[i] = exponential(x[i])


@compiled
def _each_logistic(out, x):
    for i in range(x.size):
        out[i] = logistic(x[i])


@compiled
def _each_fp16(out, x):
    for i in range(x.size):
        out[i] = widened_fp16(x[i])


@compiled
def _each_bf16(out, x):
    for i in range(x.size):
        out[i] = widened_bf16(x[i])


def _over(function, x):
    out = np.zeros(len(x), np.float32)
    function(out, x)
    return out


def test_the_exponential_is_right_to_a_millionth():
    x = np.linspace(-87, 88, 100_003).astype(np.float32)
    np.testing.assert_allclose(_over(_each_exponential, x), np.exp(x.astype(np.float64)), rtol=1e-6)


def test_the_exponential_ends_at_its_range():
    x = np.array([-np.inf, -1e30, -87.1, 88.0, 1e30, np.inf, np.nan], np.float32)
    made = _over(_each_exponential, x)
    assert made[:3].tolist() == [0, 0, 0]
    assert made[3] == made[4] == made[5]
    assert np.isfinite(made[3])
    assert np.isnan(made[6])


def test_the_logistic_function_is_right_to_a_millionth():
    x = np.linspace(-80, 80, 10_001).astype(np.float32)
    np.testing.assert_allclose(_over(_each_logistic, x), 1 / (1 + np.exp(-x.astype(np.float64))), rtol=1.2e-6)


def test_every_16_bit_float_is_widened_exactly():
    bits = np.arange(1 << 16).astype(np.uint16)
    np.testing.assert_array_equal(_over(_each_fp16, bits), bits.view(np.float16).astype(np.float32))
    np.testing.assert_array_equal(_over(_each_bf16, bits), (bits.astype(np.uint32) << 16).view(np.float32))
