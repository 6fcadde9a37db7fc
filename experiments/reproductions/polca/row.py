"""The row of servers: which rates make 40 of them peak at 79 % of what is provisioned, and what more servers do under each policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.simulator import Result, Scenario, simulate

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BASE", "POLICIES", "Row", "Site"]

BASE = 40
"""Servers that the row is provisioned for."""
PEAK = 0.79
"""Of the row's power, what they draw at most: an input (claim `peak_inference`)."""
SETTLING = 60.0
"""Seconds after the start in which the servers fill, left out of powers."""
LIMITS = {("urgent", 0.5): 1.01, ("urgent", 0.99): 1.05, ("patient", 0.5): 1.05, ("patient", 0.99): 1.5}
"""The service objectives: end-to-end latency by priority and quantile, over that of the same row without limits."""

_LOWER = 1110 / 1410
POLICIES: Mapping[str, Any] = {
    "free": {"policy": "none"},
    "polca": {"policy": "two_thresholds"},
    "No-cap": {"policy": "two_thresholds", "t1": 1, "t2": 1, "low_clock": 1, "lower_clock": 1, "high_clock": 1},
    "1-Thresh-Low-Pri": {"policy": "two_thresholds", "t1": 0.89, "t2": 0.89, "low_clock": _LOWER, "high_clock": 1},
    "1-Thresh-All": {"policy": "two_thresholds", "t1": 0.89, "t2": 0.89, "low_clock": _LOWER, "high_priority": 2},
}
"""POLCA, its baselines, and a row without limits. All brake above the budget; a baseline has one lock, at the frequency of the second."""


@dataclass(frozen=True)
class Row:
    """One run of the row."""

    result: Result
    budget: float

    @cached_property
    def powers(self) -> NDArray[np.float64]:
        """Means over 2 s within the window, once the row has filled, as fractions of what is provisioned."""
        bins = self.result.power
        window = self.result.meta["window"]
        chosen = (bins.domain == "row") & (bins.start_s >= SETTLING) & (bins.end_s <= window[1])
        return bins[chosen].mean_W.to_numpy() / self.budget

    @property
    def brakes(self) -> int:
        """Times at which the power brake was pulled."""
        return int(self.result.actuations[self.result.actuations.kind == "brake"].time_s.nunique())

    @property
    def rise(self) -> float:
        """The largest rise within 40 s, as a fraction of what is provisioned."""
        return max(float((self.powers[lag:] - self.powers[:-lag]).max()) for lag in range(1, 21))

    def latency(self, service: str, quantile: float) -> float:
        """Seconds from end to end."""
        jobs = self.result.jobs
        return float(jobs[jobs.service == service].e2e_s.quantile(quantile))

    def work_seconds(self, service: str) -> float:
        """Seconds that the jobs spent being served, together."""
        jobs = self.result.jobs[self.result.jobs.service == service]
        return float((jobs.finished_s - jobs.scheduled_s).sum())


class Site:
    """The row under one set of assumptions: its rates are found once, then any number of servers can be run."""

    def __init__(self, scenario: Scenario, rate: float) -> None:
        """The row of a scenario with `BASE` servers' rates."""
        self.scenario = scenario
        self.rate = rate
        budget = scenario.power["row"].budget
        assert budget is not None, "the row has a budget"
        self.budget = budget
        self._runs: dict[tuple[int, str], Row] = {}

    @classmethod
    def calibrated(cls, board_W: float, period: float, seed: int) -> Site:
        """The row under these assumptions, at the rate at which `BASE` servers peak at `PEAK`."""
        loaded = Scenario.load(Path(__file__).with_name("scenario.yaml"))
        boards = {f"cluster.devices.{half}.board": board_W for half in ("high", "low")}
        site = cls(loaded.override({**boards, "power.row.telemetry.period": period, "seed": seed}), 0.2)
        site._find_rate()
        return site

    def _find_rate(self) -> None:
        """Peaks are nearly linear in the rate of each workload: one step of a secant from idle."""
        idle = self._idle()
        for _ in range(2):
            peak = float(self.run(BASE, "free").powers.max())
            if abs(peak - PEAK) < 0.005:
                return
            self.rate *= (PEAK - idle) / (peak - idle)
            self._runs.clear()

    def _idle(self) -> float:
        from edgewright.hwmodels import catalog

        board = self.scenario.cluster.devices["high"].board
        device = catalog.device("dgx_a100_640gb")
        assert board is not None, "set for every row"
        return BASE * (device.idle_W + board) / device.supply_efficiency / self.budget

    def run(self, servers: int, policy: str) -> Row:
        """The row with so many servers, half of high priority, each with the same load."""
        if (servers, policy) not in self._runs:
            counts = {f"cluster.devices.{half}.count": servers // 2 for half in ("high", "low")}
            rates = {f"workloads.{name}.arrivals.rate": self.rate * servers / BASE for name in self.scenario.workloads}
            changed = self.scenario.override({**counts, **rates, "power.row.policy": POLICIES[policy]})
            self._runs[servers, policy] = Row(simulate(changed), self.budget)
        return self._runs[servers, policy]

    def slowdown(self, servers: int, policy: str, service: str, quantile: float) -> float:
        """Latency under a policy over that of the same row without limits."""
        return self.run(servers, policy).latency(service, quantile) / self.run(servers, "free").latency(service, quantile)

    def loss(self, servers: int, policy: str, service: str) -> float:
        """Throughput lost under a policy: seconds that the same jobs need more, as a fraction of all."""
        return 1.0 - self.run(servers, "free").work_seconds(service) / self.run(servers, policy).work_seconds(service)

    def holds(self, servers: int, policy: str) -> bool:
        """Whether no brake is pulled and every objective is kept."""
        if self.run(servers, policy).brakes:
            return False
        return all(self.slowdown(servers, policy, *which) < limit for which, limit in LIMITS.items())
