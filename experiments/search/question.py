"""What is asked: the highest load, the best configuration, or a trade-off. Data; every value is checked before the first run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from edgewright.experiments.sweeps.spec import Factor, Range, Runs, Table
from edgewright.hwmodels.units import Seconds

__all__ = ["Limit", "Prices", "Question"]


class Limit(Table):
    """What a figure must keep to."""

    at_most: float | None = Field(default=None, description="the greatest value allowed")
    at_least: float | None = Field(default=None, description="the least value allowed")

    @model_validator(mode="after")
    def _one(self) -> Limit:
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError("a limit has two ends or none; accepted: either `at_most` or `at_least`")
        return self


class Prices(Table):
    """What things cost, in a currency of the user's; without them cost is unavailable."""

    devices: dict[str, float] = Field(default_factory=dict, description="price of one device of each group in `cluster.devices`")
    energy: float | None = Field(default=None, ge=0, description="price of a kilowatt-hour")
    life: Seconds | None = Field(default=None, gt=0, description="time over which devices are written off (`3 years`)")


class Question(Runs):
    """A question, as its file says it."""

    name: str = Field(default="search", pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$", description="name of the result directory")
    find: Literal["capacity", "best", "front"] = Field(description="the highest load, the best configuration, or a Pareto front")
    load: tuple[str, ...] = Field(
        default=(), description="capacity: dotted keys of the numbers that are multiplied together, as arrival rates"
    )
    between: tuple[float, float] = Field(default=(0.1, 10.0), description="capacity: factors between which the load is sought")
    relative: float = Field(default=0.05, gt=0, lt=1, description="capacity: relative width at which the search stops")
    factors: dict[str, Factor] = Field(
        default_factory=dict, description="best, front: what may be chosen, by dotted key: values, or a range"
    )
    minimise: tuple[str, ...] = Field(default=(), description="best: one figure; front: figures of which less is better")
    maximise: tuple[str, ...] = Field(default=(), description="best: one figure; front: figures of which more is better")
    meets: dict[str, Limit] = Field(default_factory=dict, description="limits that every answer keeps, by figure")
    trials: int | None = Field(default=None, ge=1, description="best, front: candidates that Optuna proposes; absent: every combination")
    prices: Prices = Field(default_factory=Prices, description="prices, for the figures cost_*")
    rated: dict[str, dict[str, dict[str, float]]] = Field(
        default_factory=dict,
        description="figures of the user's own, as {quality: {factor: {value: figure}}}; of several factors the product",
    )
    replications: int = Field(default=3, ge=2, description="runs per candidate at the least")
    most: int = Field(default=12, ge=2, description="runs per candidate at the most")
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="of every interval")

    @field_validator("minimise", "maximise", "load", mode="before")
    @classmethod
    def _listed(cls, given: Any) -> Any:
        return (given,) if isinstance(given, str) else given

    @model_validator(mode="after")
    def _whole(self) -> Question:
        if self.most < self.replications:
            raise ValueError(f"most is {self.most}; accepted: at least `replications`, {self.replications}")
        goals = (*self.minimise, *self.maximise)
        if self.find == "capacity":
            self._capacity(goals)
        else:
            self._choice(goals)
        return self

    def _capacity(self, goals: tuple[str, ...]) -> None:
        if not self.load or self.factors or goals or self.trials:
            raise ValueError(
                "a capacity is asked with `load`, and without factors, goals and trials; accepted: load, between, relative, meets"
            )
        if not 0 < self.between[0] < self.between[1]:
            raise ValueError(f"between is {self.between}; accepted: two factors above 0, the lower one first")

    def _choice(self, goals: tuple[str, ...]) -> None:
        if not self.factors or self.load:
            raise ValueError(
                f"find: {self.find} chooses among `factors`, and has no `load`; accepted: factors, minimise, maximise, meets, trials"
            )
        if self.find == "best" and len(goals) != 1:
            raise ValueError(f"find: best has {len(goals)} goals; accepted: one figure under `minimise` or `maximise`")
        if self.find == "front" and len(goals) < 2:
            raise ValueError(f"find: front has {len(goals)} goals; accepted: two figures or more under `minimise` and `maximise`")
        if self.trials is None:
            for key, factor in self.factors.items():
                if isinstance(factor, Range) and factor.steps is None:
                    raise ValueError(f"factor {key!r} is a range without `steps`; accepted: steps, or `trials` proposed by Optuna")

    @property
    def limits(self) -> Mapping[str, Limit]:
        """What every answer keeps; for a capacity without `meets`, that 95 % of all jobs meet the scenario's objectives."""
        if not self.meets and self.find == "capacity":
            return {"slo_met": Limit(at_least=0.95)}
        return self.meets
