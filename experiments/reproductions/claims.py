"""A published system: what it claims, what its authors leave open, and how the simulator answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from edgewright.experiments.reproductions.running import Outcomes
    from edgewright.experiments.reproductions.verdicts import Row

__all__ = ["Assumption", "Claim", "Kind", "System", "Value"]

Value: TypeAlias = float | tuple[float, ...] | bool | None
"""What is simulated for a claim: a number, several, whether an order holds, or None for a claim that these assumptions do not touch."""

Kind: TypeAlias = Literal["points", "range", "order"]
"""`points`: one figure or several, compared one by one. `range`: the least and the greatest over cases. `order`: a statement that holds
or not."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One published claim, with its source.

    `metric`, `unit`, `versus` (the baseline), `conditions` and `source` are as published; `source` says how good the figure is (paper
    page, abstract, read off a figure, third-party, memory). `published` is None for an order. `unsimulated` says why the simulator
    cannot speak to a claim, which then is listed and not run; `note` says what is understood of the verdict.
    """

    id: str
    metric: str
    unit: str
    published: float | tuple[float, ...] | None
    versus: str
    conditions: str
    source: str
    kind: Kind = "points"
    unsimulated: str | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.unsimulated is None and (self.published is None) != (self.kind == "order"):
            raise ValueError(f"claim {self.id!r}: an order has no published figure, everything else has one")
        if self.unsimulated is None and self.kind == "range" and (not isinstance(self.published, tuple) or len(self.published) != 2):
            raise ValueError(f"claim {self.id!r}: a range is published as its least and greatest figure")

    def check(self, value: Value) -> None:
        """Raises `ValueError` for a value that does not have the form of this claim."""
        if value is None:
            return
        if self.kind == "order":
            fits = isinstance(value, bool)
        elif isinstance(self.published, tuple):
            fits = isinstance(value, tuple) and len(value) == len(self.published)
        else:
            fits = isinstance(value, int | float) and not isinstance(value, bool)
        if not fits:
            raise ValueError(f"claim {self.id!r} ({self.kind}, published {self.published}) cannot be answered by {value!r}")


@dataclass(frozen=True, slots=True)
class Assumption:
    """What the publication does not say: its value here, and others that are as plausible. `why` says where they come from."""

    name: str
    default: Any
    others: tuple[Any, ...]
    why: str

    def __post_init__(self) -> None:
        if not self.others or self.default in self.others:
            raise ValueError(f"assumption {self.name!r} needs alternatives that differ from its default")


@dataclass(frozen=True, slots=True)
class System:
    """A published system and its baselines in the simulator.

    `run(assumed)` simulates all claims under a value for every assumption, and returns a `Value` per claim id; it is deterministic.
    `picture(rows, outcomes)` draws the main figure, published beside simulated. `measure(folder)`, where there is one, times real
    kernels on this machine and stores the rows in the folder.
    """

    name: str
    title: str
    source: str
    claims: tuple[Claim, ...]
    assumptions: tuple[Assumption, ...]
    run: Callable[[Mapping[str, Any]], Mapping[str, Value]]
    picture: Callable[[list[Row], Outcomes], Figure]
    measure: Callable[[Path], None] | None = None

    def __post_init__(self) -> None:
        for what, found in (("claim", [each.id for each in self.claims]), ("assumption", [each.name for each in self.assumptions])):
            if len(set(found)) != len(found):
                raise ValueError(f"{self.name}: a {what} is listed twice")

    @property
    def defaults(self) -> dict[str, Any]:
        """The value of every assumption where nothing is varied."""
        return {each.name: each.default for each in self.assumptions}

    def variants(self) -> list[tuple[str, Any]]:
        """Every alternative of every assumption; each is simulated with all others at their defaults."""
        return [(each.name, other) for each in self.assumptions for other in each.others]

    def simulate(self, **assumed: Any) -> dict[str, Value]:
        """Values of the simulated claims under these assumptions, the others at their defaults.

        Raises `ValueError` for an assumption that does not exist, a claim left out, one that is not simulated, and a value of the wrong
        form.
        """
        if unknown := set(assumed) - set(self.defaults):
            raise ValueError(f"{self.name} assumes {sorted(self.defaults)}, not {sorted(unknown)}")
        found = dict(self.run({**self.defaults, **assumed}))
        simulated = {claim.id: claim for claim in self.claims if claim.unsimulated is None}
        if set(found) != set(simulated):
            raise ValueError(f"{self.name}: simulated {sorted(found)}, claims are {sorted(simulated)}")
        for name, claim in simulated.items():
            claim.check(found[name])
        return found
