"""Workloads of a scenario: who asks which service, how often, and for how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import Field, model_validator

from edgewright.hwmodels.units import Bytes, Fraction, Seconds
from edgewright.simulator.errors import choices, refusal
from edgewright.simulator.schema import InputFile, Known, Name, Table
from edgewright.simulator.schema_choices import ProcessChoice
from edgewright.workloads import Feedback, LengthProcess, OpenProcess
from edgewright.workloads.traces import trace_formats

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

    from edgewright.workloads.prefixes import Prefixes

__all__ = ["PrefixTable", "TraceFormats", "TraceTable", "WorkloadTable"]


def _arrivals() -> Mapping[str, type[Any]]:
    from edgewright.workloads.arrivals import ARRIVALS

    return ARRIVALS


def _lengths() -> Mapping[str, type[Any]]:
    from edgewright.workloads.lengths import LENGTHS

    return LENGTHS


Arrivals: TypeAlias = Annotated[OpenProcess | Feedback, ProcessChoice("process", "arrival process", _arrivals)]
TokenLengths: TypeAlias = Annotated[LengthProcess, ProcessChoice("lengths", "distribution of lengths", _lengths)]


@dataclass(frozen=True, slots=True)
class TraceFormats:
    """Pydantic metadata: the annotated field holds the name of a trace format, a plugin's too."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self._known, handler(source))

    def _known(self, name: str) -> str:
        if name not in trace_formats():
            raise refusal("is no trace format", choices(name, trace_formats()), value=name)
        return name


_TraceFormat: TypeAlias = Annotated[str, TraceFormats(), Known(trace_formats, others=True)]


class TraceTable(Table):
    """A recorded trace to replay: its first request arrives at time 0."""

    file: InputFile = Field(description="the trace, as published; `.gz` is read too")
    format: _TraceFormat = Field(default="azure", description="Azure CSV, Mooncake JSONL, BurstGPT CSV, or one of yours")


class PrefixTable(Table):
    """How the prompts of a workload begin alike (`workloads.prefixes`)."""

    tokens: int = Field(ge=1, description="length of the common beginning")
    groups: int = Field(default=1, ge=1, le=100_000, description="how many different beginnings there are")
    skew: float = Field(default=0.0, ge=0, description="Zipf exponent of their popularity; 0: all alike")
    share: Fraction = Field(default=1.0, gt=0, description="fraction of the jobs (conversations) that begin with one")
    included: bool = Field(default=False, description="whether lengths count it already; else it comes before the drawn prompt")
    name: Name | None = Field(default=None, description="workloads that give the same name begin alike; absent: this one's own")

    def built(self) -> Prefixes:
        """The process of these figures."""
        from edgewright.workloads.prefixes import Prefixes

        return Prefixes(**{**self.model_dump(), "name": self.name or ""})


class WorkloadTable(Table):
    """A stream of jobs to one service. Arrival times come from a process or a trace, lengths from a distribution or the same trace."""

    service: Name = Field(description="the service that is asked")
    entry: Name | None = Field(
        default=None, description="device or entry point where jobs enter and results leave; absent: at the replica itself"
    )
    arrivals: Arrivals | None = Field(default=None, description="when jobs arrive")
    lengths: TokenLengths | None = Field(default=None, description="tokens of prompts and outputs")
    trace: TraceTable | None = Field(default=None, description="arrivals and lengths from a file")
    prefix: PrefixTable | None = Field(default=None, description="how prompts begin alike, so that their beginnings can be cached")
    thin: Fraction = Field(
        default=1.0, gt=0, description="fraction of the arrivals that is kept, by draws of their own: a larger one keeps the same and more"
    )
    priority: int = Field(default=0, description="larger goes first where a policy looks at it")
    deadline: Seconds | None = Field(default=None, gt=0, description="seconds from arrival in which the result is due")
    bytes: Bytes | None = Field(default=None, description="bytes of one input, for services that do not generate")
    bytes_per_token: float = Field(default=4.0, ge=0, description="bytes of text per token, in and out")

    @model_validator(mode="after")
    def _one_source(self) -> WorkloadTable:
        if (self.arrivals is None) == (self.trace is None):
            raise refusal("has both `arrivals` and `trace`, or neither", "one of the two", at=("arrivals",), value=self.arrivals)
        inner = getattr(self.arrivals, "thin", None)
        if inner not in (None, 1.0):
            raise refusal("stands inside `arrivals`", "`thin` beside `arrivals`, in the workload", at=("arrivals", "thin"), value=inner)
        if self.thin < 1.0 and self.arrivals is not None and inner is None:
            raise refusal("thins arrivals that wait for answers", "fewer users instead", at=("thin",), value=self.thin)
        if self.trace is not None and self.lengths is not None:
            raise refusal(
                "gives lengths besides a trace, which has its own", "`trace` without `lengths`", at=("lengths",), value=self.lengths
            )
        return self
