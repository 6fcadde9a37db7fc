"""The ablation: which mechanisms are on, the sweep over them, and what is shown of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from edgewright.experiments.pages import replace_section, save_picture
from edgewright.experiments.sweeps import sweep
from edgewright.simulator import Scenario
from edgewright.simulator.plots import PALETTE, canvas, picture_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["MECHANISMS", "Mechanism", "ablation", "points", "renew"]

_FOLDER = Path(__file__).parent
_REPLICA = "services.answers.replicas.all."


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One mechanism of the composition: the key of the scenario that holds it, and what stands there without it."""

    name: str
    key: str
    without: Any


MECHANISMS = (
    Mechanism("Keyformer", "services.answers.kv", "full"),
    Mechanism("ExFlow", _REPLICA + "experts", "round_robin"),
    Mechanism("TPI-LLM", _REPLICA + "residency", "all_resident"),
    Mechanism("POLCA", "power.shelf.policy", "none"),
)
"""What is composed, in the order of the table."""

_FIGURES = {
    "seconds": "e2e_p99_s",
    "first token, s": "ttft_p50_s",
    "time per token, s": "tpot_p50_s",
    "memory, GB": "board0.ram.peak_B",
    "of it KV, GB": "board0.ram answers.all KV.peak_B",
    "peak of the first 4 s, W": "shelf.peak_power_W",
    "of them over budget": "shelf.over_budget",
}
_JOULES = ("run_idle_J", "run_board_J", "run_static_J", "run_dynamic_J", "run_supply_J")


def points() -> dict[str, frozenset[str]]:
    """The rows of the table: which mechanisms are on in each."""
    names = [each.name for each in MECHANISMS]
    rows = {"all four": frozenset(names), "none": frozenset[str]()}
    rows |= {f"{name} alone": frozenset({name}) for name in names}
    return rows | {f"without {name}": frozenset(names) - {name} for name in names}


def ablation(jobs: int = 1, changes: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
    """A row per point of `points`: its name, and its figures; by a sweep over the mechanisms' keys, with `changes` to the scenario."""
    scenario = Scenario.load(_FOLDER / "scenario.yaml").override(dict(changes or {}))
    own = {mechanism.name: _choice(scenario, mechanism.key) for mechanism in MECHANISMS}
    factors = {
        mechanism.key: [own[mechanism.name] if mechanism.name in on else mechanism.without for on in points().values()]
        for mechanism in MECHANISMS
    }
    with TemporaryDirectory() as folder:
        frame = sweep(scenario, factors, out=Path(folder) / "ablation", design="list", jobs=jobs).frame.sort_values("point")
    rows: list[dict[str, Any]] = []
    for name, (_, row) in zip(points(), frame.iterrows(), strict=True):
        if row["status"] == "failed":
            raise RuntimeError(f"{name}: {row['reason']}")
        figures = {label: float(row[key]) * (1e-9 if label.endswith("GB") else 1.0) for label, key in _FIGURES.items()}
        rows.append({"point": name, **figures, "kJ": sum(float(row[key]) for key in _JOULES) / 1e3})
    return rows


def renew(jobs: int = 1, *, write: bool = True) -> list[dict[str, Any]]:
    """Run the ablation; `write`: renew the README's table, and the picture."""
    rows = ablation(jobs)
    if write:
        replace_section("ablation", _table(rows), _FOLDER / "README.md")
        save_picture(_picture(rows), _FOLDER / "picture.svg")
    return rows


def _choice(scenario: Scenario, key: str) -> Any:
    """What the scenario's file says at a key, where a list of named tables is entered by name."""
    found: Any = scenario.tables()
    for part in key.split("."):
        found = next(each for each in found if each["name"] == part) if isinstance(found, list | tuple) else found[part]
    return found


def _table(rows: list[dict[str, Any]]) -> str:
    labels = [label for label in rows[0] if label != "point"]
    lines = ["| on | " + " | ".join(labels) + " |", "|---|" + "---:|" * len(labels)]
    return "\n".join([*lines, *(f"| {row['point']} | " + " | ".join(f"{row[label]:.3g}" for label in labels) + " |" for row in rows)])


def _picture(rows: list[dict[str, Any]]) -> Figure:
    """Time, memory, energy and peak power of every point, over those of `none`."""
    shown = {"seconds": "time", "memory, GB": "memory", "kJ": "energy", "peak of the first 4 s, W": "peak power"}
    (base,) = (row for row in rows if row["point"] == "none")
    with picture_style():
        drawing, (axes,) = canvas(7.5, 3.6)
        for place, (label, name) in enumerate(shown.items()):
            places = [index + 0.2 * (place - 1.5) for index in range(len(rows))]
            axes.bar(places, [row[label] / base[label] for row in rows], 0.19, label=name, color=PALETTE[place])
        axes.axhline(1.0, color="#888888", linewidth=0.8, linestyle="-")
        axes.set_xticks(range(len(rows)), [row["point"] for row in rows], rotation=35, ha="right")
        axes.set_ylabel("over none of the four")
        axes.grid(visible=False, axis="x")
        axes.legend(ncols=4, fontsize=8)
    return drawing
