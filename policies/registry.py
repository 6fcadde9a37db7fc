"""Policies by name: `@register("kv", "sliding_window")` on a frozen dataclass makes it a choice of the family `kv`.

Third parties add theirs through the entry-point group `edgewright.policies` (each entry point loads a module that registers), with a
file (`plugins.py`), or for as long as a block runs (`registered`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar

__all__ = ["DuplicatePolicy", "UnknownPolicy", "family_names", "lookup", "policies_of", "register", "registered"]

PolicyClass = TypeVar("PolicyClass", bound=type)
_REGISTRY: dict[str, dict[str, type]] = {}


class UnknownPolicy(ValueError):
    """No policy of that name (or no such family); the message lists the valid ones and the nearest."""


class DuplicatePolicy(ValueError):
    """A second policy of the same family and name."""


def register(family: str, name: str) -> Callable[[PolicyClass], PolicyClass]:
    """Class decorator: make the policy class a choice of `family` under `name`. A duplicate name is an error."""

    def add(policy: PolicyClass) -> PolicyClass:
        names = _REGISTRY.setdefault(family, {})
        if name in names:
            raise DuplicatePolicy(f"{family} policy {name!r} is already registered by {names[name].__module__}")
        names[name] = policy
        return policy

    return add


@contextmanager
def registered(family: str, name: str, policy: PolicyClass) -> Iterator[PolicyClass]:
    """The policy class as a choice of `family` under `name` for as long as the block runs: for tests, notebooks, agents that learn."""
    register(family, name)(policy)
    try:
        yield policy
    finally:
        del _REGISTRY[family][name]


def lookup(family: str, name: str) -> type[Any]:
    """The policy class of that family and name; raises `UnknownPolicy`."""
    found: type[Any] = _one_of(policies_of(family), name, f"{family} policy")
    return found


def policies_of(family: str) -> Mapping[str, type[Any]]:
    """All policies of a family by name, sorted; raises `UnknownPolicy` for an unknown family."""
    _load_all()
    found = _one_of(_REGISTRY, family, "policy family")
    return MappingProxyType(dict(sorted(found.items())))


def family_names() -> tuple[str, ...]:
    """The names of all families, sorted."""
    _load_all()
    return tuple(sorted(_REGISTRY))


def _one_of(choices: Mapping[str, Any], name: str, what: str) -> Any:
    if name in choices:
        return choices[name]
    near = get_close_matches(name, choices, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UnknownPolicy(f"unknown {what} {name!r}: accepted are {', '.join(sorted(choices))}{hint}")


@cache
def _load_all() -> None:
    from importlib.metadata import entry_points

    import edgewright.policies.builtin  # noqa: F401

    for entry in entry_points(group="edgewright.policies"):
        entry.load()
