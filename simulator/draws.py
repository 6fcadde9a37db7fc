"""Draws of the uncertain figures of a cluster's devices: scenario key `cluster.draw`, `{number: 3, of: 19}`.

Of n draws each figure takes its quantiles 1 / (n + 1), ..., n / (n + 1) once each, in an order of its own (a Latin hypercube; McKay,
Beckman and Conover, Technometrics 21(2), 1979). An outcome that rises or falls with one figure then lies between the least and the greatest
of n draws with probability (n - 1) / (n + 1) exactly: 0.9 of 19. Of many figures together, with close to that: a machine of nine figures
was tested to be held 90 % of the time, give or take 10 % for one set of 19.

Devices of one kind and software share their draw: what a calibration is off by is common to all of them. Draws depend on the figure alone,
not on the scenario's seed or its other devices: scenarios that are compared at the same number have the same devices.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from edgewright.hwmodels.uncertainty import drawn, host_factor, uncertainties
from edgewright.workloads import Stream

if TYPE_CHECKING:
    from edgewright.hwmodels import Device
    from edgewright.simulator.schema_cluster import DrawTable

__all__ = ["as_drawn", "drawn_host_factor", "normal_at"]


def as_drawn(device: Device, family: str | None, draw: DrawTable | None) -> Device:
    """The device at a draw; as it is without one."""
    return device if draw is None else drawn(device, uncertainties(device, family), _normals(device, family, draw))


def drawn_host_factor(device: Device, family: str, draw: DrawTable | None) -> float:
    """By how much the host's time of a family of software differs at a draw."""
    if draw is None:
        return 1.0
    return host_factor(uncertainties(device, family), device.main_engine.name, _normals(device, family, draw))


def normal_at(scope: str, number: int, count: int, figure: str) -> float:
    """The standard normal number of a figure of what `scope` names, at one of so many draws."""
    order = np.argsort(Stream(0, "draws").child(scope).child(figure).uniforms(count), kind="stable")
    return NormalDist().inv_cdf((int(order[number - 1]) + 1) / (count + 1))


def _normals(device: Device, family: str | None, draw: DrawTable) -> Callable[[str], float]:
    return partial(normal_at, f"{device.name}.{family or ''}", draw.number, draw.of)
