"""What the suites ask of every policy, whatever its family; and how `check_policy` finds the suite."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from edgewright.policies.batching import Continuous
from edgewright.policies.conformance import check_policy
from edgewright.policies.conformance.battery import SUITES
from edgewright.policies.conformance.hyperparameters import check_hyperparameters
from edgewright.policies.registry import family_names
from edgewright.policies.routing import FirstFit


@dataclass(unsafe_hash=True)
class Thawed:
    size: int = 1


@dataclass(frozen=True)
class Unstorable:
    size: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", self.size + 1)


@dataclass(frozen=True)
class Unhashable:
    sizes: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Unpicklable:
    rule: Any = field(default_factory=lambda: lambda: None)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (object(), "not an instance of a dataclass"),
        (Continuous, "not an instance of a dataclass"),
        (Unstorable(), "it is another policy"),
        (Thawed(), "size can be assigned"),
        (Unhashable(), "it cannot be hashed"),
        (Unpicklable(), "it cannot be pickled"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_broken_values_are_rejected(policy: object, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_hyperparameters(policy)


def test_the_suite_is_found_by_registration_or_named() -> None:
    check_policy(FirstFit())
    check_policy(FirstFit(), family="routing")
    with pytest.raises(ValueError, match="no conformance suite for the family 'cooking': accepted are batching"):
        check_policy(FirstFit(), family="cooking")
    with pytest.raises(ValueError, match="pass family="):
        check_policy(Thawed())


def test_every_family_has_a_suite() -> None:
    assert set(family_names()) == set(SUITES)
