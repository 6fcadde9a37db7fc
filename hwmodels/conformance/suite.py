"""A suite: checks by name, each a function that raises `AssertionError` if its subject breaks what the function's docstring promises."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Suite"]

Subject = TypeVar("Subject")


@dataclass(frozen=True, eq=False)
class Suite(Generic[Subject]):
    """The checks that everything of one kind passes.

    Attributes:
        of: the kind, for messages: `device`.
        checks: by name, in the order in which they are made.
    """

    of: str
    checks: Mapping[str, Callable[[Subject], None]]

    def promises(self) -> dict[str, str]:
        """What each check requires, in a sentence."""
        return {name: (inspect.getdoc(check) or "").partition("\n\n")[0].replace("\n", " ") for name, check in self.checks.items()}

    def broken(self, subject: Subject) -> dict[str, str]:
        """What happened in each check that fails; empty if the subject conforms. An exception of the subject's own is a failure, too."""
        found: dict[str, str] = {}
        for name, check in self.checks.items():
            try:
                check(subject)
            except AssertionError as broken:
                found[name] = str(broken)
            except Exception as error:
                found[name] = f"raises {type(error).__name__}: {error}"
        return found

    def require(self, subject: Subject, name: str) -> None:
        """Raise `AssertionError`, naming the subject and every check that fails with what happened, unless all hold."""
        if found := self.broken(subject):
            lines = "".join(f"\n  {check}: {what}" for check, what in found.items())
            raise AssertionError(f"{self.of} {name!r} fails {len(found)} of {len(self.checks)} checks:{lines}")
