"""Sources of a power domain in a scenario: batteries, solar panels and the grid."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from edgewright.hwmodels.units import Fraction, Joules, Seconds, Watts
from edgewright.simulator.errors import ABSENT, refusal
from edgewright.simulator.schema import InputFile, Table

__all__ = ["BatteryTable", "GridTable", "SolarTable"]


class BatteryTable(Table):
    """A battery; a supercapacitor is a small one."""

    capacity: Joules = Field(gt=0, description="energy that it stores when full, as in `500 Wh`")
    charge: Fraction = Field(default=1.0, description="share of it that is stored when the run begins")
    charge_efficiency: Fraction = Field(default=0.97, gt=0, description="stored / taken in")
    discharge_efficiency: Fraction = Field(default=0.97, gt=0, description="given / taken from the store")
    max_charge: Watts | None = Field(default=None, gt=0, description="most watts taken in; absent: any")
    max_discharge: Watts | None = Field(default=None, gt=0, description="most watts given; absent: any")
    peukert: float = Field(default=1.0, ge=1.0, le=2.0, description="Peukert's exponent above the rated power; 1: none")
    rated_hours: float = Field(default=20.0, gt=0, description="hours in which the rated power empties it")
    cutoff: Fraction = Field(default=0.1, description="state of charge at which it switches off")
    recover: Fraction = Field(default=0.2, description="state of charge at which it switches on again")
    backup: bool = Field(default=False, description="whether the grid comes first and keeps it charged; else it comes before the grid")

    @model_validator(mode="after")
    def _hysteresis(self) -> BatteryTable:
        if self.recover < self.cutoff:
            raise refusal("is below the cut-off", f"{self.cutoff:g} or more", at=("recover",), value=self.recover)
        return self


class SolarTable(Table):
    """Solar panels: a clear sky by place and day, or a trace of watts."""

    peak: Watts | None = Field(default=None, gt=0, description="watts at 1000 W/m2")
    latitude: float | None = Field(default=None, ge=-90, le=90, description="degrees, the south negative")
    day: int = Field(default=172, ge=1, le=366, description="day of the year when the run begins")
    hour: float = Field(default=0.0, ge=0, lt=24, description="solar hour of the day when the run begins")
    clearness: Fraction = Field(default=1.0, description="share of the clear sky's power that arrives")
    trace: InputFile | None = Field(default=None, description="CSV file of seconds and watts, instead of a clear sky")
    repeat: Seconds | None = Field(default=None, gt=0, description="seconds after which the trace begins anew; absent: it does not")

    @model_validator(mode="after")
    def _either(self) -> SolarTable:
        for key in ("peak", "latitude"):
            if self.trace is None and getattr(self, key) is None:
                raise refusal("is missing", "a figure, or a `trace`", at=(key,), value=ABSENT)
        sky = ("peak", "latitude", "day", "hour", "clearness")
        for key in sky if self.trace is not None else ("repeat",):
            if getattr(self, key) != type(self).model_fields[key].default:
                problem = "is given beside a trace" if self.trace is not None else "is given without a trace"
                raise refusal(problem, "a clear sky or a trace", at=(key,), value=getattr(self, key))
        return self


class GridTable(Table):
    """The grid."""

    limit: Watts | None = Field(default=None, description="watts that it gives; absent: any")
    trace: InputFile | None = Field(default=None, description="CSV file of seconds and watts that it gives, instead of `limit`")
    carbon: float | InputFile | None = Field(default=None, description="grams of CO2 per kWh, or a CSV file of seconds and grams")
    price: float | InputFile | None = Field(default=None, description="price per kWh, or a CSV file of seconds and prices")
    repeat: Seconds | None = Field(default=None, gt=0, description="seconds after which the traces begin anew; absent: they do not")

    @model_validator(mode="after")
    def _one_limit(self) -> GridTable:
        if self.trace is not None and self.limit is not None:
            raise refusal("is given beside a trace", "a limit or a trace", at=("limit",), value=self.limit)
        if self.repeat is not None and not any(isinstance(each, Path) for each in (self.trace, self.carbon, self.price)):
            raise refusal("is given without a trace", "a trace of watts, carbon or price besides", at=("repeat",), value=self.repeat)
        return self
