"""What all policies have in common: a frozen value of keyword hyper-parameters."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import Any, cast

from edgewright.hwmodels.conformance import require, situation

__all__ = ["check_hyperparameters"]


def check_hyperparameters(policy: object) -> None:
    """Require that the policy is a frozen dataclass, stored as given, equal to and hashed like another built alike, and that it pickles.

    Raises `AssertionError`.
    """
    require(is_dataclass(policy) and not isinstance(policy, type), f"{policy!r} is not an instance of a dataclass")
    with situation(policy, "its hyper-parameters"):
        given = {entry.name: getattr(policy, entry.name) for entry in fields(cast(Any, policy)) if entry.init}
        again = type(policy)(**given)
        require(again == policy, f"built again from {given} it is another policy: {again!r}")
        with _promised("it cannot be hashed"):
            require(hash(again) == hash(policy), "two equal policies have different hashes")
        with _promised("it cannot be pickled"):
            require(pickle.loads(pickle.dumps(policy)) == policy, "another policy comes back from pickle")
        _check_frozen(policy, next(iter(given), None))


@contextmanager
def _promised(otherwise: str) -> Iterator[None]:
    try:
        yield
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        raise AssertionError(f"{otherwise}: {error}") from error


def _check_frozen(policy: object, name: str | None) -> None:
    if name is None:
        return
    try:
        setattr(policy, name, getattr(policy, name))
    except FrozenInstanceError:
        return
    raise AssertionError(f"{name} can be assigned: the dataclass is not frozen")
