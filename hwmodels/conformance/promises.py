"""How the suites speak: a broken promise is an `AssertionError` that names its subject, the promise and what happened instead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["require", "situation"]


def require(condition: object, message: str) -> None:
    """Raise `AssertionError(message)` unless the condition holds (also under `python -O`)."""
    if not condition:
        raise AssertionError(message)


@contextmanager
def situation(subject: object, what: str) -> Iterator[None]:
    """Put the subject and the situation in front of the message of any promise broken inside."""
    try:
        yield
    except AssertionError as broken:
        raise AssertionError(f"{subject!r}, {what}: {broken}") from None
