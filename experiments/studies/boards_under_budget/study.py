"""How many boards run at full speed under the budget of a PoE switch, what caps make of more, and how large a panel a board needs.

Against two rules of thumb: watts of the port's class per board, and the board's rated watts per board. A switch that is asked for more than
its budget leaves ports dark, so that one board too many adds nothing; caps slow all of them down instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor
from typing import TYPE_CHECKING

from edgewright.experiments.studies.drawing import band, threshold
from edgewright.experiments.studies.reading import Span, by_replicate, least
from edgewright.experiments.studies.study import Level, Part, Rows, Study
from edgewright.hwmodels.breakers import PORT_CLASSES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["STUDY"]

_COUNT, _BUDGET, _POLICY = "cluster.devices.board.count", "power.box.budget", "power.box.policy"
_BUDGETS = (65, 130)
_BOARDS: Mapping[Level, Sequence[Level]] = {"none": (1, 4, 5, 6, 7, 8), "static_cap": (6, 8, 10, 12), "two_thresholds": (6, 8, 10, 12)}
_MORE = (11, 12, 13, 14, 15, 16)
_FULL = 0.95
_RATED, _EFFICIENCY = 12.0, 0.85
_POLICIES: dict[Level, Mapping[str, object]] = {
    "none": {_POLICY: "none"},
    "static_cap": {_POLICY: "static_cap"},
    "two_thresholds": {_POLICY: "two_thresholds"},
}
_PANELS: Mapping[tuple[Level, Level], Sequence[Level]] = {
    ("June", "none"): (40, 60),
    ("March", "none"): (80, 120),
    ("December", "none"): (320, 480, 640),
    ("December", "saver"): (160, 240, 320),
}
_SEASONS = {"December": 355, "March": 80, "June": 172}
_SAVER = {"policy": "charge_saver", "low": 0.5, "critical": 0.01, "clock": 0.625, "sleepers": -1}
_CLEARNESS, _LATITUDE, _BATTERY = 0.5, 48, 250


def _kept(budget: Level, policy: Level, boards: Level) -> bool:
    return boards in _BOARDS[policy] if budget == 65 else policy == "none" and boards in _MORE


def _full(rows: Rows, budget: int) -> Span:
    """The most boards that give that many times the tokens of one, within 5 %, as all fewer of those tried do; all tried, if all do."""
    own = rows["switch"]
    one = by_replicate(own, "tokens_per_s", "boards", budget=65, policy="none")[1]
    found = by_replicate(own, "tokens_per_s", "boards", budget=budget, policy="none")
    counts = [float(count) for count in found.columns]
    slow = found.apply(lambda column: (column < _FULL * int(column.name) * one).astype(int))
    first = least(counts, slow.cummax(axis=1))
    return Span.of(min(each - 1, counts[-1]) for each in first)


def _watts(rows: Rows) -> Span:
    """At the port, of a board at work."""
    own = rows["switch"]
    return Span.of(by_replicate(own, "box.peak_power_W", "boards", budget=65, policy="none")[1])


def _panel(rows: Rows, season: str, policy: str = "none") -> Span:
    """The least of the panels tried from which on a board never goes dark."""
    found = by_replicate(rows["sun"], "box.power_losses", "panel (W)", season=season, policy=policy)
    return Span.of(least([float(panel) for panel in found.columns], found == 0))


def _best(rows: Rows, policy: str) -> tuple[int, Span]:
    """The number of boards with the most tokens per second under 65 W, and how many times the most without a policy those are."""
    found = by_replicate(rows["switch"], "tokens_per_s", "boards", budget=65, policy=policy)
    free = by_replicate(rows["switch"], "tokens_per_s", "boards", budget=65, policy="none")
    medians = {count: Span.of(found[count]).middle for count in found.columns}
    best = max(medians, key=lambda count: medians[count])
    return int(str(best)), Span.of(found[best] / free.max(axis=1))


def _answer(rows: Rows) -> Sequence[str]:
    rated = _RATED / _EFFICIENCY
    by_class, by_rating = floor(_BUDGETS[0] / PORT_CLASSES[4]), floor(_BUDGETS[0] / rated)
    panels = "; ".join(f"{season}: {_panel(rows, season)} W" for season in _SEASONS)
    caps = {policy: _best(rows, policy) for policy in ("static_cap", "two_thresholds")}
    return [
        f"A switch of {_BUDGETS[0]} W feeds {_full(rows, 65)} Raspberry Pi 5 at full speed, and one of {_BUDGETS[1]} W {_full(rows, 130)}"
        f" (of up to {_BOARDS['none'][-1]} and {_MORE[-1]} tried): count {_watts(rows)} W per busy board at the port, neither the"
        f" {PORT_CLASSES[4]:g} W of its class (which lets in {by_class}) nor its rated {rated:.1f} W ({by_rating}).",
        "One board more than that leaves a port dark, and caps slow all of them down instead: under 65 W, "
        + ", ".join(f"`{policy}` gives most with {count} boards, {ratio} times the best without" for policy, (count, ratio) in caps.items())
        + ", since every board draws its idle power whatever its clock.",
        f"Off the grid, a board that never rests, with a battery of {_BATTERY} Wh at {_LATITUDE} degrees north and {_CLEARNESS:.0%} of a"
        f" clear sky, takes a panel of so many watts that it never goes dark, of those tried: {panels}; slowed down to five eighths of its"
        f" clock below half charge, {_panel(rows, 'December', 'saver')} W in December. Panels and batteries add up: so many boards, so many"
        " times both.",
    ]


def _picture(rows: Rows) -> Figure:
    from edgewright.simulator.plots import PAGE, PALETTE, canvas, picture_style

    with picture_style():
        drawing, (above, below) = canvas(PAGE, 5.4, rows=2, shared=False)
        above.set(xlabel="boards under 65 W", ylabel="times the tokens of one board")
        one = by_replicate(rows["switch"], "tokens_per_s", "boards", budget=65, policy="none")[1]
        for policy, colour, line in zip(_POLICIES, (PALETTE[4], PALETTE[0], PALETTE[2]), ("-", "--", "-."), strict=True):
            found = by_replicate(rows["switch"], "tokens_per_s", "boards", budget=65, policy=policy)
            band(above, found.div(one, axis=0), str(policy), colour, linestyle=line)
        threshold(above, _full(rows, 65), "the most at full speed")
        below.set(xscale="log", xlabel="panel (W) of a board", ylabel="share of three days up")
        for season, colour in zip(_SEASONS, PALETTE, strict=False):
            band(below, by_replicate(rows["sun"], "chat.up", "panel (W)", season=season, policy="none"), season, colour)
        saver = by_replicate(rows["sun"], "chat.up", "panel (W)", season="December", policy="saver")
        band(below, saver, "December, charge_saver", PALETTE[4], linestyle=":")
        ticks = sorted({float(panel) for panels in _PANELS.values() for panel in panels})
        below.set_xticks(ticks, [f"{panel:g}" for panel in ticks])
        below.minorticks_off()
        for axis in (above, below):
            axis.legend()
    return drawing


STUDY = Study(
    name="boards-under-budget",
    question="How many boards fit under the budget of a PoE switch, or under a solar panel?",
    parts={
        "switch": Part(
            factors={
                "budget": {each: {_BUDGET: f"{each} W"} for each in _BUDGETS},
                "policy": _POLICIES,
                "boards": {each: {_COUNT: each} for each in (1, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16)},
            },
            keep=_kept,
            figures={
                "tokens_per_s": "tokens per second",
                "joules_per_token": "J per token",
                "box.mean_power_W": "mean power (W)",
                "box.peak_power_W": "peak power (W)",
            },
        ),
        "sun": Part(
            factors={
                "season": {name: {"power.box.solar.day": day} for name, day in _SEASONS.items()},
                "policy": {"none": {_POLICY: "none"}, "saver": {_POLICY: _SAVER}},
                "panel (W)": {
                    each: {"power.box.solar.peak": f"{each} W"}
                    for each in sorted({int(each) for panels in _PANELS.values() for each in panels})
                },
            },
            keep=lambda season, policy, panel: panel in _PANELS.get((season, policy), ()),
            most=3,
            figures={"chat.up": "share of time up", "box.power_losses": "times dark", "box.min_charge": "least charge"},
            base={
                "run": {"warmup": "0 s", "window": "72 h", "drain": "0 s"},
                "record": {"period": "10 min", "peak": "10 min"},
                _COUNT: 1,
                "power": {
                    "box": {
                        "devices": ["board"],
                        "battery": {"capacity": f"{_BATTERY} Wh", "charge": 0.5, "cutoff": 0.1, "recover": 0.2},
                        "solar": {"peak": "50 W", "latitude": _LATITUDE, "clearness": _CLEARNESS},
                        "balance": "10 min",
                        "telemetry": {"period": "10 min"},
                    }
                },
                "services.chat.failure": {"policy": "retry", "attempts": 10000, "pause": "5 min", "longest": "5 min"},
                "workloads.crowd.arrivals.users": 1,
                "workloads.crowd.lengths": {
                    "lengths": "joint",
                    "prompt": {"shape": "fixed", "value": 60},
                    "output": {"shape": "fixed", "value": 3500},
                },
            },
        ),
    },
    answer=_answer,
    picture=_picture,
    tables={"Under the switch:": "switch", "Under the sun, one board, three replicates:": "sun"},
)
"""The study."""
