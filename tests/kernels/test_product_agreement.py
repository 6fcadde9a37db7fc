"""Products with packed weights agree with NumPy in every form and on every code path, over shapes; packings lose nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.kernels import kernel
from edgewright.kernels.lut import tables_of
from edgewright.kernels.packing import GROUP, pack_blocks, pack_planes, quantised, unpack_blocks, unpack_planes, zero_of
from edgewright.kernels.products_float import as_bf16, from_bf16, in_rows, interleaved
from edgewright.kernels.products_int8 import packed_int8, quantised_rows, unpacked_int8

ROWS = st.one_of(st.integers(1, 7), st.integers(1, 20))
STRIPS = st.integers(1, 5)
FLOATS = {"fp32": 1, "fp16": 1, "bf16": 2}
EPS = float(np.finfo(np.float32).eps)


def _real(operands, dtype):
    """Weights and activations as the kernel multiplies them, in fp64."""
    weights, x = in_rows(operands[1]), operands[2]
    if dtype == "fp16":
        return weights.view(np.float16).astype(np.float64), x.astype(np.float64)
    if dtype == "bf16":
        return from_bf16(weights).astype(np.float64), from_bf16(as_bf16(x)).astype(np.float64)
    return weights.astype(np.float64), x.astype(np.float64)


def _within(made, exact, size, terms):
    """|fl(x.y) - x.y| <= gamma_n |x|.|y| for any order of summation (Higham, Accuracy and Stability, section 3.1)."""
    assert np.all(np.abs(made - exact) <= terms * EPS * size)


@pytest.mark.parametrize("dtype", FLOATS)
@settings(max_examples=12)
@given(rows=ROWS, strips=STRIPS, steps=st.integers(1, 90), seed=st.integers(0, 99))
def test_float_products_agree_to_rounding(ran, forms, dtype, rows, strips, steps, seed):
    name = "gemm_packed" if dtype == "fp32" else f"gemm_{dtype}"
    k = steps * FLOATS[dtype]
    for form in forms(name):
        operands = ran(name, (rows, 16 * strips, k), dtype, form, seed)
        weights, x = _real(operands, dtype)
        _within(operands[0], x @ weights.T, np.abs(x) @ np.abs(weights.T), k + 4)


@settings(max_examples=12)
@given(rows=ROWS, strips=STRIPS, steps=st.integers(1, 90), seed=st.integers(0, 99))
def test_int8_products_are_equal_to_numpy_to_the_last_bit(ran, forms, rows, strips, steps, seed):
    for form in forms("gemm_int8"):
        operands = ran("gemm_int8", (rows, 16 * strips, 4 * steps), "int8", form, seed)
        np.testing.assert_array_equal(operands[0], kernel("gemm_int8").reference(*operands))


@pytest.mark.parametrize("dtype", ["q4_0", "q2_0"])
@settings(max_examples=12)
@given(rows=ROWS, strips=STRIPS, blocks=st.integers(1, 9), seed=st.integers(0, 99))
def test_products_in_blocks_agree_to_rounding(ran, forms, dtype, rows, strips, blocks, seed):
    name, k = f"gemm_{dtype}", 32 * blocks
    for form in forms(name):
        operands = ran(name, (rows, 16 * strips, k), dtype, form, seed)
        weights = np.abs(unpack_blocks(operands[1], int(dtype[1])).astype(np.float64))
        integers, steps = quantised_rows(operands[2].reshape(-1, 32))
        x = np.abs(integers * steps.astype(np.float64)).reshape(rows, k)
        # integers are exact; each of the blocks' terms is rounded three times, and their sum once for each
        _within(operands[0], kernel(name).reference(*operands), x @ weights.T, blocks + 4)


@pytest.mark.parametrize("dtype", ["int1", "int2", "int3", "int4"])
@settings(max_examples=8)
@given(strips=STRIPS, groups=st.integers(1, 4), seed=st.integers(0, 99))
def test_table_lookups_agree_to_rounding(ran, forms, dtype, strips, groups, seed):
    bits = int(dtype[3])
    for form in forms("lut_gemv"):
        operands = ran("lut_gemv", (16 * strips, GROUP * groups), dtype, form, seed)
        _, scales = unpack_planes(operands[1], bool(operands[3][0]))
        x = np.abs(operands[2].astype(np.float64)).reshape(groups, GROUP).sum(axis=1)
        size = scales @ (2.0**bits * x)  # every look-up at its largest, and the shift for the zero
        _within(operands[0], kernel("lut_gemv").reference(*operands), size, groups + 40)


@pytest.mark.parametrize("by_rows", [0, 1])
@pytest.mark.parametrize("dtype", ["int1", "int4"])
def test_either_order_of_bytes_is_read_on_every_path(ran, forms, dtype, by_rows):
    chosen = kernel("lut_gemv")
    for form in forms("lut_gemv"):
        operands = ran("lut_gemv", (32, 256), dtype, form)
        codes, scales = unpack_planes(operands[1], bool(operands[3][0]))
        other = (operands[0] * 0, pack_planes(codes, scales, int(dtype[3]), bool(by_rows)), operands[2], np.array([by_rows]), *operands[4:])
        chosen.run(*other)
        np.testing.assert_allclose(other[0], operands[0], rtol=0, atol=2e-6)


@pytest.mark.parametrize("dtype", ["int1", "int2", "int3", "int4"])
def test_rounded_tables_miss_exact_arithmetic_by_at_most_half_a_step_each(ran, dtype):
    m, k, bits = 64, 512, int(dtype[3])
    y, packed, x, by_rows, *_ = ran("lut_gemv", (m, k), dtype, "numba")
    codes, scales = unpack_planes(packed, bool(by_rows[0]))
    weights = (codes - zero_of(bits)) * np.repeat(scales, GROUP, axis=1).astype(np.float64)
    # per group of 128: 32 look-ups in each plane, half a step each; a plane counts 2**i / 2
    steps = tables_of(x)[1].astype(np.float64)
    bound = (scales * steps * 32 * 0.5 * (2**bits - 1) / 2).sum(axis=1)
    error = np.abs(y - weights @ x.astype(np.float64))
    assert np.all(error <= 1.001 * bound)
    assert error.max() > 0.005 * bound.max()  # tables are rounded: the bound is not slack by orders of magnitude


@pytest.mark.parametrize("name", ["gemv_int8", "gemv_q4_0", "gemv_q2_0", "lut_gemv", "gemv_fp16", "gemv_bf16"])
def test_no_activation_gives_no_result(forms, name):
    chosen = kernel(name)
    operands = chosen.operands((16, 128), chosen.dtypes[0], np.random.default_rng(0))
    x = next(array for array in operands[2:] if array.dtype == np.float32 and array.size == 128)
    x[...] = 0
    for run in chosen.forms.values():
        operands[0][...] = 7
        run(*operands)
        np.testing.assert_array_equal(operands[0], 0)


def test_the_largest_integers_do_not_saturate(forms):
    # 127 * 127 * 1024 summed, and with the sign turned: 16-bit sums of byte products would have stopped at 32767.
    chosen = kernel("gemm_int8")
    for sign in (1, -1):
        operands = list(chosen.operands((1, 16, 1024), "int8", np.random.default_rng(0)))
        operands[1] = packed_int8(np.full((16, 1024), sign * 127, np.int8))
        operands[2][...] = 1.0
        operands[3][...] = 127.0
        for run in chosen.forms.values():
            run(*operands)
            np.testing.assert_array_equal(operands[0], sign * 127.0 * 127.0 * 1024)


def test_a_wide_row_of_activations_is_cut_in_blocks(ran, forms):
    # 70 rows of 4096 bytes are more than the 256 KiB of a block.
    for form in forms("gemm_int8"):
        if form != "numba":
            operands = ran("gemm_int8", (70, 16, 4096), "int8", form)
            np.testing.assert_array_equal(operands[0], kernel("gemm_int8").reference(*operands))


def test_every_fp16_value_is_widened_exactly(forms):
    # 65536 / 16 rows of one weight each, times 1: subnormals, zeros of both signs, infinities; NaN stays NaN.
    chosen = kernel("gemv_fp16")
    bits = np.arange(65536, dtype=np.uint16).reshape(-1, 1)
    operands = (np.zeros((1, 65536), np.float32), interleaved(bits, 1), np.ones((1, 1), np.float32), np.zeros(16, np.uint32))
    for run in chosen.forms.values():
        run(*operands)
        np.testing.assert_array_equal(operands[0][0], bits[:, 0].view(np.float16).astype(np.float32))


@given(bits=st.sampled_from([2, 4]), strips=STRIPS, blocks=st.integers(1, 4), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_blocks_unpack_to_what_was_packed(bits, strips, blocks, seed):
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 2**bits, (16 * strips, 32 * blocks), np.uint8)
    scales = generator.uniform(0.1, 2, (16 * strips, blocks)).astype(np.float16)
    packed = pack_blocks(codes, scales, bits)
    assert packed.shape == (strips, blocks, 32 + 64 * bits)
    exact = (codes.astype(np.float32) - 2 ** (bits - 1)) * np.repeat(scales.astype(np.float32), 32, axis=1)
    np.testing.assert_array_equal(unpack_blocks(packed, bits), exact)


@given(bits=st.integers(1, 4), by_rows=st.booleans(), strips=STRIPS, groups=st.integers(1, 3), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_planes_unpack_to_what_was_packed(bits, by_rows, strips, groups, seed):
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 2**bits, (16 * strips, GROUP * groups), np.uint8)
    scales = generator.uniform(0.1, 2, (16 * strips, groups)).astype(np.float16)
    packed = pack_planes(codes, scales, bits, by_rows)
    assert packed.shape == (strips, groups, 32 + 256 * bits)
    back, scale = unpack_planes(packed, by_rows)
    np.testing.assert_array_equal(back, codes)
    np.testing.assert_array_equal(scale, scales.astype(np.float32))


def test_int8_unpacks_to_what_was_packed():
    weights = np.random.default_rng(0).integers(-128, 128, (48, 20), np.int8)
    np.testing.assert_array_equal(unpacked_int8(packed_int8(weights)), weights)


@pytest.mark.parametrize(("bits", "largest"), [(1, None), (2, 1 / 1.5), (3, 1 / 3.5), (4, 1 / 7.5)])
def test_quantised_weights_are_near_the_real_ones(bits, largest):
    # A step is the largest magnitude of a group over 2^(b-1) - 1/2. The codes reach from -2^(b-1) to 2^(b-1) - 1 steps, so that what is
    # near the positive end is off by up to half a step more than rounding: the end itself, 2^(b-1) - 1/2 steps, by half a step exactly.
    real = np.random.default_rng(0).standard_normal((8, 256))
    codes, scales = quantised(real, bits, 128)
    steps = np.repeat(scales.astype(np.float64), 128, axis=1)
    back = (codes - zero_of(bits)) * steps
    if largest is None:
        np.testing.assert_array_equal(np.sign(back), np.where(real >= 0, 1, -1))
        np.testing.assert_allclose(np.abs(back[:, :128]).mean(axis=1), np.abs(real[:, :128]).mean(axis=1), rtol=1e-3)
    else:
        assert np.all(np.abs(back - real) <= (0.5 + 2e-3 * 2**bits) * steps)
        np.testing.assert_allclose(steps[:, 0], np.abs(real[:, :128]).max(axis=1) * largest, rtol=1e-3)


def test_bf16_rounds_to_nearest_ties_to_even():
    # 1 + 2^-8 lies between 1 (even) and 1 + 2^-7; 1 + 3 * 2^-8 between 1 + 2^-7 and 1 + 2^-6 (even).
    values = np.array([1.0, 1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8 - 2**-20], np.float32)
    np.testing.assert_array_equal(from_bf16(as_bf16(values)), [1.0, 1.0, 1 + 2**-6, -1 - 2**-7])


@pytest.mark.parametrize("name", ["peak_fp64", "peak_fp32", "peak_fp16", "peak_bf16", "peak_int8"])
def test_a_peak_makes_the_multiplications_it_is_asked_for(ran, forms, name):
    try:
        chosen = kernel(name)
    except ValueError:
        pytest.skip("this format's peak is native only")
    for form in forms(name):
        assert ran(name, (768 * 21,), chosen.dtypes[0], form)[0] == [768 * 21]
