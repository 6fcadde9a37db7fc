"""What others make of the same work, as kernels that the harness can time: NumPy's BLAS, a C triad, ONNX Runtime, ggml.

A peer that is not installed is left out. ONNX Runtime is the package `onnxruntime` (its models are made here with `onnx`). ggml is the
tensor library of llama.cpp, found as `libggml-cpu` in the folder that `EDGEWRIGHT_GGML` names, or in an installed `llama_cpp`.

How wrong: a session's own overhead (some microseconds for ONNX Runtime, a graph of one node for ggml) is in their figures, as Python's call
is in ours. ggml is called on tensors in plain memory, in the layout of the file: llama.cpp repacks Q4_0 when it loads a model.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.kernels import Kernel, UnknownKernel, kernel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["c_triad", "ggml_gemv", "numpy_matmul", "onnx_runtime"]

GGML_TYPES = {"fp32": 0, "fp16": 1, "q4_0": 2, "q8_0": 8}
"""ggml's numbers of its tensor types."""


def c_triad() -> Iterator[Kernel]:
    """The triads in C, with ordinary and with non-temporal stores; the Numba one where there is no native library."""
    for name in ("triad", "triad_past"):
        try:
            yield kernel(name)
        except UnknownKernel:
            continue


def numpy_matmul() -> Kernel:
    """`gemm` by NumPy's BLAS, which must have been limited to one thread (`OPENBLAS_NUM_THREADS=1`)."""
    import numpy as np

    def run(c: NDArray[Any], a: NDArray[Any], b: NDArray[Any], *_: NDArray[Any]) -> None:
        np.matmul(a, b, out=c)

    return replace(kernel("gemm"), name="NumPy BLAS", run=run)


def onnx_runtime(axes: int) -> Iterator[Kernel]:
    """ONNX Runtime's products of fp32, of int8 (activations quantised inside) and of 4-bit blocks, on one thread; for 2 axes or 3."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError:
        return
    for dtype, node in (("fp32", _matmul), ("int8", _dynamic_int8), ("q4_0", _blocks_of_4_bits)):
        yield _of_sessions(f"ONNX Runtime {node.__name__.strip('_')}", dtype, axes, node)


def _of_sessions(name: str, dtype: str, axes: int, node: Any) -> Kernel:
    """A kernel whose call runs a session; sessions are made with their operands, one for each shape."""
    import numpy as np

    sessions: dict[tuple[int, ...], Any] = {}

    def operands(shape: tuple[int, ...], _: str, generator: np.random.Generator) -> tuple[NDArray[Any], ...]:
        rows, outputs, k = (1, *shape) if axes == 2 else shape
        weights = (generator.standard_normal((k, outputs)) / k**0.5).astype(np.float32)
        sessions[rows, outputs, k] = _session(rows, weights, node), weights
        return np.zeros((rows, outputs), np.float32), generator.standard_normal((rows, k)).astype(np.float32)

    def run(c: NDArray[Any], x: NDArray[Any]) -> None:
        session, _ = sessions[(*c.shape, x.shape[1])]
        c[...] = session.run(None, {"x": x})[0]

    def reference(c: NDArray[Any], x: NDArray[Any]) -> NDArray[Any]:
        made: NDArray[Any] = x @ sessions[(*c.shape, x.shape[1])][1]
        return made

    return Kernel(name, ("m", "n", "k")[:axes], (dtype,), operands, run, reference)


def _session(rows: int, weights: NDArray[Any], node: Any) -> Any:
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper

    k, outputs = weights.shape
    made, constants = node(weights)
    entry = helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, k])
    leave = helper.make_tensor_value_info("y", TensorProto.FLOAT, [rows, outputs])
    graph = helper.make_graph([made], "product", [entry], [leave], [onnx.numpy_helper.from_array(v, n) for n, v in constants.items()])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _matmul(weights: NDArray[Any]) -> tuple[Any, dict[str, NDArray[Any]]]:
    from onnx import helper

    return helper.make_node("MatMul", ["x", "w"], ["y"]), {"w": weights}


def _dynamic_int8(weights: NDArray[Any]) -> tuple[Any, dict[str, NDArray[Any]]]:
    import numpy as np
    from onnx import helper

    scale = np.float32(np.abs(weights).max() / 127)
    constants: dict[str, NDArray[Any]] = {"w": np.rint(weights / scale).astype(np.int8), "scale": np.array(scale)}
    return helper.make_node("DynamicQuantizeMatMul", ["x", "w", "scale"], ["y"], domain="com.microsoft"), constants


def _blocks_of_4_bits(weights: NDArray[Any]) -> tuple[Any, dict[str, NDArray[Any]]]:
    import numpy as np
    from onnx import helper

    from edgewright.kernels.packing import quantised

    k, outputs = weights.shape
    codes, scales = quantised(weights.T, 4, 32)
    pairs = codes.reshape(outputs, k // 32, 16, 2)
    constants = {"w": pairs[..., 0] | pairs[..., 1] << 4, "scales": scales.astype(np.float32)}
    sizes = {"K": k, "N": outputs, "bits": 4, "block_size": 32, "accuracy_level": 4}
    return helper.make_node("MatMulNBits", ["x", "w", "scales"], ["y"], domain="com.microsoft", **sizes), constants


class _Pool(ctypes.Structure):
    """`struct ggml_init_params`."""

    _fields_ = (("size", ctypes.c_size_t), ("buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))


class _ComputePlan(ctypes.Structure):
    """`struct ggml_cplan`, and room for what later versions append to it."""

    _fields_ = (
        ("work_size", ctypes.c_size_t),
        ("work_data", ctypes.c_void_p),
        ("threads", ctypes.c_int),
        ("others", ctypes.c_void_p * 8),
    )


def ggml_gemv() -> Iterator[Kernel]:
    """ggml's product of one row with a matrix in each of its types, on one thread."""
    libraries = _ggml()
    if libraries is not None:
        for dtype in GGML_TYPES:
            yield _of_ggml(dtype, *libraries)


