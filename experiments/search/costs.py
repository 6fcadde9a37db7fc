"""Figures that the simulator cannot know: what things cost, and how good the user holds an answer to be."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan, prod

from edgewright.experiments.search.question import Prices, Question
from edgewright.experiments.sweeps.spec import SweepError
from edgewright.simulator.scenario import Scenario

__all__ = ["COSTS", "with_costs"]

COSTS = ("cost_of_devices", "cost_per_hour", "cost_per_million_tokens")
"""What the devices cost together; that written off over their life plus energy, per hour; and per million tokens made at that rate."""


def with_costs(figures: Mapping[str, float], question: Question, scenario: Scenario, candidate: Mapping[str, object]) -> dict[str, float]:
    """The figures of a run with costs and the user's own ratings; NaN, hence unavailable, where a price or a figure is missing."""
    return {**figures, **_costs(figures, question.prices, scenario), **_rated(question, candidate)}


def _costs(figures: Mapping[str, float], prices: Prices, scenario: Scenario) -> dict[str, float]:
    groups = scenario.cluster.devices
    if unknown := sorted(set(prices.devices) - set(groups)):
        raise SweepError(f"prices.devices: {unknown[0]!r} is no group of devices; accepted: {', '.join(groups)}")
    capital = sum(prices.devices.get(name, nan) * (1 if group.count is None else group.count) for name, group in groups.items())
    life = nan if prices.life is None else prices.life / 3600.0
    energy = nan if prices.energy is None else prices.energy
    hourly = capital / life + figures.get("mean_power_W", nan) / 1000.0 * energy
    rate = figures.get("tokens_per_s", nan)
    return dict(zip(COSTS, (capital, hourly, hourly / (rate * 3600.0) * 1e6 if rate else nan), strict=True))


def _rated(question: Question, candidate: Mapping[str, object]) -> dict[str, float]:
    """The user's own figures at a candidate: of several rated factors the product."""
    found = {}
    for name, factors in question.rated.items():
        parts = []
        for key, values in factors.items():
            chosen = _named(candidate.get(key))
            if key not in candidate or chosen not in values:
                raise SweepError(
                    f"rated.{name}.{key}: has no figure for {chosen!r}; accepted: one for every value of a factor of that name"
                )
            parts.append(values[chosen])
        found[name] = prod(parts)
    return found


def _named(value: object) -> str:
    """A factor's value as a key: a policy by its name."""
    return str(value["policy"]) if isinstance(value, Mapping) and "policy" in value else str(value)
