"""The suite of kernels through PyTorch: GEMM, GEMV, attention, copy, streams and the start of a kernel, on a GPU or on the CPU backend.

The timings are of the form that `Calibration` is fitted to, so that a device known through PyTorch becomes a profile like any other. The
device is taken as one engine: all of its cores work on each call (`threads` is 1 throughout). Weights are used in turn from several copies,
so that they are met in memory. A peak is the best rate of a large square product, not that of a loop of multiply-adds.

Run on the CPU backend alone so far: no GPU could be had, and what is written for `cuda` (its caches, `nccl`, NVML) has not been run.

How wrong: what PyTorch's dispatcher takes (a few microseconds) is in every figure of the CPU backend and, on a GPU, in those of kernels
that are shorter than it: calls are queued, and the queue runs dry. Models run from a captured graph do not pay it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from edgewright.hwmodels.calibration.suite import COLD, Point
from edgewright.hwmodels.calibration.timing import Timing, reach_of
from edgewright.kernels import Effort
from edgewright.kernels.foreign import CallTime, time_calls

if TYPE_CHECKING:
    import torch

__all__ = ["TorchDevice", "time_launch", "time_torch", "torch_points"]

_COLD = {"cpu": COLD, "cuda": 4 * COLD}
_LARGEST = {"cpu": 1024, "cuda": 8192}
_COPIES = 1024
_PIECE = 4099
_FORMATS = ("fp32", "fp16", "bf16")
_TORCH_NAMES = MappingProxyType({"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"})


@dataclass(frozen=True)
class TorchDevice:
    """A device of PyTorch's.

    Attributes:
        name: as PyTorch has it: `cpu`, `cuda:0`.
    """

    name: str

    @property
    def kind(self) -> str:
        """`cpu` or `cuda`."""
        return self.name.partition(":")[0]

    def finish(self) -> None:
        """Wait for what was queued."""
        if self.kind == "cuda":
            import torch

            torch.cuda.synchronize(self.name)

    def facts(self) -> dict[str, Any]:
        """As `timing.machine_facts`; raises `ValueError` where PyTorch has no such device, `ImportError` where there is no PyTorch."""
        import torch

        from edgewright.hwmodels.calibration.timing import machine_facts

        found = machine_facts(()) | {"software": {"torch": str(torch.__version__)}, "path": f"torch {self.name}"}
        if self.kind == "cpu":
            return found | {"cores": 1, "threads": torch.get_num_threads()}
        if self.kind != "cuda" or not torch.cuda.is_available() or int(self.name.partition(":")[2] or 0) >= torch.cuda.device_count():
            have = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
            raise ValueError(f"PyTorch has no device {self.name!r} here: accepted are {', '.join(have)}")
        card = torch.cuda.get_device_properties(self.name)
        caches = {"L2": int(card.L2_cache_size)} if getattr(card, "L2_cache_size", 0) else None
        return found | {"cpu": card.name, "cores": 1, "caches": caches, "memory": int(card.total_memory)}


def torch_points(device: TorchDevice, *, quick: bool) -> tuple[Point, ...]:
    """What is timed: less than a minute, or some minutes."""
    cold, largest = _COLD[device.kind], _LARGEST[device.kind]
    streams = (2**18, 2**20, 2**22, cold // 4, cold) if device.kind == "cpu" else (2**22, 2**24, cold // 4, cold)
    points = [Point("read", (count, 1), "fp32") for count in streams]
    points += [Point("copy", (2**power,), "fp32") for power in range(10, 25, 3 if quick else 2)]
    sides = (
        ((512, 512), (1024, 2048), (2048, 2048))
        if quick
        else ((256, 512), (512, 512), (1024, 2048), (2048, 1024), (2048, 2048), (4096, 4096))
    )
    rows = (2, 8, 32, 128) if quick else (2, 4, 8, 16, 32, 64, 128, 256, 512)
    for dtype in ("fp32", "bf16") if quick and device.kind == "cpu" else _FORMATS:
        points.append(Point(f"peak_{dtype}", (largest**3,), dtype))
        points += [Point("torch_gemv", side, dtype, footprint=foot) for side in sides for foot in (0, cold)]
        points += [Point("torch_gemm", (count, *side), dtype, footprint=cold) for count in rows for side in sides[:: 2 if quick else 1]]
        for tokens in (128, 512) if quick else (64, 128, 256, 512, 1024):
            points += [Point("torch_attention", (1, tokens, heads, 4, 64), dtype) for heads in (2, 4, 8)]
            points += [Point("torch_attention_decode", (4, 2 * tokens, heads, 4, 64), dtype, footprint=cold) for heads in (2, 4, 8)]
    return tuple(points)


def time_torch(
    device: TorchDevice,
    points: Sequence[Point],
    known: Iterable[Timing],
    keep: Callable[[Timing], None],
    effort: Effort,
    watch: Callable[[Point | None], None] = lambda _: None,
) -> None:
    """Time what is not known yet; each timing goes to `keep` as it comes, and `watch` hears what is next."""
    known = tuple(known)
    for point in points:
        if any(point.matches(timing) for timing in known):
            continue
        watch(point)
        keep(_timed(device, point, effort))
    watch(None)


def time_launch(device: TorchDevice, effort: Effort) -> CallTime:
    """Seconds between two kernels of next to no work, queued one after another."""
    import torch

    number = torch.ones(1, device=device.name)
    return time_calls(lambda: number.add_(1.0), effort=effort, threads=_threads(device), finish=device.finish)


def _timed(device: TorchDevice, point: Point, effort: Effort) -> Timing:
    import torch

    with torch.inference_mode():
        found = time_calls(_call(device, point), effort=effort, threads=_threads(device), finish=device.finish)
    reach = max(reach_of(point.kernel, point.shape, point.dtype), point.footprint)
    made = f"torch {device.kind}"
    return Timing(point.kernel, point.shape, point.dtype, 1, made, reach, found.seconds, found.low, found.high, found.reasons)


def _threads(device: TorchDevice) -> int:
    import torch

    return torch.get_num_threads() if device.kind == "cpu" else 2


def _call(device: TorchDevice, point: Point) -> Callable[[], object]:
    """One call, on the next of as many operands as the footprint needs."""
    own = reach_of(point.kernel, point.shape, point.dtype)
    copies = min(_COPIES, max(1, ceil(point.footprint / max(own, 1.0))))
    kind = "peak" if point.kernel.startswith("peak_") else point.kernel
    calls = [_MAKERS[kind](device, point) for _ in range(copies)]
    place = 0

    def call() -> object:
        nonlocal place
        place = (place + 1) % copies
        return calls[place]()

    return calls[0] if copies == 1 else call


def _numbers(device: TorchDevice, point: Point, *shape: int) -> torch.Tensor:
    """Random numbers, some thousand of them repeated: filling whole memories with new ones would take longer than timing."""
    import torch

    piece = torch.randn(_PIECE, device=device.name).to(getattr(torch, _TORCH_NAMES[point.dtype]))
    count = prod(shape)
    return piece.repeat(ceil(count / _PIECE))[:count].reshape(shape)


def _gemv(device: TorchDevice, point: Point) -> Callable[[], object]:
    m, n = point.shape
    return _product(device, point, 1, m, n)


def _gemm(device: TorchDevice, point: Point) -> Callable[[], object]:
    m, n, k = point.shape
    return _product(device, point, m, n, k)


def _peak(device: TorchDevice, point: Point) -> Callable[[], object]:
    side = round(point.shape[0] ** (1 / 3))
    return _product(device, point, side, side, side)


def _product(device: TorchDevice, point: Point, m: int, n: int, k: int) -> Callable[[], object]:
    import torch

    rows, weights, target = _numbers(device, point, m, k), _numbers(device, point, n, k), _numbers(device, point, m, n)
    turned = weights.t()
    return lambda: torch.mm(rows, turned, out=target)


def _attention(device: TorchDevice, point: Point) -> Callable[[], object]:
    import torch

    batch, tokens, kv_heads, group, width = point.shape
    query = _numbers(device, point, batch, kv_heads * group, tokens, width)
    key, value = (_numbers(device, point, batch, kv_heads, tokens, width) for _ in range(2))
    return lambda: torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=group > 1)


def _attention_decode(device: TorchDevice, point: Point) -> Callable[[], object]:
    import torch

    batch, context, kv_heads, group, width = point.shape
    query = _numbers(device, point, batch, kv_heads * group, 1, width)
    key, value = (_numbers(device, point, batch, kv_heads, context, width) for _ in range(2))
    return lambda: torch.nn.functional.scaled_dot_product_attention(query, key, value, enable_gqa=group > 1)


def _copy(device: TorchDevice, point: Point) -> Callable[[], object]:
    source = _numbers(device, point, point.shape[0])
    target = source.clone()
    return lambda: target.copy_(source)


def _read(device: TorchDevice, point: Point) -> Callable[[], object]:
    source = _numbers(device, point, point.shape[0])
    return lambda: source.sum()


_MAKERS: Mapping[str, Callable[[TorchDevice, Point], Callable[[], object]]] = MappingProxyType(
    {
        "peak": _peak,
        "read": _read,
        "copy": _copy,
        "torch_gemv": _gemv,
        "torch_gemm": _gemm,
        "torch_attention": _attention,
        "torch_attention_decode": _attention_decode,
    }
)