def _ggml() -> tuple[ctypes.CDLL, ctypes.CDLL] | None:
    """Its base and CPU libraries."""
    folder = Path(os.environ.get("EDGEWRIGHT_GGML", ""))
    if not os.environ.get("EDGEWRIGHT_GGML"):
        found = importlib.util.find_spec("llama_cpp")
        if found is None or found.origin is None:
            return None
        folder = Path(found.origin).parent / "lib"
    try:
        base = ctypes.CDLL(str(next(folder.rglob("libggml-base.so"))), mode=ctypes.RTLD_GLOBAL)
        cpu = ctypes.CDLL(str(next(folder.rglob("libggml-cpu.so"))))
    except (OSError, StopIteration):
        return None
    cpu.ggml_cpu_init()
    for name in ("ggml_init", "ggml_new_tensor_2d", "ggml_mul_mat", "ggml_new_graph", "ggml_get_data"):
        getattr(base, name).restype = ctypes.c_void_p
    cpu.ggml_graph_plan.restype = _ComputePlan
    return base, cpu


def _of_ggml(dtype: str, base: ctypes.CDLL, cpu: ctypes.CDLL) -> Kernel:
    """A kernel whose call computes a graph of one node, made with its operands: one graph for each shape."""
    import numpy as np

    graphs: dict[tuple[int, int], tuple[Any, ...]] = {}

    def operands(shape: tuple[int, ...], _: str, generator: np.random.Generator) -> tuple[NDArray[Any], ...]:
        m, n = shape
        weights = (generator.standard_normal((m, n)) / n**0.5).astype(np.float32)
        x = generator.standard_normal(n).astype(np.float32)
        graphs[m, n] = (*_graph(base, cpu, GGML_TYPES[dtype], weights, x), weights)
        return np.zeros(m, np.float32), x

    def run(y: NDArray[Any], x: NDArray[Any]) -> None:
        graph, plan, result, *_ = graphs[y.size, x.size]
        cpu.ggml_graph_compute(graph, plan)
        ctypes.memmove(y.ctypes.data, result, y.nbytes)

    def reference(y: NDArray[Any], x: NDArray[Any]) -> NDArray[Any]:
        made: NDArray[Any] = graphs[y.size, x.size][-1] @ x
        return made

    return Kernel("ggml", ("m", "n"), (dtype,), operands, run, reference)


def _graph(base: ctypes.CDLL, cpu: ctypes.CDLL, kind: int, weights: NDArray[Any], x: NDArray[Any]) -> tuple[Any, ...]:
    """The graph, its plan by reference, where the result lies, and what must stay alive for them."""
    rows, columns = (ctypes.c_int64(extent) for extent in weights.shape)
    pool = ctypes.c_void_p(base.ggml_init(_Pool(2 * weights.nbytes + 2**24, None, False)))
    matrix = ctypes.c_void_p(base.ggml_new_tensor_2d(pool, ctypes.c_int(kind), columns, rows))
    vector = ctypes.c_void_p(base.ggml_new_tensor_2d(pool, ctypes.c_int(GGML_TYPES["fp32"]), columns, ctypes.c_int64(1)))
    source, place = weights.ctypes.data_as(ctypes.c_void_p), ctypes.c_void_p(base.ggml_get_data(matrix))
    base.ggml_quantize_chunk(ctypes.c_int(kind), source, place, ctypes.c_int64(0), rows, columns, None)
    ctypes.memmove(base.ggml_get_data(vector), x.ctypes.data, x.nbytes)
    product = ctypes.c_void_p(base.ggml_mul_mat(pool, matrix, vector))
    graph = ctypes.c_void_p(base.ggml_new_graph(pool))
    base.ggml_build_forward_expand(graph, product)
    plan = cpu.ggml_graph_plan(graph, ctypes.c_int(1), None)
    work = ctypes.create_string_buffer(max(1, plan.work_size))
    plan.work_data = ctypes.addressof(work)
    return graph, ctypes.byref(plan), ctypes.c_void_p(base.ggml_get_data(product)), plan, work
