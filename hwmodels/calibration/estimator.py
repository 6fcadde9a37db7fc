"""From timings to a machine: peaks, bandwidths, scaling over threads, and the curve of every kernel class. In scikit-learn's manner.

    calibration = Calibration().fit(timings)
    calibration.predict(work).seconds           # with .low and .high
    calibration.peaks_["int8"], calibration.bandwidth_["L2"], calibration.curves_[("gemv", "int8", 4.5)].terms_

`hwmodels.calibration.profile` makes it a device that the simulator prices with.

How wrong: `held_out()` says, by class, with each fifth of the sizes left out in turn; sizes beyond those timed are worse than that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import exp, inf, log2
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from edgewright.hwmodels.calibration.curve import Asked, Curve
from edgewright.hwmodels.calibration.timing import Timing, axes_of, timed_class
from edgewright.hwmodels.kernel_work import FORMATS
from edgewright.hwmodels.work import KERNELS, Term, Work

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Calibration", "ClassKey", "Prediction", "class_of"]

ClassKey: TypeAlias = "tuple[str, str, float]"
"""Kernel class, arithmetic, and bits per weight (0 for a kernel without weights)."""

_LEVELS = ("L1", "L2", "L3")
_FOLDS = 5
_LEAST_POINTS = 6
_NINE_OF_TEN = 1.645


@dataclass(frozen=True, slots=True)
class Prediction:
    """Seconds, and between which two nine of ten measurements should fall."""

    seconds: float
    low: float
    high: float


@dataclass
class Calibration:
    """The estimator.

    Attributes:
        caches: bytes of data caches by level (`L1`, `L2`, `L3`).
        cores: cores that a run with all threads used.
        peaks_: operations per second of one core by arithmetic: of the probe, or of the fastest kernel where that is faster.
        bandwidth_: bytes per second of one core by level, `dram` the last.
        streams_: working sets in bytes, and what reading them reached.
        latency_: seconds of a dependent read by bytes of its working set.
        scaling_: how many times one core's `compute` and `bandwidth` all cores reach together.
        errors_: standard deviations of the logarithms of what all cores reach, of `compute` and `bandwidth`: how much the scaling differs
            between arithmetics, and the interval of the best stream.
        warnings_: what speaks against the probes: all cores together that reach less than one of them alone.
        curves_: by kernel class, arithmetic and bits per weight.
        kernels_: by kernel, of those whose class is made of unlike ones (`elementwise`): what `predict_call` knows them by.
        overhead_: seconds of the cheapest call, dispatch included.
        residuals_: log(predicted / measured) by class, of what was fitted.
    """

    caches: dict[str, float]
    cores: int = 1
    peaks_: dict[str, float] = field(default_factory=dict, init=False)
    bandwidth_: dict[str, float] = field(default_factory=dict, init=False)
    streams_: tuple[NDArray[np.float64], NDArray[np.float64]] = field(default=(np.zeros(0), np.zeros(0)), init=False)
    latency_: dict[float, float] = field(default_factory=dict, init=False)
    scaling_: dict[str, float] = field(default_factory=dict, init=False)
    errors_: dict[str, float] = field(default_factory=dict, init=False)
    warnings_: tuple[str, ...] = field(default=(), init=False)
    curves_: dict[ClassKey, Curve] = field(default_factory=dict, init=False)
    kernels_: dict[str, Curve] = field(default_factory=dict, init=False)
    overhead_: float = field(default=0.0, init=False)
    residuals_: dict[ClassKey, NDArray[np.float64]] = field(default_factory=dict, init=False)

    def fit(self, timings: Iterable[Timing]) -> Calibration:
        """To timings of the suite. Raises `ValueError` without streams through memory or any peak."""
        self.timings = tuple(timings)
        self._probes()
        self.curves_, self.residuals_ = {}, {}
        for key, rows in self._classes().items():
            if len(rows) >= _LEAST_POINTS:
                self.curves_[key] = self._curve(key).fit(*_columns(rows))
                seconds, _ = self.curves_[key].predict(_asked(rows))
                self.residuals_[key] = np.log(seconds / [row.seconds for row in rows])
        self.kernels_ = self._unlike()
        solo = [row.seconds for row in self.timings if timed_class(row.kernel) and row.threads == 1]
        self.overhead_ = min(solo, default=0.0)
        return self

    def predict(self, work: Work, reach: float | None = None) -> Prediction:
        """The time of a work on one core, nothing else running.

        Args:
            work: its quantities are numbers.
            reach: bytes used between two uses of the same: of a model, its weights. None: what one launch touches.

        Raises `ValueError` for a kernel class or format that was not calibrated.
        """
        seconds = low = high = 0.0
        for term in work:
            each, error = self._term(term, reach)
            seconds, low, high = seconds + each, low + each * exp(-_NINE_OF_TEN * error), high + each * exp(_NINE_OF_TEN * error)
        return Prediction(seconds, low, high)

    def predict_call(self, call: Timing) -> Prediction:
        """The time of a call of which more is known than its work says: the format of its weights, and the shape of the matrix.

        Only what was called is read of `call`, not how long it took. Raises `ValueError` for a class that was not calibrated.
        """
        if class_of(call) not in self.curves_:
            raise ValueError(f"kernel {call.kernel!r} in {call.dtype} was not calibrated")
        seconds, error = self.kernels_.get(call.kernel, self.curves_[class_of(call)]).predict(_asked([call]))
        wide = exp(_NINE_OF_TEN * float(error[0]))
        return Prediction(float(seconds[0]), float(seconds[0]) / wide, float(seconds[0]) * wide)

    def held_out(self) -> dict[ClassKey, NDArray[np.float64]]:
        """log(predicted / measured) by class, every timing by a curve that was fitted without its fifth."""
        found = {}
        for key, rows in self._classes().items():
            if key not in self.curves_ or len(rows) < 2 * _LEAST_POINTS:
                continue
            misses = np.zeros(len(rows))
            for fold in range(_FOLDS):
                kept = [row for place, row in enumerate(rows) if place % _FOLDS != fold]
                left = rows[fold::_FOLDS]
                seconds, _ = self._curve(key).fit(*_columns(kept)).predict(_asked(left))
                misses[fold::_FOLDS] = np.log(seconds / [row.seconds for row in left])
            found[key] = misses
        return found

    def _term(self, term: Term, reach: float | None) -> tuple[float, float]:
        launches = float(term.launches)
        keys = [key for key in self.curves_ if key[:2] == (term.kernel, term.dtype)]
        if not keys:
            known = ", ".join(sorted({f"{key[0]}.{key[1]}" for key in self.curves_}))
            raise ValueError(f"kernel class {term.kernel}.{term.dtype} was not calibrated: calibrated are {known}")
        bits = _weight_bits(term)
        key = min(keys, key=lambda each: abs(np.log((each[2] or 1.0) / (bits or 1.0))))
        flops, weights, others = (np.array([float(part) / launches]) for part in (term.flops, term.weights, term.activations + term.kv))
        asked = Asked(flops, weights, others, np.array([max(float(term.bytes) / launches, reach or 0.0)]), np.zeros(1))
        seconds, error = self.curves_[key].predict(asked)
        return launches * float(seconds[0]), float(error[0])

    def _classes(self) -> dict[ClassKey, list[Timing]]:
        """Timings of one thread by class; of kernels that do the same, those of the one with most timings. `elementwise` is of many that do
        not: their timings are one class, and how far they differ is its error."""
        found: dict[tuple[ClassKey, str], list[Timing]] = {}
        for row in self.timings:
            if row.threads == 1 and (named := timed_class(row.kernel)) in KERNELS:
                found.setdefault((class_of(row), "" if named == "elementwise" else row.kernel), []).append(row)
        return {key: rows for (key, _), rows in sorted(found.items(), key=lambda each: len(each[1]))}

    def _unlike(self) -> dict[str, Curve]:
        found: dict[str, list[Timing]] = {}
        for row in self.timings:
            if row.threads == 1 and timed_class(row.kernel) == "elementwise":
                found.setdefault(row.kernel, []).append(row)
        enough = {name: rows for name, rows in found.items() if len(rows) >= _LEAST_POINTS}
        return {name: self._curve(class_of(rows[0])).fit(*_columns(rows)) for name, rows in enough.items()}

    def _curve(self, key: ClassKey) -> Curve:
        peak = self.peaks_.get(key[1]) or max(self.peaks_.values())
        return Curve(peak, *self.streams_, cache=max(self.caches.values(), default=2.0**25))

    def _probes(self) -> None:
        reads = sorted((row.reach, _rate(row)) for row in self.timings if row.kernel == "read" and row.threads == 1)
        if len(reads) < 2:
            raise ValueError("a machine is known by its streams: the timings hold fewer than two of the kernel 'read'")
        self.streams_ = np.array([reach for reach, _ in reads]), np.array([rate for _, rate in reads])
        self.latency_ = {row.reach: row.seconds / row.shape[1] for row in self.timings if row.kernel == "chase"}
        self.peaks_ = self._peaks(1)
        if not self.peaks_:
            raise ValueError("a machine is known by its peaks: the timings hold no kernel 'peak_...'")
        self.bandwidth_ = self._bandwidths()
        far, far_error = self._far(self.cores)
        shares = [rate / self.peaks_[dtype] for dtype, rate in self._probed(self.cores).items() if dtype in self.peaks_]
        self.scaling_ = {
            "compute": 1.0 if self.cores == 1 else float(np.median(shares)) if shares else inf,
            "bandwidth": far / self.bandwidth_["dram"],
        }
        slow = [f"{what}: {self.cores} cores reach {times:.2f} times what one does" for what, times in self.scaling_.items() if times < 1.0]
        self.warnings_ = tuple(f"{each}: other work ran meanwhile, or cores share a unit; time them again" for each in slow)
        self.errors_ = {"compute": float(np.std(np.log(shares))) if len(shares) > 1 else 0.0, "bandwidth": far_error}

    def _peaks(self, threads: int) -> dict[str, float]:
        found = self._probed(threads)
        for row in self.timings:
            if row.threads == threads and timed_class(row.kernel) in KERNELS:
                dtype, rate = row.work.terms[0].dtype, float(row.work.terms[0].flops) / row.seconds
                if dtype in found:
                    found[dtype] = max(found[dtype], rate)
        return found

    def _probed(self, threads: int) -> dict[str, float]:
        rows = [row for row in self.timings if row.kernel.startswith("peak_") and row.threads == threads]
        return {row.dtype: threads * float(row.work.terms[0].flops) / row.seconds for row in rows}

    def _bandwidths(self) -> dict[str, float]:
        """Of each level, what a working set of half its size is read at; of memory, the best stream."""
        reach, rate = self.streams_
        sizes = {level: self.caches[level] / 2 for level in _LEVELS if level in self.caches}
        found = {level: float(np.exp(np.interp(np.log(size), np.log(reach), np.log(rate)))) for level, size in sizes.items()}
        return found | {"dram": self._far(1)[0]}

    def _far(self, threads: int) -> tuple[float, float]:
        """What streams beyond the caches reach, and the standard deviation of its logarithm."""
        least = 2 * max(self.caches.values(), default=2.0**25)
        rows = [row for row in self.timings if row.kernel in ("read", "triad_past") and row.threads == threads and row.reach > least]
        if not rows:
            raise ValueError(f"the timings hold no stream through memory on {threads} threads")
        best = max(rows, key=_rate)
        return threads * _rate(best), best.log_error / _NINE_OF_TEN


def class_of(timing: Timing) -> ClassKey:
    """The class that a timing tells about."""
    term = timing.work.terms[0]
    return term.kernel, term.dtype, FORMATS[timing.dtype].weight_bits if term.weights and term.kernel != "elementwise" else 0.0


def _weight_bits(term: Term) -> float:
    """Bits per weight of a product, 0 without weights.

    From operations alone where there is one row of activations; else as if the matrix were square, from

        flops = 2 rows size^2,    activations = 8 rows size    =>    size = 4 flops / activations
    """
    weights, flops, activations = (float(part) / float(term.launches) for part in (term.weights, term.flops, term.activations))
    if not weights or not flops:
        return 0.0
    if term.kernel in ("gemv", "lut_gemv"):
        return 16.0 * weights / flops
    size = 4.0 * flops / activations
    return 8.0 * weights / max(size, 1.0) ** 2


def _rate(row: Timing) -> float:
    return float(row.work.terms[0].bytes) / row.seconds


def _asked(rows: Sequence[Timing]) -> Asked:
    terms = [row.work.terms[0] for row in rows]
    columns = [[float(part) for part in (each.flops, each.weights, each.activations + each.kv)] for each in terms]
    flops, weights, others = np.array(columns).T
    return Asked(flops, weights, others, np.array([row.reach for row in rows]), np.array([_aspect(row) for row in rows]))


def _aspect(row: Timing) -> float:
    """Octaves by which outputs outnumber inputs."""
    extents = dict(zip(axes_of(row.kernel), row.shape, strict=True))
    outputs, inputs = (extents.get("n"), extents.get("k")) if "k" in extents else (extents.get("m"), extents.get("n"))
    return log2(outputs / inputs) if outputs and inputs else 0.0


def _columns(rows: Sequence[Timing]) -> tuple[Asked, NDArray[np.float64], NDArray[np.float64]]:
    return _asked(rows), np.array([row.seconds for row in rows]), np.array([row.log_error for row in rows])
