"""Quantities as people write them, and those that nobody should."""

import math

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from edgewright.hwmodels import units
from edgewright.hwmodels.units import (
    UNITS,
    USUAL,
    Bytes,
    BytesPerSecond,
    Fraction,
    Hertz,
    Joules,
    PerSecond,
    Seconds,
    UnitError,
    Watts,
    parse,
)


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("16 GiB", "byte", 16 * 2**30),
        ("30 kB", "byte", 30e3),
        ("8 Mbit", "byte", 1e6),
        ("8 Mb", "byte", 1e6),
        ("8 Kib", "byte", 1024.0),
        ("1.5GB", "byte", 1.5e9),
        ("100 Mbit/s", "byte/second", 12.5e6),
        ("100Mbps", "byte/second", 12.5e6),
        ("10 GBps", "byte/second", 10e9),
        ("100 Mb/s", "byte/second", 12.5e6),
        ("3.5 GB/s", "byte/second", 3.5e9),
        ("40 ms", "second", 0.04),
        ("3 µs", "second", 3e-6),
        ("2 min", "second", 120.0),
        ("15 W", "watt", 15.0),
        ("250 mW", "watt", 0.25),
        ("1.3 GHz", "hertz", 1.3e9),
        ("5 nJ", "joule", 5e-9),
        ("2 Wh", "joule", 7200.0),
        ("3 /s", "1/second", 3.0),
        ("180 /min", "1/second", 3.0),
        ("3 Hz", "1/second", 3.0),
        ("50 %", "", 0.5),
        ("0.5", "", 0.5),
        ("1e9", "byte", 1e9),
        (" +2e-3 s ", "second", 2e-3),
        (7, "watt", 7.0),
        (0, "byte", 0.0),
    ],
)
def test_what_people_write(text: object, unit: str, value: float) -> None:
    assert parse(text, unit) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("value", "unit", "why"),
    [
        ("15 V", "watt", "'V' is a unit of something else"),
        ("5 MB", "second", "'MB' is a unit of something else"),
        ("5 %", "watt", "'%' is a unit of something else"),
        ("3 nonsense", "byte", "'nonsense' is not a unit"),
        ("60 rpm", "hertz", "'rpm' is not a unit of frequency"),
        ("0.5 W", "", "a fraction has no unit 'W'"),
        ("1.5", "", "between 0 and 1"),
        ("150 %", "", "between 0 and 1"),
        ("-3 W", "watt", "finite and not negative"),
        (-1, "byte", "finite and not negative"),
        ("nan", "watt", "finite and not negative"),
        (math.inf, "second", "finite and not negative"),
        ("1e999 W", "watt", "finite and not negative"),
        pytest.param(10**400, "byte", "too large", id="400 digits"),
        pytest.param(10**5000, "byte", "too large", id="5000 digits"),
        (True, "watt", "a bool"),
        (None, "byte", "a NoneType"),
        ([1], "byte", "a list"),
        ("", "byte", "not a number with a unit"),
        ("lots", "byte", "not a number with a unit"),
        ("16 GiB GiB", "byte", "not a number with a unit"),
        ("9**9**9 W", "watt", "not a number with a unit"),
        ("1 W**99999999", "watt", "not a number with a unit"),
        ("1 __import__('os')", "byte", "not a number with a unit"),
    ],
)
def test_what_is_refused_names_the_value_and_what_is_accepted(value: object, unit: str, why: str) -> None:
    with pytest.raises(UnitError) as refusal:
        parse(value, unit)
    message = str(refusal.value)
    assert why in message
    assert UNITS[unit] in message
    assert len(message) < 300


def test_a_long_value_is_shortened_in_the_message() -> None:
    with pytest.raises(UnitError) as refusal:
        parse("x" * 100_000, "byte")
    assert len(str(refusal.value)) < 300


class Everything(BaseModel):
    """One field of each type."""

    size: Bytes = 0.0
    rate: BytesPerSecond = 0.0
    time: Seconds | None = None
    power: Watts = 0.0
    energy: Joules = 0.0
    clock: Hertz = 0.0
    share: Fraction = 0.0
    arrivals: PerSecond = 0.0


def test_fields_of_a_model_hold_floats() -> None:
    physical = {"size": "1 KiB", "rate": "8 bit/s", "time": "1 ms", "power": "1 kW", "energy": "1 J", "clock": "1 MHz"}
    read = Everything.model_validate(physical | {"share": "5 %", "arrivals": "6 /min"})
    assert list(read.model_dump().values()) == pytest.approx([1024.0, 1.0, 1e-3, 1e3, 1.0, 1e6, 0.05, 0.1])


def test_validation_errors_carry_the_reason() -> None:
    with pytest.raises(ValidationError, match="'3 kg' is not accepted: 'kg' is a unit of something else"):
        TypeAdapter(Bytes).validate_python("3 kg")


def test_schema_accepts_numbers_and_strings() -> None:
    size = Everything.model_json_schema()["properties"]["size"]
    assert size["anyOf"] == [{"type": "number", "minimum": 0}, {"type": "string"}]
    assert "16 GiB" in size["description"]


def test_pint_and_pydantic_wait_until_they_are_needed(run_fresh) -> None:  # type: ignore[no-untyped-def]
    program = """
import sys
from edgewright.hwmodels.units import Bytes, parse
assert parse(5, "byte") == parse("5", "byte") == 5.0 and parse("5 %", "") == 0.05
assert not {"pint", "pydantic", "numpy"} & set(sys.modules), sys.modules.keys()
assert parse("5 kB", "byte") == 5e3 and "pint" not in sys.modules
parse("1 week", "second")
print("pint" in sys.modules)
"""
    assert run_fresh(program) == "True\n"


@pytest.mark.parametrize("unit", USUAL)
def test_the_usual_units_are_what_pint_says(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last bit: `min`, `day` and the like as pint's; `GB/s` and `Mbps` as `parse` spells them for it."""
    ours = {(head, name): parse(f"{head!r} {name}", unit) for name in USUAL[unit] for head in (0.1, 1.0, 3.7, 40.0, 1234.5)}
    monkeypatch.setattr(units, "USUAL", {})
    assert {(head, name): parse(f"{head!r} {name}", unit) for head, name in ours} == ours
