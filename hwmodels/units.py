"""Quantities as people write them (`16 GiB`, `100 Mbit/s`, `15 W`, `40 ms`) to the SI floats that everything inside uses.

A plain number is SI already, and so is a number in a string (YAML reads `1e9` as one). Units are pint's: prefixes count (`GB` is 1e9
bytes, `GiB` 2^30), and so does case (`mW`, `MW`); `b` is a bit and `B` a byte. `pint` is imported when a unit is first seen
that is not among the usual ones.

The types are for pydantic models and dataclasses at the boundary: a field of type `Bytes` accepts all of this and holds a float.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

if TYPE_CHECKING:
    import pint
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema

__all__ = [
    "UNITS",
    "USUAL",
    "Bytes",
    "BytesPerSecond",
    "Fraction",
    "Hertz",
    "Joules",
    "Measured",
    "PerSecond",
    "Seconds",
    "UnitError",
    "Watts",
    "parse",
]

UNITS: dict[str, str] = {
    "byte": "a size such as `16 GiB` or `30 kB`",
    "byte/second": "a rate such as `100 Mbit/s` or `3.5 GB/s`",
    "second": "a time such as `40 ms` or `2 min`",
    "watt": "a power such as `15 W` or `1.2 kW`",
    "joule": "an energy such as `5 nJ` or `2 Wh`",
    "hertz": "a frequency such as `1.3 GHz`",
    "1/second": "a rate of events such as `3.5 /s` or `200 /min`",
    "": "a fraction such as `0.5` or `50 %`",
}
"""Units that `parse` converts to, and how to write each."""


USUAL: Mapping[str, Mapping[str, float]] = {
    "second": {"s": 1.0, "ms": 0.001, "us": 1e-06, "ns": 1e-09, "min": 60.0, "h": 3600.0, "day": 86400.0},
    "byte": {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "TiB": 2.0**40},
    "byte/second": {
        "B/s": 1.0,
        "kB/s": 1e3,
        "MB/s": 1e6,
        "GB/s": 1e9,
        "MiB/s": 2.0**20,
        "GiB/s": 2.0**30,
        "bit/s": 0.125,
        "kbit/s": 125.0,
        "Mbit/s": 125e3,
        "Gbit/s": 125e6,
        "Mbps": 125e3,
        "Gbps": 125e6,
    },
    "watt": {"W": 1.0, "mW": 0.001, "kW": 1e3, "MW": 1e6},
    "joule": {"J": 1.0, "pJ": 1e-12, "nJ": 1e-09, "uJ": 1e-06, "mJ": 0.001, "kJ": 1e3, "Wh": 3600.0, "kWh": 3.6e6},
    "hertz": {"Hz": 1.0, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9},
    "1/second": {"/s": 1.0, "/min": 1.0 / 60.0, "/h": 1.0 / 3600.0, "Hz": 1.0},
}
"""What pint says of the units that most scenarios are written in (a test compares them): loading it takes half a second."""


_EVENTS = ("hertz", "1/second")
_QUANTITY = re.compile(r"(?P<number>[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?)\s*(?P<unit>%|/?[A-Za-zµμ]+(/[A-Za-z]+)?)", re.ASCII)


class UnitError(ValueError):
    """A quantity that cannot be read; the message names the value and what is accepted."""


def parse(value: object, unit: str) -> float:
    """A quantity in SI.

    Args:
        value: a number (SI), or a string of a number with or without a unit.
        unit: one of `UNITS`, what the quantity must be convertible to; `""` for a fraction, which may be written in per cent.

    Raises:
        UnitError: not a number, a unit of another kind, negative, infinite or NaN, or a fraction above 1.
    """
    number = _number(value, unit)
    if not math.isfinite(number) or number < 0:
        raise _refusal(value, unit, "it must be finite and not negative")
    if not unit and number > 1:
        raise _refusal(value, unit, "it must be between 0 and 1")
    return number


def _number(value: object, unit: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise _refusal(value, unit, f"it is a {type(value).__name__}")
    try:
        return float(value)
    except OverflowError:
        raise _refusal(value, unit, "it is too large") from None
    except ValueError:
        return _with_unit(str(value), unit)


def _with_unit(text: str, unit: str) -> float:
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise _refusal(text, unit, "it is not a number with a unit")
    head, found = float(match["number"]), match["unit"]
    if not unit:
        if found == "%":
            return head / 100.0
        raise _refusal(text, unit, f"a fraction has no unit {found!r}")
    if unit in _EVENTS and not found.startswith("/") and not found.endswith(("Hz", "hertz")):
        raise _refusal(text, unit, f"{found!r} is not a unit of frequency")
    return _converted(text, head, found, unit)


def _converted(text: str, head: float, found: str, unit: str) -> float:
    factor = USUAL.get(unit, {}).get(found)
    if factor is not None:
        return head * factor
    import pint

    try:
        return float(_registry().Quantity(head, _spelled(found)).to(unit).magnitude)
    except pint.DimensionalityError:
        raise _refusal(text, unit, f"{found!r} is a unit of something else{_meant(found, unit)}") from None
    except pint.PintError:
        raise _refusal(text, unit, f"{found!r} is not a unit{_meant(found, unit)}") from None


def _spelled(unit: str) -> str:
    """The unit as pint spells it: with a numerator, bits as `bit` (`Mb/s`, `Mbps`), and `/s` for a trailing `ps` of bits and bytes."""
    unit = re.sub(r"^([kMGT]?[bB])ps$", r"\1/s", unit)
    unit = re.sub(r"^([kKMGT]i?)?b(?=$|/)", lambda match: (match[1] or "") + "bit", unit)
    return "1" + unit if unit.startswith("/") else unit


@cache
def _registry() -> pint.UnitRegistry[Any]:
    import pint

    return pint.UnitRegistry(autoconvert_offset_to_baseunit=False)


def _meant(found: str, unit: str) -> str:
    """The usual units that somebody may have meant."""
    near = get_close_matches(found, USUAL.get(unit, ()), n=2, cutoff=0.5)
    return f", perhaps {' or '.join(near)} is meant" if near else ""


def _refusal(value: object, unit: str, why: str) -> UnitError:
    return UnitError(f"{_shown(value)} is not accepted: {why}; expected {UNITS.get(unit, unit)}, or a plain number{_plain(unit)}")


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python prints
        text = "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:40]}...{text[-10:]}"


def _plain(unit: str) -> str:
    return f" of {unit}" if unit else " from 0 to 1"


@dataclass(frozen=True, slots=True)
class Measured:
    """Pydantic annotation: the field is read by `parse`; its JSON schema accepts a number or a string with a unit."""

    unit: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(lambda value: parse(value, self.unit), handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        description = UNITS[self.unit]
        return {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}], "description": f"{description}; plain numbers are SI"}


Bytes: TypeAlias = Annotated[float, Measured("byte")]
BytesPerSecond: TypeAlias = Annotated[float, Measured("byte/second")]
Seconds: TypeAlias = Annotated[float, Measured("second")]
PerSecond: TypeAlias = Annotated[float, Measured("1/second")]
Watts: TypeAlias = Annotated[float, Measured("watt")]
Joules: TypeAlias = Annotated[float, Measured("joule")]
Hertz: TypeAlias = Annotated[float, Measured("hertz")]
Fraction: TypeAlias = Annotated[float, Measured("")]
