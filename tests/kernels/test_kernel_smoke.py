"""Every kernel can be timed by the harness, so that it can be calibrated with."""

import pytest

from edgewright.kernels import Effort, kernel, kernel_names, measure

TINY = Effort(budget=0.0, repeats=2, repeat_seconds=1e-7)


@pytest.mark.parametrize("name", kernel_names())
def test_a_tiny_call_is_timed(name):
    chosen = kernel(name)
    shape = chosen.multiples or (8,) * len(chosen.axes)
    for dtype in chosen.dtypes:
        sample = measure(chosen, shape, dtype, effort=TINY)
        assert 0 < sample.low <= sample.seconds <= sample.high
