"""The loop of a sweep: which run next, keep what comes, stop when enough is known."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.experiments.sweeps.points import points_of
from edgewright.experiments.sweeps.pools import Pool, open_pool
from edgewright.experiments.sweeps.runs import Run, identified
from edgewright.experiments.sweeps.spec import Precision, Spec, SweepError, parsed
from edgewright.experiments.sweeps.stopping import enough, interval
from edgewright.experiments.sweeps.store import FIXED, Store, column_types
from edgewright.simulator.errors import choices
from edgewright.simulator.provenance import versions
from edgewright.simulator.scenario import Scenario

if TYPE_CHECKING:
    import pandas as pd

    from edgewright.experiments.sweeps.plots import SweepPlots

__all__ = ["SweepResult", "run_sweep", "sweep"]


class SweepResult:
    """The rows of a sweep.

    Attributes:
        directory: the data set.
        factors: dotted keys of the factors, in order.
        frame: one row per run: the columns of `store.FIXED`, the factors, the figures (NaN where a run failed or had none).
        drawn: whether replications have devices of their own (`Spec.draws`).
    """

    def __init__(self, directory: Path, factors: Sequence[str], frame: pd.DataFrame, drawn: bool = False) -> None:
        self.directory = directory
        self.factors = tuple(factors)
        self.frame = frame
        self.drawn = drawn

    @property
    def plot(self) -> SweepPlots:
        """Pictures of the sweep (matplotlib, extra `plots`): `result.plot.lines("ttft_p99_s", over="services.chat.kv")`."""
        from edgewright.experiments.sweeps.plots import SweepPlots

        return SweepPlots(self)

    def report(self, path: str | Path, figures: Sequence[str]) -> None:
        """Write one self-contained HTML file with a picture per figure and the table of means; it opens without a network."""
        from edgewright.experiments.sweeps.report import write_report

        write_report(self, figures, Path(path))

    def summary(self, figures: Sequence[str], confidence: float = 0.95) -> pd.DataFrame:
        """A row per point and figure: `point`, factors, `figure`, `mean`, `half_width` of its confidence interval, `low`, `high`, `runs`,
        `failed`.

        `low` and `high` are the extremes over the n replications, between which a further one lies with probability (n - 1) / (n + 1). In a
        sweep with `draws` they are what to read: more draws make the mean more certain, but no device better known.

        Raises KeyError, naming the nearest, for a figure that no run has.
        """
        import pandas as pd

        known = [name for name in self.frame.columns if name not in (*FIXED, *self.factors)]
        for name in figures:
            if name not in known and known:
                raise KeyError(f"no run has a figure {name!r}; accepted: {choices(name, known)}")
        rows = []
        for point, runs in self.frame.groupby("point", sort=True):
            at = {key: runs[key].iloc[0] for key in self.factors}
            failed = int((runs["status"] == "failed").sum())
            for name in figures:
                values = runs[name] if name in runs else pd.Series(dtype=float)
                mean, half = interval(list(values), confidence)
                ends = {"low": values.min(), "high": values.max()}
                sure = {"mean": mean, "half_width": half, **ends, "runs": len(runs), "failed": failed}
                rows.append({"point": point, **at, "figure": name, **sure})
        return pd.DataFrame(rows)

    def whiskers(self, summary: pd.DataFrame) -> list[list[float]]:
        """How far below and above the means of a summary their intervals reach, 0 where that is unknown: to the extremes in a sweep with
        draws, else by the half-width of the mean's confidence interval."""
        half = summary["half_width"]
        below, above = (summary["mean"] - summary["low"], summary["high"] - summary["mean"]) if self.drawn else (half, half)
        return [[float(each) for each in side.fillna(0.0)] for side in (below, above)]


def sweep(
    scenario: Scenario | str | Path,
    factors: Mapping[str, object] | None = None,
    *,
    out: str | Path,
    base: Mapping[str, object] | None = None,
    design: str = "grid",
    samples: int | None = None,
    replications: int = 1,
    precision: Precision | None = None,
    draws: bool = False,
    jobs: int = 1,
    dask: str | None = None,
    progress: bool = False,
) -> SweepResult:
    """Run a scenario at every point of a design, and go on with what an earlier call left in `out`.

    `factors` gives for each dotted key (as in `Scenario.override`) a list of values, or a range `{"low": .., "high": .., "scale": "log",
    "steps": 5}`; see `Spec` for the rest. `jobs`: processes; more than 1 need a script that guards its entry with
    `if __name__ == "__main__"`, as all of Python's process pools do.

    Raises `SweepError` or `ScenarioError` before the first run; a run that fails is a row with its reason.
    """
    chosen = Scenario.load(scenario) if isinstance(scenario, str | Path) else scenario
    given: dict[str, Any] = {"scenario": chosen.name, "base": dict(base or {}), "factors": dict(factors or {}), "design": design}
    spec = parsed({**given, "samples": samples, "replications": replications, "precision": precision, "draws": draws}, Spec)
    return run_sweep(spec, chosen, Path(out), jobs=jobs, dask=dask, progress=progress)


