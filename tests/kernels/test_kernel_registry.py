"""Kernels by name, and what a kernel refuses."""

import pytest

from edgewright.kernels import DuplicateKernel, UnknownKernel, kernel, kernel_names, register


def test_the_three_kernels_of_the_calibration_are_there():
    assert {"copy", "gemm", "gemv"} <= set(kernel_names())
    assert list(kernel_names()) == sorted(kernel_names())


def test_every_kernel_is_found_under_its_own_name():
    assert [kernel(name).name for name in kernel_names()] == list(kernel_names())


def test_an_unknown_name_lists_the_valid_ones_and_the_nearest():
    with pytest.raises(UnknownKernel, match=r"unknown kernel 'gemn': accepted are .*copy.*gemm.*; did you mean 'gem[mv]'\?"):
        kernel("gemn")


def test_a_second_kernel_of_a_name_is_refused():
    with pytest.raises(DuplicateKernel, match="'copy' is already registered"):
        register(kernel("copy"))


@pytest.mark.parametrize("shape", [(), (4,), (4, 4, 4), (0, 4), (4, -1)])
def test_a_shape_that_does_not_fit_is_refused(shape):
    with pytest.raises(ValueError, match=r"kernel 'gemv' takes a shape \(m, n\)"):
        kernel("gemv").checked(shape, "fp32")


def test_a_dtype_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="kernel 'gemm' has no dtype 'int8': accepted are fp32, fp64"):
        kernel("gemm").checked((2, 2, 2), "int8")
