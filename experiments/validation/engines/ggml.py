"""ggml, llama.cpp's tensor library, as far as operators are timed with it: graphs of equal nodes on operands that are used in turn.

Found in the installed package `llama_cpp`, whose library it is. Weights lie where llama.cpp would put them: repacked, where ggml has a
repacked layout for their format on this processor. All tensors are made without values; what values decide (masks, routes) is set.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["TYPES", "Bench", "ggml_library"]

TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q8_0": 8, "I32": 26, "I64": 27}
"""ggml's numbers of its tensor types."""

_NODES = 8192
_ALIGNED = 64
_FILL = 0x11

Tensor = ctypes.c_void_p


class _Params(ctypes.Structure):
    _fields_ = (("size", ctypes.c_size_t), ("memory", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))


class Bench:
    """A graph under construction, and the memory it works on. Use it as a context manager."""

    def __init__(self, threads: int) -> None:
        self.ggml = ggml = ggml_library()
        size = _NODES * (ggml.ggml_tensor_overhead() + 64) + ggml.ggml_graph_overhead_custom(_NODES, False)
        self._context = ggml.ggml_init(_Params(size, None, True))
        self._graph = ggml.ggml_new_graph_custom(self._context, _NODES, False)
        self._backend = ggml.ggml_backend_cpu_init()
        ggml.ggml_backend_cpu_set_n_threads(self._backend, threads)
        self._buffers: list[Any] = []

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        for buffer in self._buffers:
            self.ggml.ggml_backend_buffer_free(buffer)
        self.ggml.ggml_backend_free(self._backend)
        self.ggml.ggml_free(self._context)

    def tensor(self, kind: str, *shape: int) -> Tensor:
        """A tensor without memory; the fastest axis first."""
        full = (*shape, *[1] * (4 - len(shape)))
        return Tensor(self.ggml.ggml_new_tensor_4d(self._context, TYPES[kind], *full))

    def op(self, name: str, *arguments: Any) -> Tensor:
        """The result of `ggml_NAME`."""
        return Tensor(getattr(self.ggml, f"ggml_{name}")(self._context, *arguments))

    def bytes_of(self, tensor: Tensor) -> int:
        """Bytes of its numbers."""
        return int(self.ggml.ggml_nbytes(tensor))

    def place_weights(self, tensors: Sequence[Tensor], *, repacked: bool) -> None:
        """Give each memory of its own, in the layout that llama.cpp gives weights of their format."""
        kind = _repacking() if repacked else self.ggml.ggml_backend_cpu_buffer_type()
        self._place(tensors, kind, shared=False)

    def place(self, tensors: Sequence[Tensor], *, shared: bool = False) -> None:
        """Give them plain memory, of their own each or (results that nobody reads) the same for all."""
        self._place(tensors, self.ggml.ggml_backend_cpu_buffer_type(), shared=shared)

    def view(self, tensor: Tensor) -> Tensor:
        """Say that a view's source has its memory."""
        self.ggml.ggml_backend_view_init(tensor)
        return tensor

    def set(self, tensor: Tensor, values: NDArray[np.generic]) -> None:
        """Give a placed tensor its numbers; raises `ValueError` where they are not as many bytes."""
        if values.nbytes != self.bytes_of(tensor):
            raise ValueError(f"{values.nbytes} bytes for a tensor of {self.bytes_of(tensor)}")
        ctypes.memmove(self.ggml.ggml_get_data(tensor), values.ctypes.data, values.nbytes)

    def add(self, tensor: Tensor) -> None:
        """Compute it, after all that were added before."""
        self.ggml.ggml_build_forward_expand(self._graph, tensor)

    def compute(self) -> None:
        """Run the graph; raises `RuntimeError` if ggml says no."""
        status = self.ggml.ggml_backend_graph_compute(self._backend, self._graph)
        if status:
            raise RuntimeError(f"ggml computed nothing: status {status}")

    def _place(self, tensors: Sequence[Tensor], kind: Any, *, shared: bool) -> None:
        sizes = [-(-self.bytes_of(each) // _ALIGNED) * _ALIGNED for each in tensors]
        total = (max(sizes) if shared else sum(sizes)) + _ALIGNED
        buffer = self.ggml.ggml_backend_buft_alloc_buffer(kind, total)
        self._buffers.append(buffer)
        base = self.ggml.ggml_backend_buffer_get_base(buffer)
        ctypes.memset(base, _FILL, total)
        for tensor, size in zip(tensors, sizes, strict=True):
            self.ggml.ggml_backend_tensor_alloc(buffer, tensor, base)
            base += 0 if shared else size


@cache
def ggml_library() -> Any:
    """The library, with the types of what is called; raises `ImportError` where `llama_cpp` is not installed."""
    found = importlib.util.find_spec("llama_cpp")
    if found is None or found.origin is None:
        raise ImportError("llama.cpp is not installed: pip install 'edgewright[engines]'")
    folder = Path(found.origin).parent / "lib"
    library: Any = None
    for name in ("ggml-base", "ggml-cpu", "ggml"):
        library = ctypes.CDLL(str(next(folder.glob(f"libggml{name.removeprefix('ggml')}.*"))), mode=ctypes.RTLD_GLOBAL)
    for name, result, arguments in _SIGNATURES:
        function = getattr(library, f"ggml_{name}")
        function.restype, function.argtypes = result, arguments
    return library


@cache
def _repacking() -> Any:
    """The kind of memory whose weights are repacked; plain memory if this build has none."""
    ggml = ggml_library()
    device = ggml.ggml_backend_get_device(ggml.ggml_backend_cpu_init())
    address = ggml.ggml_backend_reg_get_proc_address(ggml.ggml_backend_dev_backend_reg(device), b"ggml_backend_dev_get_extra_bufts")
    if not address:
        return ggml.ggml_backend_cpu_buffer_type()
    kinds = ctypes.CFUNCTYPE(ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p)(address)(device)
    for place in range(8):
        if not kinds or not kinds[place]:
            break
        if ggml.ggml_backend_buft_name(kinds[place]) == b"CPU_REPACK":
            return kinds[place]
    return ggml.ggml_backend_cpu_buffer_type()


_P, _L, _F, _I, _Z = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float, ctypes.c_int, ctypes.c_size_t
_SIGNATURES: tuple[tuple[str, Any, Sequence[Any]], ...] = (
    ("init", _P, (_Params,)),
    ("free", None, (_P,)),
    ("tensor_overhead", _Z, ()),
    ("graph_overhead_custom", _Z, (_Z, ctypes.c_bool)),
    ("new_graph_custom", _P, (_P, _Z, ctypes.c_bool)),
    ("new_tensor_4d", _P, (_P, _I, _L, _L, _L, _L)),
    ("nbytes", _Z, (_P,)),
    ("get_data", _P, (_P,)),
    ("build_forward_expand", None, (_P, _P)),
    ("backend_cpu_init", _P, ()),
    ("backend_cpu_set_n_threads", None, (_P, _I)),
    ("backend_free", None, (_P,)),
    ("backend_cpu_buffer_type", _P, ()),
    ("backend_get_device", _P, (_P,)),
    ("backend_dev_backend_reg", _P, (_P,)),
    ("backend_reg_get_proc_address", _P, (_P, ctypes.c_char_p)),
    ("backend_dev_supports_op", ctypes.c_bool, (_P, _P)),
    ("backend_buft_name", ctypes.c_char_p, (_P,)),
    ("backend_buft_alloc_buffer", _P, (_P, _Z)),
    ("backend_buffer_get_base", _P, (_P,)),
    ("backend_buffer_free", None, (_P,)),
    ("backend_tensor_alloc", _I, (_P, _P, _P)),
    ("backend_view_init", _I, (_P,)),
    ("backend_graph_compute", _I, (_P, _P)),
    ("mul_mat", _P, (_P, _P, _P)),
    ("mul_mat_id", _P, (_P, _P, _P, _P)),
    ("rms_norm", _P, (_P, _P, _F)),
    ("mul", _P, (_P, _P, _P)),
    ("add", _P, (_P, _P, _P)),
    ("div", _P, (_P, _P, _P)),
    ("sum_rows", _P, (_P, _P)),
    ("clamp", _P, (_P, _P, _F, _F)),
    ("soft_max", _P, (_P, _P)),
    ("argsort", _P, (_P, _P, _I)),
    ("get_rows", _P, (_P, _P, _P)),
    ("set_rows", _P, (_P, _P, _P, _P)),
    ("swiglu_split", _P, (_P, _P, _P)),
    ("rope_ext", _P, (_P, _P, _P, _P, _I, _I, _I, _F, _F, _F, _F, _F, _F)),
    ("reshape_3d", _P, (_P, _P, _L, _L, _L)),
    ("reshape_2d", _P, (_P, _P, _L, _L)),
    ("view_2d", _P, (_P, _P, _L, _L, _Z, _Z)),
    ("view_4d", _P, (_P, _P, _L, _L, _L, _L, _Z, _Z, _Z, _Z)),
    ("permute", _P, (_P, _P, _I, _I, _I, _I)),
    ("flash_attn_ext", _P, (_P, _P, _P, _P, _P, _F, _F, _F)),
)
