"""Each kernel leaves what its plain NumPy reference says, over shapes and dtypes, ragged edges included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.kernels import DTYPES, kernel, kernel_names
from edgewright.kernels.gemm import DEPTH, WIDTH

FLOATS = st.sampled_from(["fp32", "fp64"])
EXTENT = st.one_of(st.integers(1, 9), st.integers(1, 140))


def _agree(product, left, right):
    """|fl(x.y) - x.y| <= gamma_n |x|.|y| for any order of summation (Higham, Accuracy and Stability, section 3.1)."""
    exact = left.astype(np.float64) @ right.astype(np.float64)
    size = np.abs(left).astype(np.float64) @ np.abs(right).astype(np.float64)
    terms = right.shape[0] * np.finfo(product.dtype).eps
    slack = 2 * terms * size if product.dtype == np.float64 else terms * size  # in fp64 the yardstick is rounded too
    assert np.all(np.abs(product - exact) <= slack)


def _exact(operands, name):
    np.testing.assert_array_equal(operands[0], kernel(name).reference(*operands))


@settings(max_examples=40)
@given(n=st.integers(1, 5000), dtype=st.sampled_from(sorted(DTYPES)), seed=st.integers(0, 99))
def test_copy_leaves_the_source_in_the_target(ran, n, dtype, seed):
    _exact(ran("copy", (n,), dtype, "numba", seed), "copy")


@pytest.mark.parametrize("name", ["read", "triad", "copy_past", "triad_past"])
@settings(max_examples=25)
@given(n=st.one_of(st.integers(1, 70), st.integers(1, 3000)), passes=st.integers(1, 4), seed=st.integers(0, 99))
def test_streams_agree_with_numpy_exactly(ran, forms, name, n, passes, seed):
    # Small integers: sums and products are exact in fp32, in any order.
    if name not in kernel_names():
        pytest.skip("stores past the caches are native only")
    for form in forms(name):
        _exact(ran(name, (n, passes)[: len(kernel(name).axes)], "fp32", form, seed), name)


@settings(max_examples=25)
@given(n=st.integers(1, 400), other=st.integers(1, 50), seed=st.integers(0, 99))
def test_scattered_access_agrees_with_numpy_exactly(ran, n, other, seed):
    for name in ("chase", "gather", "strided"):
        _exact(ran(name, (n, other), kernel(name).dtypes[0], "numba", seed), name)


def test_a_chase_visits_every_line_before_it_returns():
    _, following, _ = kernel("chase").operands((1000, 1), "uint64", np.random.default_rng(0))
    visited, line = set(), 0
    while line not in visited:
        visited.add(line)
        line = int(following[line, 0])
    assert len(visited) == 1000
    assert line == 0


@settings(max_examples=60)
@given(m=EXTENT, n=EXTENT, dtype=FLOATS, seed=st.integers(0, 99))
def test_gemv_agrees_with_numpy_to_rounding(ran, m, n, dtype, seed):
    y, weights, x = ran("gemv", (m, n), dtype, "numba", seed)
    _agree(y, weights, x)
    _agree(kernel("gemv").reference(y, weights, x), weights, x)


@settings(max_examples=60)
@given(m=EXTENT, n=EXTENT, k=EXTENT, dtype=FLOATS, seed=st.integers(0, 99))
def test_gemm_agrees_with_numpy_to_rounding(ran, m, n, k, dtype, seed):
    operands = ran("gemm", (m, n, k), dtype, "numba", seed)
    c, a, b = operands[:3]
    _agree(c, a, b)
    _agree(kernel("gemm").reference(*operands), a, b)


@pytest.mark.parametrize("dtype", ["fp32", "fp64"])
@pytest.mark.parametrize("n", [WIDTH - 1, WIDTH, WIDTH + 1, 2 * WIDTH + 3])
@pytest.mark.parametrize("k", [DEPTH - 1, DEPTH, DEPTH + 1, 2 * DEPTH + 2])
def test_gemm_agrees_at_the_edges_of_its_panels(ran, n, k, dtype):
    c, a, b = ran("gemm", (5, n, k), dtype, "numba")[:3]
    _agree(c, a, b)


def test_gemm_does_not_remember_an_earlier_call():
    chosen = kernel("gemm")
    operands = chosen.operands((3, 7, 6), "fp32", np.random.default_rng(1))
    chosen.run(*operands)
    once = operands[0].copy()
    chosen.run(*operands)
    np.testing.assert_array_equal(operands[0], once)


@pytest.mark.parametrize(("name", "shape"), [("gemv", (3, 8)), ("gemm", (3, 5, 8))])
def test_what_is_not_a_number_is_not_hidden(name, shape):
    chosen = kernel(name)
    operands = chosen.operands(shape, "fp32", np.random.default_rng(0))
    operands[1][1, 2] = np.nan
    chosen.run(*operands)
    assert np.isnan(operands[0][1]).all()
    assert np.isfinite(operands[0][[0, 2]]).all()


@pytest.mark.parametrize("name", [name for name in kernel_names() if not name.startswith("peak_")])  # whose operands are a count
def test_operands_follow_the_seed(name):
    chosen = kernel(name)
    shape = chosen.multiples or (6,) * len(chosen.axes)
    dtype = chosen.dtypes[0]
    first, again, other = (chosen.operands(shape, dtype, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))
