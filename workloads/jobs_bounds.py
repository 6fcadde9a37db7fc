"""Types of the numbers that demand is described with, for pydantic at the boundary: SI floats that people may write with units.

Imports neither pydantic nor pint: the annotations are read when a scenario is.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from annotated_types import Ge, Interval

from edgewright.hwmodels.units import Measured

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = ["Count", "Duration", "NonNegative", "Portion", "Positive", "Rate", "RateOrNone", "Share", "Tagged", "Tokens"]

Positive: TypeAlias = Annotated[float, Interval(gt=0.0, lt=inf)]
"""A finite number above zero."""

NonNegative: TypeAlias = Annotated[float, Interval(ge=0.0, lt=inf)]
"""A finite number, zero allowed."""

Rate: TypeAlias = Annotated[float, Interval(gt=0.0, lt=inf), Measured("1/second")]
"""Events per second, above zero: `2`, `3.5 /s`, `200 /min`."""

RateOrNone: TypeAlias = Annotated[float, Interval(ge=0.0, lt=inf), Measured("1/second")]
"""Events per second, zero allowed."""

Duration: TypeAlias = Annotated[float, Interval(gt=0.0, lt=inf), Measured("second")]
"""Seconds, above zero: `40 ms`, `2 min`."""

Portion: TypeAlias = Annotated[float, Interval(gt=0.0, le=1.0), Measured("")]
"""A part of a whole that is not empty: `0.5`, `50 %`."""

Share: TypeAlias = Annotated[float, Interval(ge=0.0, le=1.0), Measured("")]
"""A part of a whole, from none to all."""

Count: TypeAlias = Annotated[int, Ge(1)]
"""A whole number from 1."""

Tokens: TypeAlias = Annotated[int, Ge(0)]
"""A whole number of tokens, zero allowed."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """Pydantic annotation of a union: the field `tag` of the input tells which member it is, so that errors name that member's fields."""

    tag: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic import Field

        return handler.generate_schema(Annotated[source, Field(discriminator=self.tag)])
