"""Scenario files are data: YAML 1.2's core types, each key once, aliases bounded, nothing executed.

PyYAML's safe loader follows YAML 1.1, where `no` is False, `1:30` is 90 and `1e9` is text; here `true` and `false` are the only
booleans, numbers are what JSON calls numbers (and `0x1f`), and all else is text. `extends: NAME` in a file starts from another one
and lays this one over it as a JSON merge patch (RFC 7396): tables merge, null removes, everything else replaces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from edgewright.simulator.errors import Key, Origin, Place, ScenarioError, choices

__all__ = ["Document", "merged", "parsed_value", "read_document", "read_table", "scenario_file", "shipped_scenarios"]

_MAX_BYTES = 1 << 20
_MAX_VALUES = 20_000
_SHIPPED = Path(__file__).parent / "scenarios"
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Document:
    """What a scenario file says, `extends` applied.

    Attributes:
        data: plain tables, lists, text, numbers, booleans and nulls.
        origin: the file, its directory, and the line of every value.
    """

    data: Mapping[str, Any]
    origin: Origin


_SPOKEN = {list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}


class _CoreLoader(yaml.SafeLoader):
    """The safe loader, resolving plain scalars by the core schema of YAML 1.2 (section 10.3.2)."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - declared so by the base class


def _resolve(tag: str, pattern: str, first: str) -> None:
    _CoreLoader.add_implicit_resolver(f"{_TAG}{tag}", re.compile(pattern), list(first))


_resolve("null", r"^(?:~|null|Null|NULL|)$", "~nN")
_CoreLoader.add_implicit_resolver(f"{_TAG}null", re.compile(r"^$"), [""])
_resolve("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF")
_resolve("int", r"^(?:[-+]?[0-9]{1,18}|0o[0-7]{1,18}|0x[0-9a-fA-F]{1,15})$", "-+0123456789")
_resolve("float", r"^[-+]?(?:(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$", "-+.0123456789")


def _integer(text: str) -> int:
    return int(text, 0) if text[:2] in ("0x", "0o") else int(text)


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


_SCALARS: Mapping[str, Callable[[str], str | int | float | bool | None]] = {
    "str": str,
    "null": lambda text: None,
    "bool": lambda text: {"true": True, "false": False}[text.lower()],
    "int": _integer,
    "float": _float,
}


def shipped_scenarios() -> tuple[str, ...]:
    """Names of the scenarios that come with the package, sorted."""
    return tuple(sorted(path.stem for path in _SHIPPED.glob("*.yaml")))


def scenario_file(name: str | Path, base: Path | None = None) -> Path:
    """The file of a shipped scenario's name, or the path itself (relative to `base`, by default the working directory).

    Raises `ScenarioError` if it is neither a file nor a shipped name.
    """
    path = (base or Path.cwd()) / name
    if path.is_file():
        return path
    if str(name) in shipped_scenarios():
        return _SHIPPED / f"{name}.yaml"
    what = "is a directory" if path.is_dir() else "is no file, and no shipped scenario has that name"
    raise ScenarioError(str(name), "", what, f"the path of a YAML file, or {choices(name, shipped_scenarios())}")


def read_document(name: str | Path) -> Document:
    """Read a scenario by path or shipped name, with all that it `extends`. Raises `ScenarioError`."""
    return _extended(scenario_file(name), str(name), ())


def read_table(path: str | Path, accepted: str) -> Document:
    """Read a YAML file of tables that is no scenario; `accepted` says what it should hold. Raises `ScenarioError`."""
    if not Path(path).is_file():
        problem = "is a directory" if Path(path).is_dir() else "is no file"
        raise ScenarioError(str(path), "", problem, f"the path of a YAML file with {accepted}")
    return _Reader(Path(path), str(path), accepted=accepted).document()


