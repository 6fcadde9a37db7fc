"""`Result`: what a run returns. Tables as DataFrames with documented columns and units, a summary, and files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.simulator import result_files
from edgewright.simulator.confidence import LEVEL
from edgewright.simulator.result_meta import Meta, checked
from edgewright.simulator.stored import StoredTable
from edgewright.simulator.summary import Metric, metrics
from edgewright.simulator.summary_text import summary_text
from edgewright.simulator.tables import TABLES, Columns, validated_all

if TYPE_CHECKING:
    import pandas as pd

    from edgewright.simulator.plots import RunPlots

__all__ = ["Result"]


class Result:
    """What a run measured.

    Attributes:
        meta: names, window, objectives, resolved scenario, versions, topology, provenance; see `result_meta.Meta`.
        tables: by name, the columns as arrays; `tables.TABLES` says what each holds.

    The same tables are DataFrames as attributes (`result.jobs`, `result.power`, ...), built at first use; changing one changes nothing
    else. `frame.attrs["units"]` holds the unit of each column that has one.
    """

    __slots__ = ("_frames", "_metrics", "meta", "tables")

    def __init__(self, meta: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]]) -> None:
        """Checks both: raises `MetaError` or `TableError`. Tables not given have no rows; stored ones have been checked."""
        self.meta: Meta = checked(meta)
        stored = {name: columns for name, columns in tables.items() if isinstance(columns, StoredTable)}
        self.tables: Mapping[str, Columns] = {**validated_all({each: tables[each] for each in tables if each not in stored}), **stored}
        self._frames: dict[str, pd.DataFrame] = {}
        self._metrics: list[Metric] = []

    def __repr__(self) -> str:
        """The name, the seed, and how many jobs there were."""
        return f"Result({self.meta['name']!r}, seed={self.meta['seed']}, jobs={len(self.tables['jobs']['job'])})"

    def frame(self, name: str) -> pd.DataFrame:
        """The table of that name as a DataFrame, always the same one; raises KeyError for an unknown name."""
        if name not in self._frames:
            self._frames[name] = _frame(name, self.tables[name])
        return self._frames[name]

    @property
    def jobs(self) -> pd.DataFrame:
        """One row per job: its times, tokens and fate."""
        return self.frame("jobs")

    @property
    def steps(self) -> pd.DataFrame:
        """One row per run of like engine steps."""
        return self.frame("steps")

    @property
    def itl(self) -> pd.DataFrame:
        """Gaps between tokens, weighted by how often each occurred."""
        return self.frame("itl")

    @property
    def power(self) -> pd.DataFrame:
        """Power by domain and sampling period, with the budget in force."""
        return self.frame("power")

    @property
    def actuations(self) -> pd.DataFrame:
        """What power controllers commanded, and when it took effect."""
        return self.frame("actuations")

    @property
    def power_events(self) -> pd.DataFrame:
        """Breakers, ports, sources and governors that acted."""
        return self.frame("power_events")

    @property
    def sources(self) -> pd.DataFrame:
        """Sun, grid and battery by domain and sampling period, with the state of charge."""
        return self.frame("sources")

    @property
    def thermal(self) -> pd.DataFrame:
        """Temperatures by device and sampling period."""
        return self.frame("thermal")

    @property
    def energy(self) -> pd.DataFrame:
        """Joules by owner and part over the whole run."""
        return self.frame("energy")

    @property
    def resources(self) -> pd.DataFrame:
        """Engines, buses, links and storage channels, with what they moved over the whole run."""
        return self.frame("resources")

    @property
    def links(self) -> pd.DataFrame:
        """The rows of `resources` that are links."""
        return self.resources[self.resources["kind"] == "link"].reset_index(drop=True)

    @property
    def usage(self) -> pd.DataFrame:
        """Utilisation by resource and sampling period."""
        return self.frame("usage")

    @property
    def memory(self) -> pd.DataFrame:
        """Peaks by pool and allocation."""
        return self.frame("memory")

    @property
    def faults(self) -> pd.DataFrame:
        """What failed, slowed down, slept or was without power, from when to when."""
        return self.frame("faults")

    @property
    def availability(self) -> pd.DataFrame:
        """How long devices, links, storages, replicas and services were up."""
        return self.frame("availability")

    @property
    def kv(self) -> pd.DataFrame:
        """KV blocks held over time, at every change."""
        return self.frame("kv")

    @property
    def queue(self) -> pd.DataFrame:
        """Waiting and running jobs over time, at every change."""
        return self.frame("queue")

    @property
    def replicas(self) -> pd.DataFrame:
        """Replicas with their KV capacity and its derivation."""
        return self.frame("replicas")

    @property
    def operations(self) -> pd.DataFrame:
        """The first operations of plans, if the run recorded them."""
        return self.frame("operations")

    @property
    def plot(self) -> RunPlots:
        """Pictures of the run (matplotlib, extra `plots`): `result.plot.power().savefig("power.pdf")`."""
        from edgewright.simulator.plots import RunPlots

        return RunPlots(self)

    @property
    def metrics(self) -> list[Metric]:
        """The figures of the run; `summary` has them as a DataFrame, and its module their definitions."""
        if not self._metrics:
            self._metrics = metrics(self)
        return self._metrics

    @property
    def intervals(self) -> pd.DataFrame:
        """Between which two values each figure of the summary lies, as far as the devices are known; empty before `with_intervals`."""
        return self.frame("intervals")

    def with_intervals(
        self, level: float = LEVEL, jobs: int = 1, progress: Callable[[int, int], None] = lambda done, count: None
    ) -> Result:
        """This result with its table `intervals`: how far its figures may be off because its devices are (`simulator.confidence`).

        Args:
            level: share of further draws of the devices' figures that an interval holds; 0.9 takes 19 runs of the scenario.
            jobs: processes that they are spread over.
            progress: called with the runs done and their number.

        Raises `ValueError` for a level below 0.5 or above 0.99, and `ScenarioError` if a file that the scenario names is gone.
        """
        from edgewright.simulator.confidence import with_intervals

        return with_intervals(self, level, jobs, progress)

    def summary(self, intervals: bool = False, jobs: int = 1) -> pd.DataFrame:
        """The figures of the run: columns `scope`, `name`, `metric`, `value`, `unit`; NaN where a figure is not available.

        With `intervals`, `low` and `high` besides, between which nine of ten draws of the devices' figures lie (or the share that
        `with_intervals` was asked for, if this is its result; else the scenario is run again, in `jobs` processes).
        """
        import pandas as pd

        rows = [(each.scope, each.name, each.metric, each.value, each.unit) for each in self.metrics]
        frame = pd.DataFrame(rows, columns=["scope", "name", "metric", "value", "unit"])
        if not intervals:
            return frame
        known = self if len(self.tables["intervals"]["metric"]) else self.with_intervals(jobs=jobs)
        return frame.assign(low=known.tables["intervals"]["low"], high=known.tables["intervals"]["high"])

    def row(self, detail: bool = False) -> dict[str, Any]:
        """The key figures as one flat row, to compare runs: `pandas.DataFrame([run.row() for run in runs])`.

        Figures of the whole run by metric; with `detail` those of each service, domain, resource, pool and replica, too, as
        `name.metric`. Metric names end in their units.
        """
        chosen = [each for each in self.metrics if detail or each.scope == "total"]
        figures = {f"{each.name}.{each.metric}" if each.name else each.metric: each.value for each in chosen}
        return {"scenario": self.meta["name"], "seed": self.meta["seed"], **figures}

    def summary_text(self) -> str:
        """The summary as aligned tables for a terminal."""
        return summary_text(self)

    def to_parquet(self, directory: str | Path) -> None:
        """Write every table as `NAME.parquet`: the same tables give the same bytes (with one version of pyarrow)."""
        result_files.write_tables(self.tables, Path(directory))

    def to_perfetto(self, path: str | Path) -> None:
        """Write the timeline as a trace that https://ui.perfetto.dev and chrome://tracing open."""
        from edgewright.simulator.perfetto import write_trace

        write_trace(self, Path(path))

    def report(self, path: str | Path) -> None:
        """Write one self-contained HTML file with figures and tables; it opens without a network."""
        from edgewright.simulator.report import write_report

        write_report(self, Path(path))

    def write(self, directory: str | Path) -> None:
        """Write a result directory: tables, `run.json`, `trace.perfetto.json`, `report.html`.

        All or nothing: written beside the target and renamed. An earlier result directory is replaced; anything else that stands there
        is left alone and raises FileExistsError.
        """
        with result_files.replacing(Path(directory)) as fresh:
            self.complete(fresh)

    def complete(self, directory: Path) -> None:
        """Write into a directory what a result directory holds and it does not: tables that are not stored there, and the other files."""
        self.to_parquet(directory)
        result_files.write_run(self.meta, self.row(detail=True), directory)
        self.to_perfetto(directory / "trace.perfetto.json")
        self.report(directory / "report.html")

    def moved(self, directory: str | Path) -> Result:
        """The same result with its tables in that directory, to which what was stored has been moved."""
        again = Result(self.meta, result_files.read_tables(Path(directory)))
        again._metrics = self.metrics
        return again

    @classmethod
    def read(cls, directory: str | Path) -> Result:
        """The result that `write` wrote; raises FileNotFoundError if there is none, `MetaError` or `TableError` if it is not whole."""
        return cls(result_files.read_meta(Path(directory)), result_files.read_tables(Path(directory)))


def _frame(name: str, columns: Columns) -> pd.DataFrame:
    import pandas as pd

    table = TABLES[name]
    frame = pd.DataFrame(
        {each.name: pd.Series(columns[each.name].copy(), dtype="str" if each.dtype == "str" else None) for each in table.columns}
    )
    frame.attrs["units"] = {each.name: each.unit for each in table.columns if each.unit}
    return frame
