"""Rows of the tables of speeds for the kernels other than dense products, and for the storage under a directory; see `kernel_speed.py`.

How wrong: bytes and operations are those that `hwmodels.kernel_work` counts, the least that must move; a figure of GB/s beyond the
memory's is one of the caches.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgewright.hwmodels.kernel_work import kernel_work
from edgewright.kernels import Effort, kernel, measure
from edgewright.kernels.storage import measure_storage, probe_file

__all__ = ["OPERATORS", "operator_rows", "storage_rows"]

OPERATORS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("attention", "fp32", (512, 512, 8, 1, 64)),
    ("attention", "fp16", (512, 512, 8, 1, 64)),
    ("attention", "fp32", (512, 2048, 2, 4, 128)),
    ("attention_window", "fp32", (2048, 2048, 2, 4, 64, 256)),
    ("attention_decode", "fp32", (1, 512, 8, 1, 64)),
    ("attention_decode", "fp32", (1, 4096, 8, 1, 128)),
    ("attention_decode", "fp16", (1, 4096, 8, 1, 128)),
    ("attention_decode", "fp16", (1, 4096, 8, 4, 128)),
    ("conv", "fp32", (224, 224, 1, 3, 64, 7, 2)),
    ("conv", "fp32", (56, 56, 1, 64, 64, 3, 1)),
    ("conv", "fp32", (56, 56, 1, 64, 256, 1, 1)),
    ("conv", "fp32", (7, 7, 1, 512, 512, 3, 1)),
    ("conv", "fp32", (28, 28, 32, 8, 8, 3, 1)),
    ("conv_depthwise", "fp32", (112, 112, 96, 3, 2)),
    ("conv_depthwise", "fp32", (14, 14, 384, 5, 1)),
    ("gemm_experts", "fp32", (8, 8, 1024, 512)),
    ("gemm_experts", "fp32", (64, 8, 1024, 512)),
    ("spmm_nm", "fp32", (512, 128, 512)),
    ("spmm_block", "fp32", (512, 128, 512, 4)),
    ("spmm_decoded", "fp32", (512, 128, 512, 4)),
    ("gemv_channels", "fp32", (1024, 1024, 2)),
    ("rms_norm", "fp32", (64, 2048)),
    ("layer_norm", "fp32", (64, 2048)),
    ("softmax", "fp32", (64, 2048)),
    ("swiglu", "fp32", (64, 2048)),
    ("lookup", "fp32", (64, 2048, 32000)),
    ("shiftmax", "int8", (64, 2048)),
    ("shiftgelu", "int8", (64, 2048)),
    ("i_layer_norm", "int8", (64, 2048)),
    ("kv_accumulate", "fp32", (4096, 8, 1, 128)),
    ("kv_gumbel", "fp32", (4096, 8, 1, 128)),
    ("kv_select", "fp32", (32, 4096, 4)),
    ("kv_gather", "fp32", (4096, 8, 128, 4)),
    ("kv_cluster", "fp32", (4096, 64, 128)),
    ("kv_quantise_keys", "int4", (1024, 8, 128)),
    ("kv_quantise_values", "int4", (1024, 8, 128)),
    ("kv_widen_keys", "int4", (1024, 8, 128)),
    ("kv_widen_values", "int4", (1024, 8, 128)),
)
"""Kernels, formats and shapes of the table."""

STORAGE: tuple[tuple[bool, bool, int, int], ...] = (
    (False, False, 1 << 20, 1),
    (False, False, 1 << 20, 4),
    (False, True, 4096, 1),
    (False, True, 4096, 4),
    (False, True, 4096, 16),
    (False, True, 65536, 4),
    (True, False, 1 << 20, 1),
    (True, True, 4096, 4),
)
"""Requests of the table: written, at random, bytes, in flight."""


def operator_rows(effort: Effort) -> Iterator[tuple[str, ...]]:
    """Kernel, format, shape, microseconds, GB/s and Gop/s of each of `OPERATORS`; a `*` where the harness does not trust the figure."""
    for name, dtype, shape in OPERATORS:
        sample, work = measure(kernel(name), shape, dtype, effort=effort), kernel_work(name, shape, dtype)
        moved, operations = (float(sum(amounts.values())) for amounts in (work.bytes, work.flops))
        mark = "" if sample.trusted else "*"
        rates = (f"{amount / sample.seconds / 1e9:.1f}{mark}" for amount in (moved, operations))
        named = ", ".join(f"{axis} {extent}" for axis, extent in zip(kernel(name).axes, shape, strict=True))
        yield name, dtype, named, f"{sample.seconds * 1e6:.1f}", *rates


def storage_rows(directory: Path, size: int = 256 << 20, seconds: float = 1.0) -> Iterator[tuple[str, ...]]:
    """Pattern, block, depth, MB/s, requests/s and latency of each of `STORAGE`, on a file of `size` bytes in `directory`."""
    with probe_file(directory, size) as file:
        for write, random, block, depth in STORAGE:
            sample = measure_storage(file, block=block, depth=depth, write=write, random=random, seconds=seconds)
            pattern = f"{'write' if write else 'read'}, {'random' if random else 'sequential'}"
            mark = "" if sample.trusted else "*"
            way = "direct" if sample.direct else "page cache"
            rate, requests = f"{sample.rate / 1e6:.0f}{mark}", f"{sample.rate / block:.0f}{mark}"
            yield pattern, f"{block // 1024} KiB", str(depth), way, rate, requests, f"{sample.latency * 1e6:.0f}"
