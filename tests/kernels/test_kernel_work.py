"""What `Work` counts for a call is what the call's arrays hold, and as many multiplications as the reference makes."""

import numpy as np
import pytest

from edgewright.hwmodels import KERNELS
from edgewright.hwmodels.kernel_work import kernel_work, works_known
from edgewright.kernels import kernel, kernel_names
from edgewright.workloads.formats import format_named
from edgewright.workloads.model_operators import Linear
from edgewright.workloads.step import Step

PARTS = {
    "copy": {"activations": (0, 1)},
    "copy_past": {"activations": (0, 1)},
    "read": {"activations": (1,)},
    "triad": {"activations": (0, 1, 2)},
    "triad_past": {"activations": (0, 1, 2)},
    "gemv": {"weights": (1,), "activations": (0, 2)},
    "gemm": {"weights": (2,), "activations": (0, 1)},
    **{f"gem{one}_{dtype}": {"weights": (1,), "activations": (0, 2)} for one in "vm" for dtype in ("fp16", "bf16", "q4_0", "q2_0")},
    "gemm_packed": {"weights": (1,), "activations": (0, 2)},
    "gemv_int8": {"weights": (1, 2), "activations": (0, 3)},
    "gemm_int8": {"weights": (1, 2), "activations": (0, 3)},
    "lut_gemv": {"weights": (1,), "activations": (0, 2)},
}
SHAPES = {
    "copy": [(1,), (1000,)],
    "copy_past": [(1,), (1000,)],
    "read": [(7, 1), (1000, 1)],
    "triad": [(7, 1), (1000, 1)],
    "triad_past": [(7, 1), (1000, 1)],
    "gemv": [(7, 3), (1, 64)],
    "gemm": [(5, 4, 3), (1, 6, 2)],
    **{f"gemv_{dtype}": [(16, 32), (48, 256)] for dtype in ("fp16", "bf16", "int8", "q4_0", "q2_0")},
    **{f"gemm_{dtype}": [(1, 16, 32), (5, 48, 256)] for dtype in ("fp16", "bf16", "int8", "q4_0", "q2_0", "packed")},
    "lut_gemv": [(16, 128), (48, 256)],
}
PROBES = ("chase", "gather", "strided")
CALLS = [(name, shape) for name, shapes in SHAPES.items() for shape in shapes if name in kernel_names()]
MULTIPLIES = [(name, shape) for name, shape in CALLS if name in ("gemv", "gemm")]


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
def test_every_kernel_calibrates_a_kernel_class_or_is_a_probe(name):
    assert kernel(name).kernel_class in {*KERNELS, ""}


@pytest.mark.parametrize("name", kernel_names())
def test_the_work_of_every_kernel_is_known_unless_no_price_could_follow_it(name):
    assert (name in works_known()) != (name in PROBES)


def test_the_work_of_a_chase_is_refused():
    with pytest.raises(ValueError, match="the work of kernel 'chase' is not known: accepted are copy"):
        kernel_work("chase", (4, 4), "uint64")


@pytest.mark.parametrize(("name", "shape"), CALLS)
def test_counted_bytes_are_those_of_the_arrays(name, shape):
    for dtype in kernel(name).dtypes:
        operands = kernel(name).operands(shape, dtype, np.random.default_rng(0))
        held = {tier: sum(operands[at].nbytes for at in places) for tier, places in PARTS[name].items()}
        assert kernel_work(name, shape, dtype).bytes == {"weights": 0.0, "activations": 0.0, "kv": 0.0} | held


@pytest.mark.parametrize(("name", "shape"), MULTIPLIES)
def test_counted_operations_are_two_for_each_multiplication(name, shape):
    operands = kernel(name).operands(shape, "fp32", np.random.default_rng(0))
    Counted.made = 0
    kernel(name).reference(*(np.vectorize(Counted, otypes=[object])(array) for array in operands))
    assert kernel_work(name, shape, "fp32").flops == {"fp32": 2.0 * Counted.made}


@pytest.mark.parametrize("name", [name for name in kernel_names() if name.startswith("peak_")])
def test_a_peak_is_two_operations_for_each_multiplication_and_no_bytes(name):
    (dtype,) = kernel(name).dtypes
    work = kernel_work(name, (768,), dtype)
    assert work.flops == {dtype: 2.0 * 768}
    assert set(work.bytes.values()) == {0.0}


def test_a_block_format_takes_the_bits_that_models_count_for_it():
    # 32 weights of 4 bits and a scale of 16: 4.5 bits, in the kernel as in the format of a model.
    of_kernel = kernel_work("gemv_q4_0", (16, 32), "q4_0").bytes["weights"]
    assert of_kernel == 16 * 32 * format_named("q4_0").weight_bits / 8


@pytest.mark.parametrize(("name", "rows", "shape"), [("gemv", 1, (7, 3)), ("gemm", 5, (5, 7, 3)), ("gemm_packed", 5, (5, 7, 3))])
def test_a_model_counts_the_same_product_alike(name, rows, shape):
    of_model = Linear("product", inputs=3, outputs=7).terms(Step(prefill=rows), format_named("fp32"), 1, (0,))
    assert of_model == kernel_work(name, shape, "fp32").terms


@pytest.mark.parametrize("name", ["read", "triad"])
def test_passes_are_counted_each(name):
    once, thrice = (kernel_work(name, (100, passes), "fp32") for passes in (1, 3))
    assert thrice.bytes["activations"] == 3 * once.bytes["activations"]
    assert thrice.flops["fp32"] == 3 * once.flops["fp32"]