def parsed_value(text: str, shown: str) -> Any:
    """The value that a text stands for as it would in a scenario file; `shown` is the file in errors. Raises `ScenarioError`."""
    reader = _Reader(Path(), shown)
    root = reader.compose(text)
    return None if root is None else reader.value(root, (), ())


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below` as a JSON merge patch (RFC 7396): tables merge, None removes, everything else replaces."""
    result = dict(below)
    for key, value in above.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            lower = result.get(key)
            result[key] = merged(lower if isinstance(lower, Mapping) else {}, value)
        else:
            result[key] = value
    return result


def _extended(path: Path, shown: str, above: tuple[Path, ...]) -> Document:
    document = _Reader(path, shown).document()
    if "extends" not in document.data:
        return document
    parent, origin = document.data["extends"], document.origin
    if not isinstance(parent, str):
        raise origin.error(("extends",), "is refused", "the path or shipped name of one scenario", parent)
    try:
        source = scenario_file(parent, path.parent)
    except ScenarioError as error:
        raise origin.error(("extends",), error.problem, error.accepted, parent) from None
    if source.resolve() in {*above, path.resolve()}:
        raise origin.error(("extends",), "extends itself, directly or through others", "a scenario that does not lead back here", parent)
    lower = _extended(source, str(source.name), (*above, path.resolve()))
    own = {key: value for key, value in document.data.items() if key != "extends"}
    return Document(merged(lower.data, own), Origin(shown, path.parent, {**lower.origin.places, **origin.places}))


@dataclass(slots=True)
class _Reader:
    """Reads one file into plain values, noting the line of each."""

    path: Path
    shown: str
    places: dict[Key, Place] = field(default_factory=dict)
    values: int = 0
    accepted: str = "the keys `cluster`, `services` and `workloads`"

    def document(self) -> Document:
        root = self.compose(self._text())
        if root is None:
            raise self._error("is empty", f"`key: value` lines with {self.accepted}", 1)
        data = self.value(root, (), ())
        if not isinstance(data, dict):
            raise self._error(f"holds {_SPOKEN.get(type(data), 'a value')}, not a table", f"`key: value` lines with {self.accepted}", 1)
        return Document(data, Origin(self.shown, self.path.parent, self.places))

    def _text(self) -> str:
        try:
            raw = self.path.read_bytes()
        except OSError as error:
            raise self._error(f"cannot be read: {error.strerror}", "a readable file") from None
        if len(raw) > _MAX_BYTES:
            raise self._error(f"has {len(raw)} bytes", f"at most {_MAX_BYTES} bytes")
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            line = raw[: error.start].count(b"\n") + 1
            raise self._error(f"is not UTF-8 text: byte {raw[error.start]:#04x}", "UTF-8 text", line) from None

    def compose(self, text: str) -> yaml.Node | None:
        try:
            return yaml.compose(text, _CoreLoader)
        except RecursionError:
            raise self._error("is nested too deeply", "a few levels of tables and lists") from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            said = " ".join(filter(None, (error.context, error.problem)))
            accepted = "spaces where the tab stands" if r"'\t'" in said else "one YAML document"
            raise self._error(f"is not YAML: {said}", accepted, mark.line + 1 if mark else None) from None
        except yaml.YAMLError as error:
            raise self._error(f"is not YAML: {str(error).splitlines()[0]}", "one YAML document of printable text") from None

    def value(self, node: yaml.Node, key: Key, above: tuple[int, ...]) -> Any:
        self.places[key] = Place(self.shown, node.start_mark.line + 1)
        self.values += 1
        if id(node) in above:
            raise self._error("is an alias of a value that it is part of", "values that end; write the value out", node, key)
        if self.values > _MAX_VALUES:
            raise self._error("has aliases that expand without bound", f"at most {_MAX_VALUES} values, aliases expanded", node, key)
        if not node.tag.startswith(_TAG) or (isinstance(node, yaml.SequenceNode) and node.tag != f"{_TAG}seq"):
            raise self._error(f"has the tag {node.tag}", "plain values without tags", node, key)
        if isinstance(node, yaml.MappingNode):
            return self._table(node, key, (*above, id(node)))
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*key, index), (*above, id(node))) for index, item in enumerate(node.value)]
        return self._scalar(node, key)

    def _table(self, node: yaml.MappingNode, key: Key, above: tuple[int, ...]) -> dict[str, Any]:
        if node.tag != f"{_TAG}map":
            raise self._error(f"has the tag {node.tag}", "plain values without tags", node, key)
        table: dict[str, Any] = {}
        for name_node, value_node in node.value:
            name = self._name(name_node, key)
            if name in table:
                first = self.places[(*key, name)].line
                raise self._error(f"is given twice, first in line {first}", "each key once", name_node, (*key, name))
            table[name] = self.value(value_node, (*key, name), above)
            self.places[(*key, name)] = Place(self.shown, name_node.start_mark.line + 1)
        return table

    def _name(self, node: yaml.Node, key: Key) -> str:
        if not isinstance(node, yaml.ScalarNode) or node.tag != f"{_TAG}str":
            shown = node.value if isinstance(node, yaml.ScalarNode) else "a list or table"
            raise self._error(f"has the key {shown!r}, which is not text", 'text as key: put it in quotes ("...")', node, key)
        if node.value == "<<":
            raise self._error("uses a merge key '<<'", "keys written out, or `extends: FILE`", node, key)
        return str(node.value)

    def _scalar(self, node: yaml.Node, key: Key) -> str | int | float | bool | None:
        try:
            return _SCALARS[node.tag.removeprefix(_TAG)](str(node.value))
        except (KeyError, ValueError):
            raise self._error(f"has the tag {node.tag}", "plain values without tags", node, key) from None

    def _error(self, problem: str, accepted: str, at: yaml.Node | int | None = None, key: Key = ()) -> ScenarioError:
        line = at.start_mark.line + 1 if isinstance(at, yaml.Node) else at
        return ScenarioError(self.shown, ".".join(map(str, key)), problem, accepted, line)
