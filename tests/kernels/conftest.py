"""Kernels in every form and on every code path that runs here."""

from contextlib import nullcontext

import numpy as np
import pytest

from edgewright.kernels import kernel
from edgewright.kernels.arrays import aligned
from edgewright.kernels.native import code_path, native_status


def _ran(name, shape, dtype, form, seed=0):
    implementation, _, path = form.partition(":")
    chosen = kernel(name)
    with code_path(path) if path else nullcontext():  # operands too: how weights are packed may follow the path
        operands = tuple(map(aligned, chosen.operands(chosen.checked(shape, dtype), dtype, np.random.default_rng(seed))))
        operands[0][...] = 77
        chosen.forms[implementation](*operands)
    return operands


@pytest.fixture(scope="session")
def ran():
    """`ran(name, shape, dtype, form, seed=0)`: operands after one call, the first of them spoilt beforehand."""
    return _ran


@pytest.fixture(scope="session")
def forms():
    """`forms(name)`: the forms of a kernel that run here: `numba`, and `native:PATH` for each code path of this processor."""

    def of(name):
        return [
            each
            for form in kernel(name).forms
            for each in ([f"native:{path}" for path in native_status().paths] if form == "native" else [form])
        ]

    return of
