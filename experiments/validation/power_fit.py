"""What power software draws: factors per class of devices on what `hwmodels.energy` derives of a power limit.

    minimise   sum of rho((log predicted watts - log measured) / 0.1)  +  sum of (log factor / 0.5)^2

The measured watts of an energy are joules over the measured seconds where a row says both, else over the predicted ones. Few factors, each
a part of the power; none per device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.experiments.validation.answering import Parts, parts_of, watts_of
from edgewright.experiments.validation.asking import Ask, Unpredictable
from edgewright.hwmodels.software import Power, power_class

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PowerCase", "fit_power", "power_case"]

_WIDTH = 0.5
_SCALE = 0.1
_START = np.array([0.0, 0.0, 0.0, np.log(0.5)])


@dataclass(frozen=True, slots=True)
class PowerCase:
    """A question about energy or power, the watts that were measured for it, and its answer without the factors."""

    ask: Ask
    watts: float
    parts: Parts


def power_case(ask: Ask, value: float, watts: float | None) -> PowerCase | None:
    """The case of a row; None if it is not about power. `watts` is what the row says beside its value, if it does."""
    if ask.reading not in ("joules", "watts", "fraction"):
        return None
    try:
        parts = parts_of(ask)
    except Unpredictable:
        return None
    if ask.reading == "joules":
        found = value / ask.factor / parts.seconds
    else:
        found = value / ask.factor * (ask.device.tdp_W if ask.reading == "fraction" else 1.0)
    return PowerCase(ask, watts if watts and ask.reading == "joules" and ask.scope == "rail" else found, parts)


def fit_power(cases: Sequence[PowerCase]) -> dict[str, dict[str, Any]]:
    """The section `power` of `catalog/software.yaml`."""
    groups: dict[str, list[PowerCase]] = {}
    for case in cases:
        groups.setdefault(power_class(case.ask.device, case.ask.engine), []).append(case)
    return {name: _fitted(group) for name, group in sorted(groups.items())}


def _fitted(cases: Sequence[PowerCase]) -> dict[str, Any]:
    from scipy.optimize import least_squares

    measured = np.log([case.watts for case in cases])

    def misses(logs: NDArray[np.float64]) -> NDArray[np.float64]:
        power = Power(*np.exp(logs))
        found: NDArray[np.float64] = np.log([watts_of(case.ask, case.parts, power) for case in cases]) - measured
        return found

    def loss(moves: NDArray[np.float64]) -> NDArray[np.float64]:
        miss = misses(_START + moves * _WIDTH) / _SCALE
        return np.concatenate([np.sign(miss) * np.sqrt(2.0 * (np.sqrt(1.0 + miss * miss) - 1.0)), moves])

    logs = _START + least_squares(loss, np.zeros(4), max_nfev=40).x * _WIDTH
    left = -misses(logs)
    names = ("static", "compute", "memory", "rail")
    factors = {name: float(f"{value:.4g}") for name, value in zip(names, np.exp(logs), strict=True)}
    return factors | {"rows": len(cases), "spread": [round(float(np.quantile(left, share)), 3) for share in (0.05, 0.95)]}