def run_sweep(
    spec: Spec, scenario: Scenario, out: Path, *, jobs: int = 1, dask: str | None = None, progress: bool = False, again: bool = False
) -> SweepResult:
    """Run a sweep that has been read; `again`: also the runs that failed earlier. See `sweep`."""
    based = scenario.override(spec.base) if spec.base else scenario
    points = points_of(spec, based.seed)
    tracks = [_Track(spec, index, factors, based.override(factors) if factors else based) for index, factors in enumerate(points)]
    identity = {"sweep": spec.model_dump(mode="json", exclude={"figures"}), "scenario": based.tables(), "versions": versions()}
    store = Store(out, identity, column_types(points))
    with store.locked():
        with _bar(tracks, progress) as advance, open_pool(jobs, dask) as pool:
            _drive(tracks, store, pool, advance, again)
        store.close()
    return SweepResult(out, list(spec.factors), store.table().to_pandas(), spec.draws)


class _Track:
    """The replications of one point."""

    def __init__(self, spec: Spec, point: int, factors: Mapping[str, object], scenario: Scenario) -> None:
        self.spec = spec
        self.point = point
        self.factors = factors
        self.scenario = scenario
        self.least = max(spec.replications, 2) if spec.precision else spec.replications
        self.values: dict[int, float] = {}
        self.given = 0

    def note(self, replicate: int, figures: Mapping[str, Any]) -> None:
        """A replicate has ended with these figures."""
        metric = self.spec.precision.metric if self.spec.precision else ""
        if metric and figures and metric not in figures:
            raise SweepError(f"{self.spec.name}: precision.metric: runs have no figure {metric!r}; accepted: {choices(metric, figures)}")
        value = figures.get(metric)
        self.values[replicate] = nan if value is None else float(value)

    def next(self) -> Run | None:
        """A run that may start now: the least at once, then one at a time, so that no pool runs more of them than another."""
        if self.given >= self.least and (len(self.values) < self.given or self._enough()):
            return None
        replicate = self.given
        self.given += 1
        scenario = self.scenario.override({"seed": self.scenario.seed + replicate, **self._draw(replicate)})
        return Run(identified(scenario), self.point, replicate, self.factors, scenario)

    def _draw(self, replicate: int) -> dict[str, object]:
        return {"cluster.draw": {"number": replicate + 1, "of": self.spec.replications}} if self.spec.draws else {}

    def _enough(self) -> bool:
        return enough([self.values[each] for each in sorted(self.values)], self.least, self.spec.precision)


def _drive(tracks: list[_Track], store: Store, pool: Pool, advance: Callable[[int], None], again: bool) -> None:
    """Keep the pool full, keep every outcome as it comes; what an earlier call has done is read, not run."""
    waiting, under_way = list(reversed(tracks)), 0
    while waiting or under_way:
        while waiting and under_way < pool.width:
            track = waiting[-1]
            run = track.next()
            if run is None:
                waiting.pop()
                continue
            row = store.get(run)
            if row is not None and not (again and row["status"] == "failed"):
                track.note(run.replicate, row)
                advance(track.given)
                continue
            pool.submit(run)
            under_way += 1
        if under_way:
            run, outcome = pool.finished()
            under_way -= 1
            store.put(run, outcome)
            track = tracks[run.point]
            track.note(run.replicate, outcome.figures)
            advance(track.given)
            if track not in waiting:
                waiting.insert(0, track)


@contextmanager
def _bar(tracks: list[_Track], shown: bool) -> Iterator[Callable[[int], None]]:
    """A bar on stderr with the time left; a point that needs more than the least makes it longer."""
    if not shown:
        yield lambda _: None
        return
    from tqdm import tqdm

    least = tracks[0].least
    with tqdm(total=least * len(tracks), unit="run", desc="sweep", file=sys.stderr) as bar:

        def advance(given: int) -> None:
            if given > least:
                bar.total = int(bar.total or 0) + 1
            bar.update(1)

        yield advance
