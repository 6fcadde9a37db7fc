"""Checks that policies make of their own hyper-parameters, so that a bad one is refused wherever the policy is built.

Scenario files are checked for types and units before; these checks hold for policies built in Python as well.
"""

from __future__ import annotations

from itertools import pairwise

__all__ = ["at_least", "ordered", "within"]


def at_least(policy: object, **bounds: float) -> None:
    """Require `policy.name >= bound` for each `name=bound`; None passes. Raises `ValueError` naming the hyper-parameter and its value."""
    for name, low in bounds.items():
        value = getattr(policy, name)
        if value is not None and not value >= low:
            raise ValueError(f"{name}: {value!r} is not accepted; accepted are numbers from {low:g} up")


def within(policy: object, low: float, high: float, *names: str) -> None:
    """Require `low <= policy.name <= high` for each name; None passes. Raises `ValueError` naming the hyper-parameter and its value."""
    for name in names:
        value = getattr(policy, name)
        if value is not None and not low <= value <= high:
            raise ValueError(f"{name}: {value!r} is not accepted; accepted are numbers from {low:g} to {high:g}")


def ordered(policy: object, *names: str) -> None:
    """Require the named hyper-parameters not to fall from left to right. Raises `ValueError` naming the pair that does."""
    for left, right in pairwise(names):
        low, high = getattr(policy, left), getattr(policy, right)
        if not low <= high:
            raise ValueError(f"{left}: {low!r} is not accepted; accepted are numbers up to {right} = {high!r}")
