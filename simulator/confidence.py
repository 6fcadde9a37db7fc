"""How far the figures of a run may be off because its devices are: `result.with_intervals()`, `result.summary(intervals=True)`.

The scenario is run again at every draw of its devices' uncertain figures (`hwmodels.uncertainty`, `draws`), with the same seed: common
random numbers, so that what differs is the devices' doing. The interval of a figure reaches from its least to its greatest value among
n = 2 / (1 - level) - 1 draws (19 for nine in ten), whatever the distribution and however the figures bend: queues that run full, deadlines
that are missed, caches that spill, which propagation to first order would not see. A draw under which the scenario is refused (a power
budget below what the devices then need) leaves every interval unavailable, and the note says so.

An interval need not hold the run's own value: devices that nobody calibrated are mostly slower than their datasheet.

What it covers: the uncertainty of devices and of the software on them. What it does not: chance (`edgewright sweep` with replicates),
links, storages, engine presets, the model of the workload, and whether the scenario is the question. Policies that plan by prices know
the drawn ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, TypeAlias

from edgewright.simulator.tables import empty

if TYPE_CHECKING:
    from edgewright.hwmodels import Spread
    from edgewright.simulator.result import Result
    from edgewright.simulator.scenario import Scenario

__all__ = ["LEVEL", "draws_for", "uncertain_figures", "with_intervals"]

LEVEL = 0.9
"""The share of runs that an interval is to hold, where nobody says."""

_Figures: TypeAlias = "dict[tuple[str, str, str], float]"


def draws_for(level: float) -> int:
    """The draws between whose extremes that share lies; raises `ValueError` for a level that no whole number of draws has."""
    count = round(2.0 / (1.0 - level) - 1.0) if 0.0 < level < 1.0 else 0
    if count < 2 or abs((count - 1) / (count + 1) - level) > 0.01:
        raise ValueError(f"a level of {level!r} has no draws: accepted are 0.5 to 0.99")
    return count


def uncertain_figures(scenario: Scenario) -> dict[str, dict[str, Spread]]:
    """How far which figures of its devices may be off, by group of devices."""
    from edgewright.hwmodels.uncertainty import uncertainties
    from edgewright.simulator.assemble_devices import device_of

    files = scenario.cluster.device_files
    return {name: uncertainties(device_of(group, files), group.software) for name, group in scenario.cluster.devices.items()}


def with_intervals(result: Result, level: float, jobs: int, progress: Callable[[int, int], None]) -> Result:
    """See `Result.with_intervals`."""
    from edgewright.simulator.result import Result
    from edgewright.simulator.scenario import Scenario

    count = draws_for(level)
    given = result.meta["given"]
    scenario = Scenario.of(given)
    runs = [{**given, "cluster": {**given["cluster"], "draw": {"number": number, "of": count}}} for number in range(1, count + 1)]
    found: list[_Figures] = []
    refusals: list[str] = []
    for done, outcome in enumerate(_outcomes(runs, jobs), 1):
        (refusals if isinstance(outcome, str) else found).append(outcome)  # type: ignore[arg-type]
        progress(done, count)
    note = _note(scenario, level, count, refusals)
    table = _table(result, [] if refusals else found, (count - 1) / (count + 1))
    return Result({**result.meta, "notes": [*result.meta["notes"], note]}, {**result.tables, "intervals": table})


def _outcomes(runs: list[dict[str, Any]], jobs: int) -> Iterator[_Figures | str]:
    if jobs == 1:
        yield from map(_run, runs)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_run, runs)


def _run(given: Mapping[str, Any]) -> _Figures | str:
    """The figures of a run, or why it was refused."""
    from edgewright.simulator.errors import ScenarioError
    from edgewright.simulator.scenario import Scenario
    from edgewright.simulator.simulation import simulate

    try:
        result = simulate(Scenario.of(given))
    except ScenarioError as error:
        return str(error)
    return {(each.scope, each.name, each.metric): each.value for each in result.metrics}


def _table(result: Result, found: list[_Figures], level: float) -> dict[str, list[Any]]:
    """The table `intervals`: NaN where a figure is not available, in this run or at any draw."""
    table = empty("intervals")
    nan = float("nan")
    for each in result.metrics:
        values = [figures.get((each.scope, each.name, each.metric), nan) for figures in found]
        known = bool(values) and each.value == each.value and all(value == value for value in values)
        row = (each.scope, each.name, each.metric, min(values) if known else nan, max(values) if known else nan, level)
        for column, cell in zip(table.values(), row, strict=True):
            column.append(cell)
    return table


def _note(scenario: Scenario, level: float, count: int, refusals: list[str]) -> str:
    if refusals:
        return f"intervals are unavailable: {len(refusals)} of {count} draws of the devices were refused: {refusals[0]}"
    named = [f"{name} ({', '.join(spreads)})" for name, spreads in uncertain_figures(scenario).items()]
    between = (
        f"intervals reach from the least to the greatest of {count} draws ({level:.0%} of further ones lie between) of what is uncertain: "
    )
    return between + "; ".join(named)
