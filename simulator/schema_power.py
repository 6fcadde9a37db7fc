"""Power domains of a scenario: which devices share a budget, what measures them and what holds them to it."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from edgewright.hwmodels.breakers import BREAKER_CURVES, TripCurve
from edgewright.hwmodels.units import Fraction, Seconds, Watts
from edgewright.policies.families import PowerPolicy
from edgewright.policies.registry import lookup
from edgewright.simulator.errors import ABSENT, refusal
from edgewright.simulator.schema import Name, Table
from edgewright.simulator.schema_choices import PolicyChoice, chosen
from edgewright.simulator.schema_sources import BatteryTable, GridTable, SolarTable

__all__ = ["Actuator", "BreakerTable", "PortsTable", "PowerDomain", "SupplyCurve", "Telemetry"]


_OF_RAILS = "a rail has a budget, a policy, telemetry and an actuator"

Power: TypeAlias = Annotated[PowerPolicy, PolicyChoice("power")]


class Telemetry(Table):
    """What a controller is told of its domain's power."""

    period: Seconds = Field(default=1.0, gt=0, description="seconds between readings; each is the mean over the period")
    delay: Seconds = Field(default=0.0, description="seconds from the end of the period to the reading")
    noise: Fraction = Field(default=0.0, description="relative standard deviation of a reading")
    resolution: Watts = Field(default=0.0, description="watts that readings are rounded to; 0: none")


class Actuator(Table):
    """How long a command takes to act, and in what steps."""

    delay: Seconds = Field(default=0.0, description="seconds from a command to its effect")
    brake: Seconds | None = Field(
        default=None, description="seconds for the fast path that sets the lowest clock; absent: the same as `delay`"
    )
    rise: Seconds | None = Field(default=None, description="seconds for a command that raises the clock; absent: the same as `delay`")
    clock_step: Fraction = Field(
        default=0.0, description="steps of clocks as a fraction of the maximum, rounded down; 0: those of the engine"
    )
    watts_step: Watts = Field(default=0.0, description="steps of caps in watts, rounded down; 0: none")
    window: Seconds | None = Field(
        default=None, gt=0, description="caps hold the mean over this window; absent: nothing the device could run exceeds them"
    )


class BreakerTable(Table):
    """A breaker at the domain's plug: what stays above its rating for long enough cuts off everything behind it."""

    rated: Watts = Field(gt=0, description="watts that it stands for ever")
    curve: Literal["B", "C", "D"] | tuple[tuple[float, Seconds], ...] = Field(
        default="C", description="trip curve: a type of IEC 60898-1, or pairs of a multiple of the rating and the seconds that it stands it"
    )
    fading: Seconds = Field(default=300.0, description="time constant with which a breaker below its curve cools down")
    restore: Seconds | None = Field(default=None, gt=0, description="seconds until somebody closes it again; absent: nobody does")
    period: Seconds = Field(default=1.0, gt=0, description="seconds over which it takes the mean of the power, at most")

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """The points of its curve."""
        return BREAKER_CURVES[self.curve] if isinstance(self.curve, str) else self.curve

    @model_validator(mode="after")
    def _a_curve(self) -> BreakerTable:
        try:
            TripCurve(self.points)
        except ValueError as error:
            raise refusal("is no trip curve", str(error).partition("accepted are ")[2], at=("curve",), value=self.curve) from None
        return self


class PortsTable(Table):
    """The domain is a switch that feeds each of its own devices over Ethernet; its budget is that of all ports together."""

    port_class: int = Field(default=4, ge=0, le=8, description="class of the ports (802.3af: 0 to 3, at: 4, bt: 5 to 8), which limits each")
    restore: Seconds = Field(default=10.0, gt=0, description="seconds until a port without power is tried again")
    period: Seconds = Field(default=1.0, gt=0, description="seconds over which the switch takes means, and acts")


