"""What `Work` counts for a call is what the call's arrays hold, and as many multiplications as the reference makes."""

import numpy as np
import pytest

from edgewright.hwmodels import KERNELS, Work
from edgewright.kernels import DTYPES, kernel, kernel_names


def _copy_work(shape, dtype):
    (n,) = shape
    return Work.of("copy", dtype, 0.0, activations=2.0 * n * np.dtype(DTYPES[dtype]).itemsize)


def _gemv_work(shape, dtype):
    m, n = shape
    size = np.dtype(DTYPES[dtype]).itemsize
    return Work.of("gemv", dtype, 2.0 * m * n, weights=m * n * size, activations=(m + n) * size)


def _gemm_work(shape, dtype):
    m, n, k = shape
    size = np.dtype(DTYPES[dtype]).itemsize
    return Work.of("gemm", dtype, 2.0 * m * n * k, weights=k * n * size, activations=(m * k + m * n) * size)


WORK = {"copy": _copy_work, "gemv": _gemv_work, "gemm": _gemm_work}
PARTS = {
    "copy": {"activations": (0, 1)},
    "gemv": {"weights": (1,), "activations": (0, 2)},
    "gemm": {"weights": (2,), "activations": (0, 1)},
}
CALLS = [("copy", (1,)), ("copy", (1000,)), ("gemv", (7, 3)), ("gemv", (1, 64)), ("gemm", (5, 4, 3)), ("gemm", (1, 6, 2))]


class Counted:
    """A number that counts the multiplications it takes part in."""

    made = 0

    def __init__(self, value=1.0):
        self.value = value

    def __mul__(self, other):
        Counted.made += 1
        return Counted(self.value * other.value)

    def __add__(self, other):
        return Counted(self.value + other.value)


@pytest.mark.parametrize("name", kernel_names())
def test_every_kernel_calibrates_a_kernel_class(name):
    assert name in KERNELS


@pytest.mark.parametrize("dtype", ["fp32", "fp64"])
@pytest.mark.parametrize(("name", "shape"), CALLS)
def test_counted_bytes_are_those_of_the_arrays(name, shape, dtype):
    operands = kernel(name).operands(shape, dtype, np.random.default_rng(0))
    held = {tier: sum(operands[at].nbytes for at in places) for tier, places in PARTS[name].items()}
    assert WORK[name](shape, dtype).bytes == {"weights": 0.0, "activations": 0.0, "kv": 0.0} | held


@pytest.mark.parametrize(("name", "shape"), CALLS)
def test_counted_operations_are_two_for_each_multiplication(name, shape):
    operands = kernel(name).operands(shape, "fp32", np.random.default_rng(0))
    Counted.made = 0
    kernel(name).reference(*(np.vectorize(Counted, otypes=[object])(array) for array in operands))
    assert WORK[name](shape, "fp32").flops == {"fp32": 2.0 * Counted.made}
