"""Which sizes of which kernels are timed: enough to see every term of a price, few enough for a minute.

A design crosses rows with weights over the sizes of edge models, warm (operands in whichever cache holds them) and cold (more operands
than the last-level cache, each used once in turn: how a model's weights are met). The full
suite adds sizes drawn at random between those. The other kernel classes (attention, convolutions, what lies between) have the sizes of
`suite_operators`, warm. Points are timed in a shuffled order, so that a machine
that slows down does not look like a kernel that does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from edgewright.hwmodels.calibration.suite_operators import OPERATORS, full_shapes, quick_shapes, scattered_shape
from edgewright.hwmodels.calibration.timing import Timing, reach_of
from edgewright.kernels import Effort, kernel, kernel_names, measure

__all__ = ["COLD", "Point", "full_suite", "quick_suite", "time_points", "unseen_points"]

COLD = 3 * 2**26
"""Bytes of operands of a cold point: several last-level caches of a core complex."""

_LARGE = 2.0**22
_FORMATS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"lut_gemv": ("int1", "int2", "int3", "int4"), "attention": ("fp32", "fp16"), "attention_decode": ("fp32", "fp16")}
)
_GEMV = ("gemv", "gemv_fp16", "gemv_bf16", "gemv_int8", "gemv_q4_0", "gemv_q2_0", "lut_gemv")
_GEMM = ("gemm_packed", "gemm_fp16", "gemm_bf16", "gemm_int8", "gemm_q4_0", "gemm_q2_0")
_PEAKS = ("peak_fp32", "peak_fp64", "peak_fp16", "peak_bf16", "peak_int8")
_PEAK_COUNT = 768 * 2048
_SCATTERED = 420
_OPERATOR_SHARE = 35
"""Of so many drawn sizes of products there is one of every other kernel."""
_ROWS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256)


@dataclass(frozen=True, slots=True)
class Point:
    """A kernel at a size.

    Attributes:
        kernel, shape, dtype, threads: as `kernels.measure` takes them.
        footprint: bytes of operands to go through before any is used again; 0 leaves the cache warm.
    """

    kernel: str
    shape: tuple[int, ...]
    dtype: str
    threads: int = 1
    footprint: int = 0

    def matches(self, timing: Timing) -> bool:
        """Whether the timing is of this point."""
        own, other = (self.kernel, self.shape, self.dtype, self.threads), (timing.kernel, timing.shape, timing.dtype, timing.threads)
        return own == other and timing.reach == max(reach_of(*own[:3]), self.footprint)


def quick_suite(threads: int) -> tuple[Point, ...]:
    """Some hundred and fifty points, less than a minute: one weight format of each arithmetic, two or three sizes of each kind, and half a
    dozen of every other kernel class."""
    gemv = ((128, 256), (512, 512), (1024, 2048), (2048, 4096))
    gemm = [(rows, n, k) for rows in (1, 4, 16, 64, 256) for n, k in ((256, 256), (1024, 1024))]
    points = [*_probes(threads), *_crossed(_GEMV, gemv, ((1024, 1024), (4096, 2048)), thin=2)]
    points += [*_crossed(_GEMM, gemm, ((8, 1024, 2048),), thin=2), *_copies((2**8, 2**14, 2**20))]
    return _known([*points, *(Point(name, shape, _dtypes(name)[0]) for name, shape in quick_shapes())])


def full_suite(threads: int) -> tuple[Point, ...]:
    """Some hundreds of points, less than ten minutes."""
    gemv = [(m, n) for m in (64, 256, 1024, 4096) for n in (128, 512, 2048, 4096)] + [(128, 256), (512, 1024), (2048, 1024), (2048, 4096)]
    cold = ((256, 256), (512, 1024), (1024, 1024), (2048, 2048), (4096, 1024), (4096, 4096))
    gemm = [(rows, n, k) for rows in _ROWS for n, k in ((256, 256), (1024, 512), (1024, 2048))]
    gemm += [(rows, n, k) for rows in (1, 4, 16, 64) for n, k in ((128, 128), (64, 1024), (512, 128), (2048, 1024))]
    frozen = [(rows, n, k) for rows in (2, 8, 32, 128) for n, k in ((512, 512), (2048, 1024))]
    points = [*_probes(threads), *_crossed(_GEMV, gemv, cold), *_crossed(_GEMM, gemm, frozen)]
    points += [*_copies(tuple(2**each for each in range(8, 25))), *_operators(full_shapes())]
    return _known([*points, *unseen_points(_SCATTERED, seed=1)])


def unseen_points(count: int, seed: int = 0) -> tuple[Point, ...]:
    """Sizes drawn evenly in their logarithms within the range of the full suite: what a fit to the suite has not seen."""
    generator = np.random.default_rng(seed)

    def size(low: int, high: int, multiple: int) -> int:
        return max(multiple, round(float(np.exp(generator.uniform(np.log(low), np.log(high)))) / multiple) * multiple)

    points: list[Point] = []
    for index in range(count):
        name = (*_GEMV, *_GEMM, "copy")[index % (len(_GEMV) + len(_GEMM) + 1)]
        dtypes = _dtypes(name)
        dtype = dtypes[index // 14 % len(dtypes)]
        footprint = COLD if generator.random() < 0.3 else 0
        if name == "copy":
            points.append(Point(name, (size(2**9, 2**23, 16),), "fp32"))
        elif name in _GEMV:
            points.append(Point(name, (size(64, 4096, 16), size(128, 4096, 128)), dtype, footprint=footprint))
        else:
            points.append(Point(name, (size(1, 256, 1), size(64, 2048, 16), size(128, 2048, 32)), dtype, footprint=footprint))
    others = [(name, scattered_shape(name, generator)) for name in OPERATORS for _ in range(count // _OPERATOR_SHARE)]
    return _known([*points, *_operators(others)])


def time_points(
    points: Sequence[Point],
    known: Iterable[Timing],
    keep: Callable[[Timing], None],
    effort: Effort,
    watch: Callable[[Point | None], None] = lambda _: None,
) -> None:
    """Time what is not known yet, in a shuffled order; each timing goes to `keep` as it comes, and `watch` hears what is next."""
    known = tuple(known)
    left = [point for point in points if not any(point.matches(timing) for timing in known)]
    for place in np.random.default_rng(len(points)).permutation(len(left)):
        point = left[int(place)]
        watch(point)
        keep(_timed(point, replace(effort, footprint=point.footprint)))
    watch(None)


def _timed(point: Point, effort: Effort) -> Timing:
    """One timing; what the harness does not trust is timed once more, and the better of the two is kept."""
    found: list[Timing] = []
    while len(found) < 2 and (not found or found[0].reasons):
        sample = measure(kernel(point.kernel), point.shape, point.dtype, effort=effort, threads=point.threads)
        found.append(Timing.of(sample, point.footprint))
    return min(found, key=lambda each: (len(each.reasons), each.log_error))


def _dtypes(name: str) -> tuple[str, ...]:
    return _FORMATS.get(name) or (kernel(name).dtypes[:1] if name in kernel_names() else ("fp32",))


def _crossed(names: Sequence[str], warm: Sequence[tuple[int, ...]], cold: Sequence[tuple[int, ...]], thin: int = 1) -> Iterator[Point]:
    for name in names:
        for dtype in _dtypes(name)[1::thin] if thin > 1 and name in _FORMATS else _dtypes(name):
            yield from (Point(name, shape, dtype) for shape in warm)
            yield from (Point(name, shape, dtype, footprint=COLD) for shape in cold)


def _operators(shapes: Iterable[tuple[str, tuple[int, ...]]]) -> Iterator[Point]:
    """Attention with caches in two formats in turn, all else in its own."""
    for index, (name, shape) in enumerate(shapes):
        yield Point(name, shape, _dtypes(name)[index % len(_dtypes(name))])


def _copies(counts: Sequence[int]) -> Iterator[Point]:
    yield from (Point("copy", (count,), "fp32") for count in counts)


def _probes(threads: int) -> Iterator[Point]:
    """Peaks and streams, on one core and on all."""
    for size in (2**14, 2**15, 2**17, 2**19, 2**21, 2**22, 2**23, 2**24, 2**25, 2**26, COLD):
        yield Point("read", (size // 4, max(1, 2**22 // size)), "fp32")
    for count in sorted({1, threads}):
        turns = _PEAK_COUNT if count == 1 else 64 * _PEAK_COUNT  # a team's calls must be long: `kernels.harness.TEAM_CALL_SECONDS`
        yield from (Point(name, (turns,), name.removeprefix("peak_"), count) for name in _PEAKS)
        yield from (Point("read", (COLD // 4, 1), "fp32", count) for _ in range(count > 1))
        yield Point("triad_past", (COLD // 12, 1), "fp32", count)
    for lines in (2**8, 2**13, 2**17, 2**21):
        yield Point("chase", (lines, 2**14), "uint64")


def _known(points: Iterable[Point]) -> tuple[Point, ...]:
    """The points whose kernels exist here and are worth their time: where the C library is missing, what widens codes is some hundred
    times slower in Numba, and only its smaller sizes are timed."""
    there = kernel_names()
    found: dict[Point, None] = {}
    for point in points:
        if point.kernel not in there:
            continue
        heavy = kernel(point.kernel).implementation == "numba" and point.kernel not in ("gemv", "copy", "read", "chase", *OPERATORS)
        if not (heavy and not point.kernel.startswith("peak") and float(np.prod(point.shape)) > _LARGE):
            found[point] = None
    return tuple(found)
