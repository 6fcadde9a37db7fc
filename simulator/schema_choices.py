"""Choices by name: a scenario names a policy or a process, and its parameters beside it; what is read is the built value itself.

`kv: full`, or `kv: {policy: sliding_window, window: 2048}`: the class is looked up in its registry, the parameters are validated by
the annotations of its dataclass, and the field of the scenario *is* the policy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import Field
from pydantic_core import PydanticCustomError, core_schema

from edgewright.simulator.errors import ABSENT, Key, choices, refusal, spoken

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import ErrorDetails

__all__ = ["Choice", "PolicyChoice", "ProcessChoice", "chosen"]


@dataclass(frozen=True, slots=True)
class Choice:
    """Pydantic metadata: the annotated field holds an instance of one of the registered frozen dataclasses.

    Attributes:
        tag: the key that names the class (`policy`, `process`, ...).
        what: what is chosen, for messages (`kv policy`).
        classes: the classes by name; called when a value is read, not when the package is imported.
        listed_by: the command that lists the names.
    """

    tag: str
    what: str
    classes: Callable[[], Mapping[str, Any]]
    listed_by: str = ""

    def build(self, given: object) -> Any:
        """The instance that a name, or a table with the name under `tag`, describes; an instance of a registered class passes."""
        if any(type(given) is choice for choice in self.classes().values()):
            return given
        table = {self.tag: given} if isinstance(given, str) else given
        if not isinstance(table, Mapping) or not isinstance(table.get(self.tag), str):
            raise refusal(f"is no {self.what}", f"a name, or a table whose key `{self.tag}` holds one: {choices(given, self.classes())}")
        return self._built(table[self.tag], {key: value for key, value in table.items() if key != self.tag})

    def described(self, value: Any) -> dict[str, Any]:
        """The table that `build` would read as `value`."""
        name = next(name for name, choice in self.classes().items() if type(value) is choice)
        return {self.tag: name, **_adapter(self.classes()[name]).dump_python(value, mode="json")}

    def _built(self, name: str, parameters: dict[str, Any]) -> Any:
        classes = self.classes()
        if name not in classes:
            raise refusal(f"is no {self.what}", choices(name, classes, self.listed_by), at=(self.tag,), value=name)
        known = (
            [field.name for field in fields(classes[name]) if field.init and field.name != self.tag] if is_dataclass(classes[name]) else []
        )
        for key, value in parameters.items():
            if key not in known:
                raise refusal(f"is no parameter of the {self.what} {name!r}", choices(key, known), at=(key,), value=value)
        return _validated(classes[name], parameters)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.build, serialization=core_schema.plain_serializer_function_ser_schema(self.described)
        )

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        choices = self.classes()
        tables = (self._table(name, handler.resolve_ref_schema(handler(_adapter(choices[name]).core_schema))) for name in sorted(choices))
        return {"anyOf": [{"enum": sorted(choices)}, *tables], "description": self.what}

    def _table(self, name: str, schema: JsonSchemaValue) -> JsonSchemaValue:
        """The JSON schema of a class's parameters, with the key that names the class."""
        properties = {**schema.get("properties", {}), self.tag: {"const": name}}
        required = sorted({self.tag, *schema.get("required", [])})
        return {**schema, "properties": properties, "required": required, "additionalProperties": False}


def PolicyChoice(family: str) -> Choice:
    """A policy of `family`, as registered in `edgewright.policies.registry`."""

    def classes() -> Mapping[str, Any]:
        from edgewright.policies.registry import policies_of

        return policies_of(family)

    return Choice("policy", f"{family} policy", classes, f"edgewright policies {family}")


def ProcessChoice(tag: str, what: str, classes: Callable[[], Mapping[str, Any]]) -> Choice:
    """A process of `edgewright.workloads`, named under `tag`."""
    return Choice(tag, what, classes)


def chosen(name: str, description: str) -> Any:
    """The field of a choice that defaults to the class of that name, built with its own defaults."""
    return Field(default=name, description=description)


@cache
def _adapter(choice: Any) -> TypeAdapter[Any]:
    """Pydantic's reader of one registered class."""
    from pydantic import TypeAdapter

    return TypeAdapter(choice)


def _validated(choice: Any, parameters: dict[str, Any]) -> Any:
    from pydantic import ValidationError

    try:
        return _adapter(choice).validate_python(parameters)
    except ValidationError as report:
        raise _refused(choice, report.errors(include_url=False)[0], parameters) from None


def _refused(choice: Any, error: ErrorDetails, parameters: dict[str, Any]) -> PydanticCustomError:
    """The refusal of a parameter; a class that checks its own parameters begins its message with the name of the bad one."""
    at = _written(error["loc"], parameters)
    if error["type"] == "missing":
        return refusal("is missing", "a value: this parameter is required", at=at, value=ABSENT)
    if error["type"] == "unexpected_keyword_argument":
        return refusal("is no key here", choices(at[-1], _inner_keys(choice, error["loc"])), at=at, value=error["input"])
    if error["type"] != "value_error":
        return refusal("is refused", error["msg"].removeprefix("Input should be "), at=at, value=error["input"])
    name, colon, rest = str(error["ctx"]["error"]).partition(": ")
    if not at and colon and name in parameters:
        return refusal(*spoken(rest), at=(name,), value=parameters[name])
    return refusal(*spoken(str(error["ctx"]["error"])), at=at, value=error["input"])


def _written(key: Key, parameters: Any) -> Key:
    """A key of pydantic's less the names of union members in it, which the scenario does not hold as keys."""
    found: list[str | int] = []
    for index, part in enumerate(key):
        inner = isinstance(parameters, Mapping) and part in parameters
        if inner or index == len(key) - 1 or isinstance(part, int):
            found.append(part)
            parameters = parameters[part] if inner or isinstance(parameters, list) else None
    return tuple(found)


def _inner_keys(choice: Any, key: Key) -> list[str]:
    """What a parameter that is a table of its own may hold, by the name of its kind in pydantic's key."""
    for table in _adapter(choice).json_schema().get("$defs", {}).values():
        properties = table.get("properties", {})
        if any(each.get("const") in key for each in properties.values() if "const" in each):
            return sorted(properties)
    return []
