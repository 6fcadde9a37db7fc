"""Integer softmax, GELU and layer norm: equal to the same integers in NumPy, and within their bounds of the exact functions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.kernels import kernel
from edgewright.kernels.integer import WHOLE

NAMES = ["i_layer_norm", "shiftgelu", "shiftmax"]
CHORD = 2 / (np.e * np.log(2))  # the largest (1 + r / 2) / 2^r for r from -1 to 0: at r = 1 / ln 2 - 2


def _called(name, x, *, whole=WHOLE):
    chosen = kernel(name)
    operands = list(chosen.operands(x.shape, "int8", np.random.default_rng(0)))
    operands[1][...] = x
    if name != "i_layer_norm":
        operands[2][...] = whole
    chosen.run(*operands)
    return operands


def test_the_chord_is_as_far_from_the_power_as_the_bound_says():
    r = np.linspace(-1, 0, 10_001)
    assert ((1 + r / 2) / 2**r).max() == pytest.approx(CHORD, abs=1e-6)
    assert CHORD < 1.0615


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25)
@given(rows=st.integers(1, 5), width=st.integers(1, 200), seed=st.integers(0, 9))
def test_every_integer_is_that_of_numpy(ran, name, rows, width, seed):
    operands = ran(name, (rows, width), "int8", "numba", seed)
    np.testing.assert_array_equal(operands[0], kernel(name).reference(*operands))


@pytest.mark.parametrize("name", ["shiftgelu", "shiftmax"])
@pytest.mark.parametrize("whole", [1, 3, 1000, 8191, 8192])
def test_every_scale_up_to_the_finest_is_exact(name, whole):
    x = np.random.default_rng(1).integers(-12 * whole, 12 * whole + 1, (3, 50))
    operands = _called(name, x, whole=whole)
    np.testing.assert_array_equal(operands[0], kernel(name).reference(*operands))


@settings(max_examples=50)
@given(seed=st.integers(0, 999), width=st.integers(1, 300), spread=st.floats(0.1, 4), whole=st.sampled_from([16, 64, 256]))
def test_a_softmax_is_within_its_bound(seed, width, spread, whole):
    x = np.rint(spread * whole * np.random.default_rng(seed).standard_normal((2, width))).astype(np.int32)
    got = _called("shiftmax", x, whole=whole)[0] / 128
    below = (x - x.max(axis=1, keepdims=True)) / whole
    exact = np.exp(below) / np.exp(below).sum(axis=1, keepdims=True)
    # Exponentials are at most `most` and at least `least` times the exact ones: the chord, log2(e) by shifts, what the shifts cut off.
    most = CHORD * 2 ** ((np.log2(np.e) - 1.4375) * -below.min() + 15 / 16 / whole)
    least = 2 ** (-0.5 / whole) * (1 - 1 / whole)
    vanishing = 2.0**-15  # exponents end there
    assert np.all(got <= (exact + vanishing) * most / least)
    assert np.all(got >= exact * least / (most + width * vanishing) - (1 + whole / 512) / 128)


@settings(max_examples=50)
@given(seed=st.integers(0, 999), spread=st.floats(0.1, 6), whole=st.sampled_from([16, 64, 256]))
def test_a_gelu_is_within_its_bound(seed, spread, whole):
    x = np.rint(spread * whole * np.random.default_rng(seed).standard_normal((2, 100))).astype(np.int32)
    got, real = _called("shiftgelu", x, whole=whole)[0] / (128 * whole), x / whole
    sigmoid = 1 / (1 + np.exp(-1.702 * real))
    # The logarithm of an exponential is wrong by the chord, by the constants 1.702 and log2(e), and by shifts (up to 4 units of the scale).
    relative = np.log(CHORD) + (1 - 1.6875 * 1.4375 / (1.702 * np.log2(np.e))) * 1.702 * np.abs(real) + 4 / whole
    lost = 1 / 128 + whole / 512 / 128 + 2.0**-15
    assert np.all(np.abs(got - real * sigmoid) <= np.abs(real) * (np.minimum(sigmoid, 1 - sigmoid) * np.expm1(relative) + lost))


@settings(max_examples=50)
@given(seed=st.integers(0, 999), width=st.integers(2, 800), spread=st.floats(5, 5000))
def test_a_layer_norm_is_within_its_bound(seed, width, spread):
    x = np.rint(spread * np.random.default_rng(seed).standard_normal((2, width)) + 7 * spread).astype(np.int32)
    out, _, shift = _called("i_layer_norm", x)
    got = (out.astype(np.float64) - shift) * np.sqrt(width) / 2**30
    deviation = np.maximum(x.std(axis=1, keepdims=True), 0.5)
    exact = (x - x.mean(axis=1, keepdims=True)) / deviation
    root = deviation * np.sqrt(width)
    bound = 0.5 / deviation + np.abs(exact) * (0.125 / deviation**2 + 1 / root + root / 2**31) + np.sqrt(width) / 2**29
    assert np.all(np.abs(got - exact)[x.std(axis=1) >= 1] <= (1.1 * bound)[x.std(axis=1) >= 1])


def test_a_layer_norm_of_equal_numbers_is_its_shift():
    out, _, shift = _called("i_layer_norm", np.full((1, 9), 40, np.int32))
    np.testing.assert_array_equal(out[0], shift)
