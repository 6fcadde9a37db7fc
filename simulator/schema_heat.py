"""Heat of a group of devices in a scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from edgewright.hwmodels.units import Fraction, Seconds
from edgewright.simulator.errors import refusal
from edgewright.simulator.schema import InputFile, Table

__all__ = ["HeatTable"]

Above0 = Annotated[float, Field(gt=0)]


class HeatTable(Table):
    """The heat model and the governor of each device of a group; temperatures are plain degrees Celsius."""

    air: float | InputFile = Field(default=25.0, description="temperature of the air, or a CSV file of seconds and temperatures")
    repeat: Seconds | None = Field(default=None, gt=0, description="seconds after which the file begins anew; absent: it does not")
    resistances: tuple[Above0, ...] | None = Field(
        default=None, description="kelvins per watt from die to heat sink and on to the air, or one to the air; absent: the catalogue's"
    )
    capacities: tuple[Above0, ...] | None = Field(default=None, description="joules per kelvin of each of them; absent: the catalogue's")
    trip: float | None = Field(default=None, description="temperature at which clocks are stepped down; absent: the catalogue's")
    critical: float | None = Field(default=None, description="temperature at which it is switched off; absent: the catalogue's, or none")
    hysteresis: float = Field(default=5.0, ge=0, description="kelvins below `trip` at which clocks rise again")
    step: Fraction = Field(default=0.1, gt=0, description="fraction of the highest clock that one look takes or gives")
    floor: Fraction = Field(default=0.1, gt=0, description="the lowest clock that it sets, as a fraction")
    period: Seconds = Field(default=1.0, gt=0, description="seconds between two looks")
    leakage: float = Field(default=0.0, ge=0, description="watts per kelvin above `reference`, drawn besides idle power")
    reference: float = Field(default=25.0, description="die temperature at which idle power holds")

    @model_validator(mode="after")
    def _ordered(self) -> HeatTable:
        if self.trip is not None and self.critical is not None and self.critical <= self.trip:
            raise refusal("is not above the trip point", f"more than {self.trip:g}", at=("critical",), value=self.critical)
        if self.repeat is not None and not isinstance(self.air, Path):
            raise refusal("is given without a file", "a file as `air` besides", at=("repeat",), value=self.repeat)
        return self
