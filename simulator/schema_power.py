"""Power domains of a scenario: which devices share a budget, what measures them and what holds them to it."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field, model_validator

from edgewright.hwmodels.units import Fraction, Seconds, Watts
from edgewright.policies.families import PowerPolicy
from edgewright.policies.registry import lookup
from edgewright.simulator.errors import ABSENT, refusal
from edgewright.simulator.schema import Name, Table
from edgewright.simulator.schema_choices import PolicyChoice, chosen

__all__ = ["Actuator", "PowerDomain", "Telemetry"]


Power: TypeAlias = Annotated[PowerPolicy, PolicyChoice("power")]


class Telemetry(Table):
    """What a controller is told of its domain's power."""

    period: Seconds = Field(default=1.0, gt=0, description="seconds between readings; each is the mean over the period")
    delay: Seconds = Field(default=0.0, description="seconds from the end of the period to the reading")
    noise: Fraction = Field(default=0.0, description="relative standard deviation of a reading")


class Actuator(Table):
    """How long a command takes to act."""

    delay: Seconds = Field(default=0.0, description="seconds from a command to its effect")
    brake: Seconds | None = Field(
        default=None, description="seconds for the fast path that sets the lowest clock; absent: the same as `delay`"
    )


class PowerDomain(Table):
    """Devices and inner domains behind one supply, under one budget."""

    devices: tuple[Name, ...] = Field(default=(), description="groups or instances that draw from this domain itself")
    budget: Watts | None = Field(default=None, gt=0, description="watts that the domain may draw; absent: measured, not limited")
    parent: Name | None = Field(default=None, description="the domain that this one draws from")
    supply_efficiency: Fraction = Field(default=1.0, gt=0, description="watts out / watts in of the domain's own supply")
    overhead: Watts = Field(default=0.0, description="constant watts of what is not simulated: fans, switches")
    policy: Power = chosen("none", "what holds the domain to its budget")
    telemetry: Telemetry = Field(default_factory=Telemetry, description="what the policy is told")
    actuator: Actuator = Field(default_factory=Actuator, description="how its commands act")

    @model_validator(mode="after")
    def _something_to_hold(self) -> PowerDomain:
        if self.budget is None and not isinstance(self.policy, lookup("power", "none")):
            raise refusal("is missing, but a policy is to hold it", "watts, as in `160 W`", at=("budget",), value=ABSENT)
        return self
