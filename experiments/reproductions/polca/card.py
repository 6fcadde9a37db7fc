"""One request at a locked clock: how much the cards' peak power falls, and how much longer the request takes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from edgewright.simulator import Scenario, Simulation

__all__ = ["CASES", "loss_at_reduction", "request_at"]

CASES = {"gpt-neox-20b": "a100_80gb_sxm", "bloom-176b": "dgx_a100_640gb"}
"""The models of the claim, each on what holds it: one card, or eight."""


@cache
def request_at(model: str, clock: float) -> tuple[float, float]:
    """Peak power of the cards and seconds of the request, its clock locked to a fraction of the highest."""
    base = Scenario.load(Path(__file__).with_name("card.yaml"))
    scenario = base.override({"services.chat.model": model, "cluster.devices.server.device": CASES[model]})
    simulation = Simulation(scenario)
    simulation.machine.set_clock("server.gpu", clock)
    simulation.run_until(simulation.end)
    result = simulation.result()
    rail = result.power[result.power.domain == "cards"].peak_W.max()
    return float(rail) + simulation.machine.cluster.devices["server"].idle_W, float(result.jobs.e2e_s.iloc[0])


def loss_at_reduction(model: str, reduction: float) -> tuple[float, float]:
    """`(clock, performance lost)` where the peak power is lower by that fraction than at the highest clock."""
    peak, seconds = request_at(model, 1.0)
    low, high = 0.5, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if request_at(model, middle)[0] < (1.0 - reduction) * peak else (low, middle)
    return low, 1.0 - seconds / request_at(model, low)[1]
