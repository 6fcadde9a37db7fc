"""What every table of a scenario file has in common: no unknown keys, nothing changes after reading, names and paths checked.

The tables themselves: `schema_cluster`, `schema_power`, `schema_services`, `schema_workloads`; the whole is `scenario.Scenario`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints, ValidationInfo, model_validator

from edgewright.hwmodels.units import Seconds
from edgewright.simulator.errors import Key, Origin, choices, refusal

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

__all__ = [
    "InputFile",
    "Known",
    "Name",
    "NamedTable",
    "Record",
    "RunWindow",
    "Slo",
    "Table",
    "input_file",
    "require_distinct",
    "require_known",
]

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$", max_length=64)]
"""A name that the scenario gives: letters, digits, `_` and `-`, so that dotted keys and resource names stay readable."""


def input_file(path: Path, info: ValidationInfo) -> Path:
    """The file that a relative path means (from the scenario's directory), refused if there is none."""
    origin = info.context if isinstance(info.context, Origin) else Origin()
    found = origin.base / path
    if not found.is_file():
        raise refusal("is no file", f"the path of a file, absolute or from {origin.base}", value=str(path))
    return found


InputFile = Annotated[Path, AfterValidator(input_file), PlainSerializer(str, return_type=str)]
"""A file that must exist; relative paths start from the scenario's directory."""


class Table(BaseModel):
    """A table of the scenario: frozen, and every key known."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    raise refusal("is no key here", choices(key, cls.model_fields), at=(key,), value=data[key])
        return data


@dataclass(frozen=True, slots=True)
class Known:
    """Pydantic metadata: names that editors propose for the annotated text, and with `others` do not insist on. It checks nothing itself.

    Attributes:
        names: gives them; called when the JSON schema is made, not when the package is imported.
        others: whether files of the user's may add to them.
    """

    names: Callable[[], Iterable[str]]
    others: bool = False

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        listed = {**handler(schema), "enum": sorted(self.names())}
        return {"anyOf": [listed, {"type": "string"}]} if self.others else listed


class NamedTable(Table):
    """A table of which one value, under `SHORT`, often says all: that value alone is short for the table."""

    SHORT: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, data: Any) -> Any:
        return {cls.SHORT: data} if isinstance(data, str) else data

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        whole = handler(schema)
        named = handler.resolve_ref_schema(whole)["properties"][cls.SHORT]
        text = next(each for each in named.get("anyOf", [named]) if each.get("type") == "string")
        return {"anyOf": [{**text, "description": f"short for the table `{cls.SHORT}: ...`"}, whole]}


class RunWindow(Table):
    """When the run measures: it lasts `warmup + window`, then waits up to `drain` for what is in flight."""

    warmup: Seconds = Field(default=0.0, description="seconds of arrivals before measurement starts")
    window: Seconds = Field(gt=0, description="seconds of measurement; jobs that arrive in it are measured")
    drain: Seconds = Field(default=0.0, description="the most seconds after the window that measured jobs are waited for")

    @property
    def stop(self) -> float:
        """Seconds from the start of the run to the last arrival."""
        return self.warmup + self.window


class Slo(Table):
    """What counts as good: a job meets the SLO if it meets every bound that is given."""

    ttft: Seconds | None = Field(default=None, gt=0, description="seconds to the first token")
    tpot: Seconds | None = Field(default=None, gt=0, description="mean seconds per output token after the first")
    e2e: Seconds | None = Field(default=None, gt=0, description="seconds from arrival to the last token or result")


class Record(Table):
    """How finely the run is recorded; none of it changes what happens."""

    period: Seconds = Field(default=10.0, gt=0, description="seconds per bin of power and utilisation series")
    peak: Seconds = Field(default=1.0, gt=0, description="seconds over which means are taken, the highest of which is a peak")
    operations: int = Field(default=2000, ge=0, description="plan operations kept for the timeline, from the start of the window")


def require_known(name: str, valid: Iterable[str], what: str, at: Key) -> None:
    """Refuse a name that is not among the `valid` ones."""
    names = list(valid)
    if name not in names:
        raise refusal(f"is no {what} of this scenario", choices(name, names), at=at, value=name)


def require_distinct(names: Iterable[tuple[str, Key]], what: str) -> None:
    """Refuse a name that is given twice; each comes with its key."""
    seen: dict[str, Key] = {}
    for name, key in names:
        if name in seen:
            first = ".".join(map(str, seen[name]))
            raise refusal(f"is the name of a second {what}, after {first}", "a name used once", at=key, value=name)
        seen[name] = key