class SupplyCurve(Table):
    """A supply whose efficiency depends on its load."""

    rated: Watts = Field(gt=0, description="watts that it gives at full load")
    curve: tuple[tuple[Fraction, Fraction], ...] = Field(
        min_length=2, description="pairs of a fraction of the rated load and the efficiency there"
    )
    period: Seconds = Field(default=1.0, gt=0, description="seconds over which its load is taken as constant")

    @model_validator(mode="after")
    def _ascending(self) -> SupplyCurve:
        loads = [load for load, _ in self.curve]
        losses = [load * (1.0 / efficiency - 1.0) for load, efficiency in self.curve if efficiency > 0.0]
        if sorted(set(loads)) != loads or loads[0] <= 0.0 or len(losses) < len(loads) or sorted(losses) != losses:
            accepted = (
                "pairs of a load, ascending and above 0, and of an efficiency above 0, with losses that do not fall as the load grows"
            )
            raise refusal("is no curve of efficiency", accepted, at=("curve",), value=self.curve)
        return self


class PowerDomain(Table):
    """Devices and inner domains behind one supply, under one budget; or a rail, which is a part of one device."""

    devices: tuple[Name, ...] = Field(default=(), description="groups or instances that draw from this domain itself")
    rail: tuple[str, ...] = Field(
        default=(),
        description="engines and buses of one device (`orin0.gpu`): the domain is a rail inside of it, measured and capped by itself",
    )
    budget: Watts | None = Field(default=None, gt=0, description="watts that the domain may draw; absent: measured, not limited")
    parent: Name | None = Field(default=None, description="the domain that this one draws from")
    supply_efficiency: Fraction = Field(default=1.0, gt=0, description="watts out / watts in of the domain's own supply")
    supply: SupplyCurve | None = Field(default=None, description="efficiency by load, instead of `supply_efficiency`")
    overhead: Watts = Field(default=0.0, description="constant watts of what is not simulated: fans, switches")
    breaker: BreakerTable | None = Field(default=None, description="the breaker at its plug; absent: none")
    ports: PortsTable | None = Field(default=None, description="power over Ethernet; absent: devices are fed without limits of their own")
    battery: BatteryTable | None = Field(default=None, description="a battery or supercapacitor at its plug")
    solar: SolarTable | None = Field(default=None, description="solar panels at its plug")
    grid: GridTable | None = Field(default=None, description="the grid at its plug; absent beside `battery` or `solar`: it is off the grid")
    balance: Seconds = Field(default=1.0, gt=0, description="seconds over which its sources are balanced with its load")
    restore: Seconds = Field(default=60.0, description="the least seconds that a loss of power for lack of sources lasts")
    policy: Power = chosen("none", "what holds the domain to its budget")
    telemetry: Telemetry = Field(default_factory=Telemetry, description="what the policy is told")
    actuator: Actuator = Field(default_factory=Actuator, description="how its commands act")

    @property
    def fed(self) -> bool:
        """Whether its sources are modelled."""
        return any(source is not None for source in (self.battery, self.solar, self.grid))

    @model_validator(mode="after")
    def _something_to_hold(self) -> PowerDomain:
        if self.budget is None and getattr(self.policy, "needs_budget", not isinstance(self.policy, lookup("power", "none"))):
            raise refusal("is missing, but a policy is to hold it", "watts, as in `160 W`", at=("budget",), value=ABSENT)
        return self

    @model_validator(mode="after")
    def _a_rail_is_no_plug(self) -> PowerDomain:
        if self.rail:
            for key in ("devices", "parent", "supply", "overhead", "breaker", "ports", "battery", "solar", "grid"):
                if value := getattr(self, key):
                    raise refusal("is given for a rail", _OF_RAILS, at=(key,), value=value)
            for key in ("supply_efficiency", "balance", "restore"):
                if getattr(self, key) != type(self).model_fields[key].default:
                    raise refusal("is given for a rail", _OF_RAILS, at=(key,), value=getattr(self, key))
        return self

    @model_validator(mode="after")
    def _one_supply(self) -> PowerDomain:
        if self.supply is not None and self.supply_efficiency != 1.0:
            raise refusal("is given beside `supply`", "one of the two", at=("supply_efficiency",), value=self.supply_efficiency)
        for key in () if self.fed else ("balance", "restore"):
            if getattr(self, key) != type(self).model_fields[key].default:
                raise refusal("is given without sources", "`battery`, `solar` or `grid` besides", at=(key,), value=getattr(self, key))
        if self.ports is not None and not self.devices:
            raise refusal("has no devices of its own to feed", "`devices` besides", at=("ports",))
        if self.fed and self.parent is not None:
            raise refusal("is given beside sources of its own", "sources at the outermost domain only", at=("parent",), value=self.parent)
        return self
