"""The ground: real kernels, and the harness that times them. Shapes in, seconds out.

Read first: `spec.py` (what a kernel is), `harness.py` (how one is timed, and when the figure is not to be trusted), `gemv.py` (kernels).
Then: `foreign.py` (calls of software with threads of its own), `native/` (the C library, which is optional: `native_status()` says whether
it is in use, and why).
May import: nothing of Edgewright. Importing this package loads no compiler: `kernel(name)` does, when a kernel is first asked for.
"""

from edgewright.kernels.harness import Effort, Sample, measure
from edgewright.kernels.host import Host, ThisHost
from edgewright.kernels.native import NativeStatus, native_status
from edgewright.kernels.registry import DuplicateKernel, UnknownKernel, kernel, kernel_names, register
from edgewright.kernels.spec import DTYPES, Kernel

__all__ = [
    "DTYPES",
    "DuplicateKernel",
    "Effort",
    "Host",
    "Kernel",
    "NativeStatus",
    "Sample",
    "ThisHost",
    "UnknownKernel",
    "kernel",
    "kernel_names",
    "measure",
    "native_status",
    "register",
]
