"""The estimator of what software gets out of hardware: hierarchical, few parameters, each with a meaning.

Every family of software on a class of engines has figures (`hwmodels.software.Figures`); architectures,
devices, and pairs of family and device have effects on them. Figures start from the assumed efficiencies of `hwmodels.efficiency` and are
drawn to them; effects are drawn to zero, the more the finer they are, so that what many families say of a device becomes the device's, and
what one says stays with the pair. Nothing is fitted per row, model or source. Where an engine's kernels were timed one by one
(`kernels` of names.yaml), its figures are drawn to theirs: whole steps alone cannot tell slow arithmetic from slow hosts.

    minimise   sum over rows of rho((log predicted - log measured) / 0.1)  +  sum of (deviation / plausible width)^2

with rho the soft-L1 loss, one family after the other, and effects of architectures and devices set between rounds to their shrunken means
(backfitting; Gelman and Hill, Data Analysis Using Regression and Multilevel Models, 2007, ch. 12).

How wrong it can be: effects are shared out by order of rounds, not jointly; the intervals are quantiles of the residuals, for devices not
seen of the residuals with each device left out of the fit.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.experiments.validation.asking import Ask, table
from edgewright.experiments.validation.flat import COMMON, Flat, family_of
from edgewright.hwmodels.software import OTHER, architecture_of, measured_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Case", "FamilyFit", "Tuner", "pooled", "timed"]

_SCALE = 0.1
_PAIR_WIDTH = np.array([0.15, 0.15, 0.3])
_WIDTHS = {
    "cpu": (np.array([0.4, 0.2, 0.5]), np.array([0.6, 0.3, 0.7])),
    "mcu": (np.array([0.4, 0.2, 0.5]), np.array([0.6, 0.3, 0.7])),
    "npu": (np.array([0.25, 0.15, 0.35]), np.array([0.35, 0.2, 0.4])),
    "": (np.array([0.06, 0.06, 0.12]), np.array([0.06, 0.06, 0.12])),
}
"""Plausible widths of the effects of devices and of architectures, by class of engines. What one program says of a CPU holds for the next;
what one says of a GPU hardly does: its kernels are written for the architecture."""
_ANCHORED = 0.05
"""Plausible width of a figure of an engine whose kernels were timed one by one: what is left is how they follow each other."""
_HOST = ("step_s", "sync_s", "sequence_s", "core")
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Case:
    """A question, and the logarithm of the seconds that were measured for it; `group` and `line` say where."""

    ask: Ask
    log_seconds: float
    group: tuple[str, str, str] = ("", "", "")


@dataclass(slots=True)
class FamilyFit:
    """The cases of one family on one class of engines, and what was learned from them.

    Attributes:
        logs: logarithms of the figures, in the order of `Flat.start`.
        pairs: effects of the pairs with each device of `flat.devices`.
        weights: of the cases: zero leaves one out.
    """

    name: str
    where: str
    cases: tuple[Case, ...]
    flat: Flat
    weights: NDArray[np.float64]
    logs: NDArray[np.float64] = field(init=False)
    pairs: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.logs = self.flat.start.copy()
        self.pairs = np.zeros((len(self.flat.devices), 3))

    def anchor(self, kernels: FamilyFit) -> None:
        """Draw the figures of kernel classes, of launches and of overlap to those of a family that times this one's kernels alone."""
        ours, theirs = self.flat.names, {name: index for index, name in enumerate(kernels.flat.names)}
        for index, name in enumerate(ours):
            if name in theirs and name not in _HOST:
                self.flat.start[index] = kernels.logs[theirs[name]]
                self.flat.width[index] = _ANCHORED

    def residuals(self, offsets: NDArray[np.float64]) -> NDArray[np.float64]:
        """log predicted - log measured of every case, given the effects of devices and architectures."""
        measured = np.array([each.log_seconds for each in self.cases])
        found: NDArray[np.float64] = np.log(self.flat.seconds(self.logs, offsets + self.pairs)) - measured
        return found

    def fit(self, offsets: NDArray[np.float64]) -> None:
        """Learn the figures and the effects of the pairs, given those of devices and architectures."""
        from scipy.optimize import least_squares

        flat, count = self.flat, len(self.flat.start)
        measured = np.array([each.log_seconds for each in self.cases])
        kept = np.flatnonzero(self.weights)

        weights = np.sqrt(self.weights[kept])[:, None]
        widths = np.concatenate([flat.width, np.tile(_PAIR_WIDTH, len(flat.devices))])

        def priced(moves: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            return flat.start + moves[:count] * flat.width, offsets + moves[count:].reshape(-1, 3) * _PAIR_WIDTH

        def loss(moves: NDArray[np.float64]) -> NDArray[np.float64]:
            miss = (np.log(flat.seconds(*priced(moves))) - measured)[kept] / _SCALE
            soft = np.sign(miss) * np.sqrt(2.0 * (np.sqrt(1.0 + miss * miss) - 1.0))
            return np.concatenate([soft * weights[:, 0], moves])

        def slopes(moves: NDArray[np.float64]) -> NDArray[np.float64]:
            seconds = flat.seconds(*priced(moves))[kept]
            miss = (np.log(seconds) - measured[kept]) / _SCALE
            soft = np.sqrt(2.0 * (np.sqrt(1.0 + miss * miss) - 1.0))
            steep = np.where(soft > 1e-6, np.abs(miss) / np.maximum(soft, 1e-6), 1.0) / np.sqrt(1.0 + miss * miss)
            own = flat.slopes(*priced(moves))[kept] * widths * (steep / seconds / _SCALE)[:, None] * weights
            return np.concatenate([own, np.eye(len(moves))])

        begin = np.concatenate([(self.logs - flat.start) / flat.width, (self.pairs / _PAIR_WIDTH).ravel()])
        found = least_squares(loss, begin, jac=slopes, max_nfev=40).x
        self.logs = flat.start + found[:count] * flat.width
        self.pairs = found[count:].reshape(-1, 3) * _PAIR_WIDTH


class Tuner:
    """The estimator: `fit(cases)`, then `figures_` and `effects_`, or `residuals()`.

    Fitted, it holds `families_` (by family and class), `devices_` and `architectures_` (effects by class and name).
    """

    def fit(self, cases: Iterable[Case]) -> Tuner:
        """Learn from cases; returns itself."""
        self._gather(tuple(cases))
        self.devices_: dict[str, NDArray[np.float64]] = {}
        self.architectures_: dict[str, NDArray[np.float64]] = {}
        for _ in range(_ROUNDS):
            self._round()
            self._share()
        self._round()
        return self

    def without(self, device: str | None = None, models: Container[str] = ()) -> dict[tuple[str, str], NDArray[np.float64]]:
        """Residuals of the cases of a device or of some models, predicted without them; NaN for the other cases.

        Families that have such cases are fitted again; those of the others stay, and so do the effects, but the device's own, which are
        forgotten, and its architecture's, which are averaged without it. A family without any other case predicts nothing.
        """
        kept = (self.devices_, self.architectures_)
        found: dict[tuple[str, str], NDArray[np.float64]] = {}
        if device is not None:
            self._forget(device)
        for key, each in self.families_.items():
            out = np.array([measured_name(case.ask.device) == device or case.ask.model in models for case in each.cases])
            if not out.any() or out.all():
                continue
            again = FamilyFit(each.name, each.where, each.cases, each.flat, np.where(out, 0.0, each.weights))
            again.logs = each.logs.copy()
            again.fit(self.offsets(again))
            found[key] = np.where(out, again.residuals(self.offsets(again)), np.nan)
        self.devices_, self.architectures_ = kept
        return found

    def offsets(self, family: FamilyFit) -> NDArray[np.float64]:
        """The effects of architecture and device on every device of a family, without the pairs'."""
        names = self._names(family)
        nothing = np.zeros(3)
        return np.array(
            [self.devices_.get(device, nothing) + self.architectures_.get(architecture, nothing) for device, architecture in names]
        )

    def _round(self) -> None:
        """Every family once; those whose kernels were timed alone are drawn to what was just learned of the kernels."""
        timed_alone: Mapping[str, str] = table("names")["kernels"]
        for (name, where), each in sorted(self.families_.items(), key=lambda item: item[0][0] in timed_alone):
            kernels = self.families_.get((timed_alone.get(name, ""), where))
            if kernels is not None:
                each.anchor(kernels)
            each.fit(self.offsets(each))

    def _gather(self, cases: Sequence[Case]) -> None:
        groups: dict[tuple[str, str], list[Case]] = {}
        for case in cases:
            groups.setdefault(family_of(case.ask), []).append(case)
        self.families_ = {
            key: FamilyFit(*key, tuple(group), Flat([case.ask for case in group]), np.ones(len(group))) for key, group in groups.items()
        }
        self._architecture = {
            (key[1], measured_name(case.ask.device)): architecture_of(case.ask.device, case.ask.engine)
            for key, group in groups.items()
            for case in group
        }

    def _names(self, family: FamilyFit) -> list[tuple[str, str]]:
        where = family.where
        return [(f"{where}/{name}", f"{where}/{self._architecture[where, name]}") for name in family.flat.devices]

    def _share(self) -> None:
        """Set the effects of devices and architectures to shrunken means of what the families say."""
        said: dict[str, list[NDArray[np.float64]]] = {}
        of: dict[str, str] = {}
        for each in self.families_.values():
            totals = self.offsets(each) + each.pairs
            for (device, architecture), total in zip(self._names(each), totals, strict=True):
                said.setdefault(device, []).append(total)
                of[device] = architecture
        means = {device: np.mean(totals, axis=0) * _kept(len(totals), _widths(device)[0], _PAIR_WIDTH) for device, totals in said.items()}
        self.architectures_ = _by_architecture(means, of)
        self.devices_ = {device: mean - self.architectures_.get(of[device], np.zeros(3)) for device, mean in means.items()}

    def _forget(self, device: str) -> None:
        places = {f"{each.where}/{device}" for each in self.families_.values() if device in each.flat.devices}
        names = {where: name for each in self.families_.values() for where, name in self._names(each)}
        nothing = np.zeros(3)
        means = {
            name: effect + self.architectures_.get(names[name], nothing) for name, effect in self.devices_.items() if name not in places
        }
        self.architectures_ = _by_architecture(means, names)
        self.devices_ = {name: mean - self.architectures_.get(names[name], nothing) for name, mean in means.items()}

    # -- what was learned ----------------------------------------------------------------------------------------------------------

    def document(self, spreads: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[str, Any]:
        """The content of `catalog/software.yaml`, with the spreads of each family's residuals."""
        found: dict[str, dict[str, Any]] = {}
        pairs: dict[str, list[float]] = {}
        for (name, where), each in sorted(self.families_.items()):
            found.setdefault(name, {})[where] = _entry(each) | dict(spreads.get((name, where), {}))
            for device, effect in zip(each.flat.devices, each.pairs, strict=True):
                pairs[f"{name}/{where}/{device}"] = _rounded(effect)
        return {
            "software": found,
            "effects": {
                "architectures": {name: _rounded(effect) for name, effect in sorted(self.architectures_.items())},
                "devices": {name: _rounded(effect) for name, effect in sorted(self.devices_.items())},
                "pairs": dict(sorted(pairs.items())),
            },
        }


def _by_architecture(means: Mapping[str, NDArray[np.float64]], of: Mapping[str, str]) -> dict[str, NDArray[np.float64]]:
    groups: dict[str, list[NDArray[np.float64]]] = {}
    for device, mean in means.items():
        groups.setdefault(of[device], []).append(mean)
    return {
        name: np.mean(group, axis=0) * _kept(len(group), _widths(name)[1], _widths(name)[0])
        for name, group in groups.items()
        if not name.endswith("/")
    }


def _widths(place: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return _WIDTHS.get(place.split("/")[0], _WIDTHS[""])


def _kept(count: int, between: NDArray[np.float64], within: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of a mean of `count` that shrinkage leaves."""
    return count / (count + (within / between) ** 2)


def _entry(family: FamilyFit) -> dict[str, Any]:
    values = np.exp(family.logs)
    common = dict(zip(COMMON, values[:6], strict=True))
    count = len(family.flat.keys)
    compute = np.minimum(values[6 : 6 + count], 2.0)
    memory = np.minimum(values[6 + count : 6 + 2 * count], 1.0)
    return {
        "rows": len(family.cases),
        "launch": _four(common["launch"]),
        "step_s": _four(common["step_s"]),
        "sync_s": _four(common["sync_s"]),
        "sequence_s": _four(common["sequence_s"]),
        "core": _four(min(common["core"], 0.95)),
        "overlap": _four(max(common["overlap"], 1.0)),
        "compute": {key: _four(value) for key, value in zip(family.flat.keys, compute, strict=True)},
        "memory": {key: _four(value) for key, value in zip(family.flat.keys, memory, strict=True)},
        "ramp": {key: _four(value) for key, value in zip(family.flat.keys, values[6 + 2 * count :], strict=True)},
    }


def _four(value: float) -> float:
    return float(f"{value:.4g}")


def _rounded(effect: NDArray[np.float64]) -> list[float]:
    return [round(float(each), 4) for each in effect]


def timed(ask: Ask, value: float) -> float | None:
    """The logarithm of the seconds behind a measured value; None where the question is not about time."""
    if ask.reading == "seconds":
        return float(np.log(value / ask.factor))
    return float(np.log(ask.factor / value)) if ask.reading == "rate" else None


def pooled(cases: Sequence[Case]) -> list[Case]:
    """The cases again as those of `other` software, each family thinned to at most 150 so that none decides alone."""
    from dataclasses import replace

    groups: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        groups.setdefault(family_of(case.ask), []).append(case)
    found: list[Case] = []
    for group in groups.values():
        stride = -(-len(group) // 150)
        found += [Case(replace(case.ask, software=OTHER), case.log_seconds, case.group) for case in group[::stride]]
    return found
