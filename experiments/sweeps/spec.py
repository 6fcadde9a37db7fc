"""What a sweep is: a scenario, factors, a design, replications. Data; every value is checked before the first run.

Replicate r of every point runs with the seed `scenario.seed + r`: common random numbers, so that differences between points are not
differences of luck (Law, Simulation Modeling and Analysis, 5th ed., section 11.2).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, field_validator, model_validator

from edgewright.simulator.errors import Origin, choices, refusal, translate
from edgewright.simulator.scenario import Scenario

__all__ = ["Factor", "Precision", "Range", "Runs", "Spec", "SweepError", "Table", "parsed", "read_spec"]

_QUANTITY = re.compile(r"^\s*(?P<number>[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?)\s*(?P<unit>[^\d\s].*)?$")


_PYTHON = Origin()


class SweepError(ValueError):
    """A sweep that cannot be run; the message names file, key, value and what is accepted."""


class Table(BaseModel):
    """A table of such a file: no other keys, and nothing changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        for key in data if isinstance(data, Mapping) else ():
            if key not in cls.model_fields:
                raise refusal("is no key here", choices(key, cls.model_fields), at=(key,), value=data[key])
        return data


class Range(Table):
    """A factor that varies between two numbers, with a unit if they have one (`10 Mbit/s`)."""

    low: float | str = Field(description="the least value, with its unit")
    high: float | str = Field(description="the greatest value, in the same unit")
    scale: Literal["linear", "log"] = Field(default="linear", description="in equal steps, or in equal ratios")
    steps: int | None = Field(default=None, ge=2, description="values of a grid, both ends included")
    integer: bool = Field(default=False, description="whole numbers only")

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        (low, unit), (high, other) = _number(self.low), _number(self.high)
        if unit != other:
            raise ValueError(f"low is in {unit or 'no unit'!r}, high in {other or 'no unit'!r}; accepted: one unit for both")
        if not low < high or (self.scale == "log" and low <= 0.0):
            raise ValueError(f"the range from {self.low} to {self.high} is empty; accepted: low < high, above 0 on a log scale")
        return self

    def at(self, fraction: float) -> object:
        """The value at that fraction of the way from low to high, written as the ends are."""
        (low, unit), (high, _) = _number(self.low), _number(self.high)
        value = low * (high / low) ** fraction if self.scale == "log" else low + (high - low) * fraction
        number: float | int = round(value) if self.integer else value
        return f"{number!r} {unit}" if unit else number


def _kind(factor: object) -> str:
    return "range" if isinstance(factor, Mapping | Range) else "values"


Factor: TypeAlias = Annotated[Annotated[tuple[Any, ...], Tag("values")] | Annotated[Range, Tag("range")], Discriminator(_kind)]
"""Values to take, or a range to take them from."""


class Precision(Table):
    """When a point has been replicated enough: once the confidence interval of a figure's mean is narrow, or `most` is reached."""

    metric: str = Field(description="the figure, as in `result.row(detail=True)`")
    relative: float = Field(default=0.05, gt=0, lt=1, description="half-width of the interval over the mean")
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="of the interval")
    most: int = Field(default=30, ge=2, description="replications at the most")


class Runs(Table):
    """What every file that asks for runs says."""

    name: str = Field(default="runs", pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$", description="name of the result directory")
    scenario: str = Field(description="path of a scenario file, from this file's directory, or the name of a shipped one")
    base: dict[str, Any] = Field(default_factory=dict, description="overrides for every run, by dotted key")


class Spec(Runs):
    """A sweep, as its file says it."""

    name: str = Field(default="sweep", pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$", description="name of the result directory")
    factors: dict[str, Factor] = Field(default_factory=dict, description="what varies, by dotted key: a list of values, or a range")
    design: Literal["grid", "list", "random", "latin_hypercube"] = Field(
        default="grid",
        description="grid: every combination; list: the first values together, then the second; random and latin_hypercube: samples",
    )
    samples: int | None = Field(default=None, ge=1, description="points of a random or latin_hypercube design")
    replications: int = Field(default=1, ge=1, description="runs per point with seeds of their own; with `precision`, the least")
    precision: Precision | None = Field(default=None, description="replicate until a figure is known this well")
    draws: bool = Field(
        default=False,
        description="whether each replication has devices of its own too, drawn from how far theirs may be off (`cluster.draw`)",
    )
    figures: tuple[str, ...] = Field(
        default=("goodput_per_s", "slo_met", "ttft_p50_s", "ttft_p99_s", "joules_per_token"), description="figures that are printed"
    )

    @field_validator("factors", mode="before")
    @classmethod
    def _lists(cls, factors: Any) -> Any:
        if not isinstance(factors, Mapping):
            return factors
        bad = [key for key, factor in factors.items() if not isinstance(factor, list | tuple | Mapping | Range) or not factor]
        if bad:
            raise ValueError(f"factor {bad[0]!r} is {factors[bad[0]]!r}; accepted: a list of values, or a range {{low: ..., high: ...}}")
        return factors

    @model_validator(mode="after")
    def _designed(self) -> Spec:
        sampled = self.design in ("random", "latin_hypercube")
        if sampled != (self.samples is not None):
            raise ValueError(
                f"design {self.design!r} with samples {self.samples}; accepted: `samples` for random and latin_hypercube, only there"
            )
        for key, factor in self.factors.items():
            if isinstance(factor, Range) and not sampled and factor.steps is None:
                raise ValueError(f"factor {key!r} is a range without `steps`; accepted: steps, or a random or latin_hypercube design")
        lengths = {key: _length(factor) for key, factor in self.factors.items()}
        if self.design == "list" and len(set(lengths.values())) > 1:
            raise ValueError(f"a list design with factors of unequal lengths {lengths}; accepted: as many values for each")
        if self.draws and (self.replications < 2 or self.precision is not None):
            raise ValueError(f"draws with {self.replications} replications and precision {self.precision}; accepted: 2 and more, and none")
        if self.precision is not None and self.precision.most < max(self.replications, 2):
            raise ValueError(f"precision.most is {self.precision.most}; accepted: at least `replications`, and 2")
        return self


Asked = TypeVar("Asked", bound=Runs)


def read_spec(path: str | Path, kind: type[Asked]) -> tuple[Asked, Scenario]:
    """A file that asks for runs of a scenario, and that scenario; raises `SweepError` or `ScenarioError`."""
    from edgewright.simulator.loader import read_table

    file = Path(path)
    document = read_table(file, f"the keys {', '.join(f'`{name}`' for name in kind.model_fields)}")
    found = parsed(document.data, kind, document.origin)
    beside = file.parent / found.scenario
    return found, Scenario.load(beside if beside.is_file() else found.scenario)


def parsed(data: Mapping[str, Any], kind: type[Asked], origin: Origin = _PYTHON) -> Asked:
    """What plain tables ask for; raises `SweepError`."""
    try:
        return kind.model_validate(dict(data))
    except ValidationError as report:
        raise SweepError(str(translate(report, origin, ("values", "range")))) from None


def _number(value: float | str) -> tuple[float, str]:
    if not isinstance(value, str):
        return float(value), ""
    match = _QUANTITY.match(value)
    if match is None:
        raise ValueError(f"{value!r} is no number; accepted: a number, with a unit or without")
    return float(match["number"]), (match["unit"] or "").strip()


def _length(factor: Factor) -> int | None:
    return factor.steps if isinstance(factor, Range) else len(factor)
