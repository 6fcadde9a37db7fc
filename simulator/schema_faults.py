"""Faults of a scenario: what fails, when or how often, and for how long.

faults:
  reboots: {kind: crash, targets: [pi], every: {mean: 10 min, law: weibull, shape: 0.7}, lasts: {mean: 30 s, law: exponential}}
  cut: {kind: link_down, targets: [uplink], at: [100 s, 200 s], lasts: 10 s}
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import Field, model_validator

from edgewright.hwmodels.units import Fraction, Seconds
from edgewright.simulator.errors import ABSENT, refusal
from edgewright.simulator.schema import Name, Table

__all__ = ["FaultKind", "FaultTable", "LifetimeTable", "SpreadTable"]

FaultKind: TypeAlias = Literal[
    "crash", "power_loss", "leave", "link_down", "link_slow", "storage_down", "storage_slow", "storage_errors", "straggler"
]
"""What a fault does, and what its targets are.

`crash`: a device loses its memory and restarts when the fault is over. `power_loss`: a power domain, with all behind it. `leave`: a
device is not there. `link_down`, `link_slow`: a connection carries nothing, or less and later. `storage_down`, `storage_slow`,
`storage_errors`: a storage (`device.storage`) serves nothing, slower, or reads that must be repeated. `straggler`: a device's engines
are slow.
"""

_NEEDS: dict[str, tuple[str, ...]] = {
    "link_slow": ("factor", "latency"),
    "storage_slow": ("factor",),
    "storage_errors": ("chance", "delay"),
    "straggler": ("factor", "engine"),
}
"""Figures that a kind may have; the first is required, but for `link_slow`, which needs either."""


class LifetimeTable(Table):
    """A random (or fixed) number of seconds. A time alone is short for `{mean: ...}`."""

    mean: Seconds = Field(gt=0, description="mean seconds")
    law: Literal["fixed", "exponential", "weibull"] | None = Field(
        default=None, description="how it varies; absent: `exponential` between faults, `fixed` for how long they last"
    )
    shape: float = Field(default=1.0, gt=0, description="Weibull shape: below 1 infant mortality, above 1 wear-out")

    @model_validator(mode="before")
    @classmethod
    def _by_mean(cls, data: Any) -> Any:
        return {"mean": data} if isinstance(data, str | int | float) and not isinstance(data, bool) else data

    @model_validator(mode="after")
    def _shaped(self) -> LifetimeTable:
        if self.shape != 1.0 and self.law != "weibull":
            raise refusal("is for the law `weibull` alone", "law: weibull, or no shape", at=("shape",), value=self.shape)
        return self


class SpreadTable(Table):
    """A cascade: each time the fault befalls a target, others may follow."""

    targets: tuple[str, ...] = Field(min_length=1, description="what may follow, each on its own draw; same kind of target as the fault's")
    chance: Fraction = Field(gt=0, description="probability that each of them follows")
    delay: Seconds = Field(default=0.0, description="seconds after the fault")


class FaultTable(Table):
    """One source of faults: at given times, or as a renewal process of up times (`every`) and down times (`lasts`) of each target."""

    kind: FaultKind = Field(description="what it does")
    targets: tuple[str, ...] = Field(min_length=1, description="groups or devices, links, storages (`device.storage`) or power domains")
    at: tuple[Seconds, ...] | None = Field(default=None, min_length=1, description="when it befalls all targets; or `every`")
    every: LifetimeTable | None = Field(default=None, description="seconds from the end of a target's fault to its next, drawn for each")
    lasts: LifetimeTable | None = Field(default=None, description="seconds that it lasts; absent: to the end of the run")
    together: bool = Field(default=False, description="whether one process befalls all targets at once, in place of one for each")
    start: Seconds = Field(default=0.0, description="when a process begins")
    stop: Seconds | None = Field(default=None, description="when a process ends: no fault begins later")
    spread: SpreadTable | None = Field(default=None, description="what else it may befall")
    factor: Fraction | None = Field(default=None, description="share of speed or rate that is left")
    latency: Seconds | None = Field(default=None, description="seconds of latency that a slow link adds")
    chance: Fraction | None = Field(default=None, description="probability that a read fails at its end and is repeated")
    delay: Seconds | None = Field(default=None, description="seconds before a failed read is repeated")
    engine: Name | None = Field(default=None, description="the one engine of a straggler that is slow; absent: all of the device")

    @model_validator(mode="after")
    def _timed(self) -> FaultTable:
        if (self.at is None) == (self.every is None):
            raise refusal(
                "has both `at` and `every`, or neither", "one of the two", at=("at",), value=ABSENT if self.at is None else self.at
            )
        if self.at is not None:
            for key in ("start", "stop", "together"):
                if getattr(self, key) != type(self).model_fields[key].default:
                    raise refusal("is for a process", "`every`, or no such key", at=(key,), value=getattr(self, key))
        return self

    @model_validator(mode="after")
    def _figures(self) -> FaultTable:
        mine = _NEEDS.get(self.kind, ())
        for key in ("factor", "latency", "chance", "delay", "engine"):
            if getattr(self, key) is not None and key not in mine:
                accepted = f"`{', '.join(mine)}`" if mine else "no such key"
                raise refusal(f"says nothing of a {self.kind}", accepted, at=(key,), value=getattr(self, key))
        if mine and getattr(self, mine[0]) is None and not (self.kind == "link_slow" and self.latency is not None):
            raise refusal(f"is missing: a {self.kind} needs it", "a share such as `0.2` or `20 %`", at=(mine[0],), value=ABSENT)
        if self.kind == "storage_errors" and self.chance == 1.0:
            raise refusal("leaves no read that ever succeeds", "a share below 1, or kind `storage_down`", at=("chance",), value=1.0)
        stops = {"straggler": "crash", "link_slow": "link_down", "storage_slow": "storage_down"}
        if self.factor == 0.0 and self.kind in stops:
            raise refusal("leaves nothing", f"a share above 0, or kind `{stops[self.kind]}`", at=("factor",), value=0.0)
        return self
