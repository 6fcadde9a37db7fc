"""The one error of a bad scenario, and where in which file it was made.

`refusal` is what validators raise inside pydantic; `translate` turns pydantic's report into a `ScenarioError`; checks that run after
validation ask the scenario's `Origin` for theirs.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

__all__ = ["ABSENT", "Key", "Origin", "Place", "ScenarioError", "choices", "dotted", "refusal", "shown", "spoken", "translate"]

Key: TypeAlias = "tuple[str | int, ...]"
"""Where a value stands in a scenario: names of tables, and positions in lists."""

_SHOWN = 12

ABSENT: Final = object()
"""Instead of a value: there is none, or the problem quotes it."""

_INPUT: Final = object()

_KINDS = {
    "a valid dictionary": "a table of `key: value` lines",
    "a valid integer": "a whole number",
    "a valid list": "a list",
    "a valid tuple": "a list",
    "a valid number": "a number",
    "a valid string": "a text",
    "a valid boolean": "true or false",
}
"""What is expected, in the words of people who write YAML."""


class ScenarioError(ValueError):
    """A scenario that cannot be run, with everything needed to repair it.

    Attributes:
        file: the scenario file as the user named it, or `<python>` for one built in code.
        line: line of the value in that file, counted from 1; None if the value is not written in a file.
        key: dotted key of the value; empty if the file as a whole is wrong.
        problem: what is wrong with it, the value included.
        accepted: what would be accepted.
    """

    def __init__(self, file: str, key: str, problem: str, accepted: str, line: int | None = None) -> None:
        self.file, self.key, self.problem, self.accepted, self.line = file, key, problem, accepted, line
        place = file if line is None else f"{file}:{line}"
        about = f" {key}:" if key else ""
        super().__init__(f"{place}:{about} {problem}; accepted: {accepted}")


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file, counted from 1."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a scenario comes from.

    Attributes:
        file: the name for error messages of values that no line holds.
        base: directory that relative paths in the scenario start from.
        places: the line of each value that was read from a file.
    """

    file: str = "<python>"
    base: Path = field(default_factory=Path.cwd)
    places: Mapping[Key, Place] = field(default_factory=dict)

    def error(self, key: Key, problem: str, accepted: str, value: object = ABSENT) -> ScenarioError:
        """The error for the value at `key`; it names the line of the value, or of the nearest table around it."""
        place = self._place(key)
        text = problem if value is ABSENT or repr(value) in problem else f"{shown(value)} {problem}"
        return ScenarioError(place.file if place else self.file, dotted(key), text, accepted, place.line if place else None)

    def _place(self, key: Key) -> Place | None:
        for length in range(len(key), -1, -1):
            if key[:length] in self.places:
                return self.places[key[:length]]
        return None


def dotted(key: Key) -> str:
    """`cluster.links.0.between`: a key as people write it."""
    return ".".join(str(part) for part in key)


def choices(given: object, valid: Collection[str], listed_by: str = "") -> str:
    """What is accepted where a name was expected: the valid names (the nearest few of a long list) and the nearest to `given`.

    `listed_by` is the command that lists them all, named when the list is cut.
    """
    names = sorted(valid)
    near = get_close_matches(str(given), names, n=_SHOWN, cutoff=0.3)
    hint = f"; did you mean {near[0]!r}?" if near and get_close_matches(str(given), names, n=1) else ""
    if len(names) <= _SHOWN:
        return (", ".join(names) or "none is defined") + hint
    some = ", ".join(near or names[:_SHOWN])
    return f"one of {len(names)} names such as {some}" + (f" (`{listed_by}` lists them)" if listed_by else "") + hint


def refusal(problem: str, accepted: str, *, at: Key = (), value: object = _INPUT) -> PydanticCustomError:
    """The error that a validator raises for the value it was given, or for `value`, which stands `at` that key below it."""
    details: dict[str, Any] = {"problem": problem, "accepted": accepted, "at": at, "given": value}
    return PydanticCustomError("scenario", "{problem}; accepted: {accepted}", details)


def translate(report: ValidationError, origin: Origin, unwritten: Collection[str] = ()) -> ScenarioError:
    """The first error of pydantic's report, in terms of the file that was read, which holds no key of the `unwritten`."""
    return _translated(report.errors(include_url=False)[0], origin, unwritten)


def _translated(error: ErrorDetails, origin: Origin, unwritten: Collection[str]) -> ScenarioError:
    key = tuple(part for part in error["loc"] if part != "[key]" and part not in unwritten)
    context = error.get("ctx", {})
    match error["type"]:
        case "scenario":
            value = error["input"] if context["given"] is _INPUT else context["given"]
            return origin.error(key + context["at"], context["problem"], context["accepted"], value)
        case "missing":
            return origin.error(key, "is missing", "a value: this key is required")
        case "value_error" if isinstance(context["error"], ScenarioError):
            return context["error"]
        case "value_error":
            value = ABSENT if isinstance(error["input"], Mapping) else error["input"]
            return origin.error(key, *spoken(str(context["error"])), value)
        case "literal_error" if names := re.findall(r"'([^']*)'", context["expected"]):
            return origin.error(key, "is refused", choices(error["input"], names), error["input"])
        case _:
            return origin.error(key, "is refused", _expectation(error["msg"]), error["input"])


def spoken(message: str, otherwise: str = "a value for which this does not hold") -> tuple[str, str]:
    """What is wrong and what is accepted (`otherwise`, where it does not say), of the message of an error that a house below raised."""
    problem, *accepted = re.split(r"[;:] (?:expected|accepted (?:are|is)|accepted:) ", message, maxsplit=1)
    return problem, accepted[0] if accepted else otherwise


def _expectation(message: str) -> str:
    """Pydantic's `Input should be a valid integer, unable to parse ...`, less what the sentence says already."""
    expected = message.removeprefix("Input should be ").removeprefix("Value error, ").split(", unable to parse")[0]
    return _KINDS.get(expected, expected)


def shown(value: object) -> str:
    """A value as messages quote it: cut if it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
