"""A Hugging Face configuration that says which of its keys is missing or wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["BadConfig", "Config"]


class BadConfig(ValueError):
    """A configuration that cannot be read as a model; the message names the key and what is accepted."""


class Config:
    """A mapping of configuration keys with the name of the model they describe. A key set to null counts as missing."""

    __slots__ = ("data", "name")

    def __init__(self, data: Mapping[str, Any], name: str) -> None:
        self.data, self.name = data, name

    def number(self, *keys: str) -> int:
        """The first of these keys that is set, as a positive integer; raises `BadConfig`."""
        for key in keys:
            found = self.data.get(key)
            if found is not None:
                return self._positive(key, found)
        raise BadConfig(f"{self.name}: {' or '.join(keys)} is missing")

    def number_or(self, default: int, *keys: str) -> int:
        """The first of these keys that is set, as a positive integer, or the default."""
        return self.number(*keys) if any(self.data.get(key) is not None for key in keys) else default

    def count_or(self, default: int, key: str) -> int:
        """A key as an integer of zero or more, or the default; raises `BadConfig`."""
        found = self.data.get(key)
        if found is None:
            return default
        if isinstance(found, bool) or not isinstance(found, int) or found < 0:
            raise BadConfig(f"{self.name}: {key} is {found!r}; accepted is 0 or more")
        return found

    def flag(self, key: str, default: bool = False) -> bool:
        """A key as true or false, or the default; raises `BadConfig`."""
        found = self.data.get(key)
        if found is None:
            return default
        if not isinstance(found, bool):
            raise BadConfig(f"{self.name}: {key} is {found!r}; accepted is true or false")
        return found

    def items(self, key: str) -> tuple[Any, ...]:
        """A key as a list, empty where it is missing; raises `BadConfig`."""
        found = self.data.get(key)
        if found is None:
            return ()
        if not isinstance(found, list | tuple):
            raise BadConfig(f"{self.name}: {key} is {found!r}; accepted is a list")
        return tuple(found)

    def _positive(self, key: str, found: Any) -> int:
        if isinstance(found, bool) or not isinstance(found, int) or found <= 0:
            raise BadConfig(f"{self.name}: {key} is {found!r}; accepted is a positive integer")
        return found
