"""All-reduce through PyTorch's collectives: processes on this machine that sum tensors of growing sizes, and what that takes.

`gloo` on the CPU (over loopback), `nccl` with one process for each GPU. What is fitted is Hockney's form (Parallel Computing 20, 1994) for
the whole collective: seconds = latency + bytes / rate.

How wrong: a library changes its algorithm with the size, which two constants do not follow; the largest miss is given. Gloo between
processes of one machine says nothing about a network between machines.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

__all__ = ["AllReduce", "fit_all_reduce", "time_all_reduce"]

SIZES = tuple(2**power for power in range(10, 25, 2))
"""Bytes that are summed."""

_WARM, _REPEATS = 3, 11


@dataclass(frozen=True, slots=True)
class AllReduce:
    """What was measured, and the two constants.

    Attributes:
        backend: `gloo` or `nccl`.
        ranks: processes.
        seconds: median of the slowest rank, by bytes summed.
        latency: seconds that the smallest sum takes.
        rate: bytes per second of large ones.
        miss: largest |ln(fitted / measured)|.
    """

    backend: str
    ranks: int
    seconds: dict[int, float]
    latency: float
    rate: float
    miss: float


def fit_all_reduce(backend: str, ranks: int, seconds: dict[int, float]) -> AllReduce:
    """The two constants, by least squares of logarithms."""
    from scipy.optimize import least_squares

    sizes, measured = np.array(list(seconds), np.float64), np.log(list(seconds.values()))

    def misses(logs: Any) -> Any:
        return np.log(np.exp(logs[0]) + sizes / np.exp(logs[1])) - measured

    found = least_squares(misses, np.array([measured[0], np.log(sizes[-1]) - measured[-1]]))
    latency, rate = map(float, np.exp(found.x))
    return AllReduce(backend, ranks, dict(seconds), latency, rate, float(np.abs(found.fun).max()))


def time_all_reduce(device: str, ranks: int, sizes: Sequence[int] = SIZES) -> AllReduce:
    """Start `ranks` processes, sum tensors of `sizes` bytes among them, and fit. `device`: `cpu`, or `cuda` (one GPU for each process).

    Raises `ValueError` for fewer than two ranks, and for more than there are GPUs.
    """
    import torch

    if ranks < 2:
        raise ValueError(f"an all-reduce needs at least 2 processes, not {ranks}")
    if device == "cuda" and ranks > torch.cuda.device_count():
        raise ValueError(f"an all-reduce of {ranks} GPUs needs as many: there are {torch.cuda.device_count()}")
    backend = "nccl" if device == "cuda" else "gloo"
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(_rank, (ranks, backend, folder, tuple(sizes)), nprocs=ranks)
        tables = [np.load(Path(folder) / f"{rank}.npy") for rank in range(ranks)]
    slowest = np.max(tables, axis=0)
    return fit_all_reduce(backend, ranks, dict(zip(sizes, map(float, slowest), strict=True)))


def _rank(rank: int, ranks: int, backend: str, folder: str, sizes: tuple[int, ...]) -> None:
    """One process: meets the others through a file, sums, and leaves its medians beside it."""
    import torch
    from torch import distributed

    device = f"cuda:{rank}" if backend == "nccl" else "cpu"
    torch.set_num_threads(1)
    store = distributed.FileStore(f"{folder}/meeting", ranks)
    distributed.init_process_group(backend, store=store, rank=rank, world_size=ranks)
    found = []
    for size in sizes:
        numbers = torch.ones(size // 4, device=device)
        times = [_once(numbers, device) for _ in range(_WARM + _REPEATS)][_WARM:]
        found.append(median(times))
    np.save(Path(folder) / f"{rank}.npy", np.array(found))
    distributed.barrier()
    distributed.destroy_process_group()


def _once(numbers: Any, device: str) -> float:
    import torch
    from torch import distributed

    distributed.barrier()
    start = perf_counter()
    distributed.all_reduce(numbers)
    if device != "cpu":
        torch.cuda.synchronize(device)
    return perf_counter() - start
