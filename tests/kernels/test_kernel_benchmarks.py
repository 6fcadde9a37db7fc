"""How fast the kernels are beside NumPy, which uses as many threads as its BLAS likes: set OPENBLAS_NUM_THREADS=1 for a fair comparison.

Off by default (each is called once); `pytest --benchmark-enable --benchmark-only tests/kernels` measures.
"""

import numpy as np
import pytest

from edgewright.kernels import kernel

SHAPES = [("copy", (1_000_000,)), ("gemv", (1024, 1024)), ("gemm", (256, 256, 256))]


@pytest.mark.parametrize("form", ["compiled", "numpy"])
@pytest.mark.parametrize(("name", "shape"), SHAPES)
def test_speed_of_a_kernel(benchmark, name, shape, form):
    benchmark.group = f"{name}{shape}"
    chosen = kernel(name)
    operands = chosen.operands(shape, "fp32", np.random.default_rng(0))
    chosen.run(*operands)  # compiles
    result = benchmark(chosen.run if form == "compiled" else chosen.reference, *operands)
    product = operands[0] if form == "compiled" else result
    np.testing.assert_allclose(product, chosen.reference(*operands), rtol=0, atol=1e-3)
