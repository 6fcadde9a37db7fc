"""The figures of a run: latency quantiles, goodput, throughput, energy, power, utilisation, memory.

How they are defined:

- Latencies (`ttft`, `tpot`, `itl`, `e2e`, `queue`) are over *measured* jobs (those that arrived within the measurement window) as far
  as they got there: `tpot` and `e2e` need completion, `ttft` a first token, `itl` counts every token gap once. Quantiles are those of
  `summary_quantiles`. Jobs cut off by the end of the run are missing from them: see `in_flight` before trusting a p99.
- `slo_met` is the fraction of measured jobs with an objective or a deadline (rejected, failed and unfinished ones included) that were
  completed within every objective of their service and not after their deadline; `goodput` is their number per second of the window.
  A `tpot` objective is met by an answer of one token. Without objectives and deadlines both are NaN: unknown, not 0.
- Throughput counts tokens of engine steps, and `mean_batch` the sequences that decode in a step that decodes; steps that straddle an
  edge of the window count in proportion. Energy, power and utilisation in the window are read off the sampling bins in the same way,
  so they are off by at most what one bin at either edge hides.
- `joules_per_token` is the plug energy of all power domains over the window, whatever they served, per token generated in it.
- Sums are rounded once (`math.fsum`), so they do not depend on the order in which a processor adds.
- `lost_tokens` are positions of context that were computed and then lost to a failure (`jobs.lost_tokens`), of all jobs of the run;
  `lost_fraction` is their share of all positions that were computed, and `lost_J` the same share of all dynamic and static energy: an
  estimate, as positions do not cost alike (prefilled ones less than decoded ones).
- What covers the whole run instead says so in its name (`run_...`), or is a count or peak of `memory`, `kv`, `replicas`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import fsum
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.simulator.intervals import overlap, share
from edgewright.simulator.stored import KEPT, groups, rows_of
from edgewright.simulator.summary_jobs import LATENCIES, LEVELS, TROUBLES, JobSums
from edgewright.simulator.summary_quantiles import quantiles, quantiles_in_groups
from edgewright.simulator.summary_steps import StepSums
from edgewright.simulator.tables import STATUSES, Codes, rows_by

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgewright.simulator.intervals import Floats
    from edgewright.simulator.result_meta import Recorded
    from edgewright.simulator.tables import Columns

__all__ = ["Metric", "metrics"]

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure.

    Attributes:
        scope: `total`, `service`, `domain`, `resource`, `pool`, `allocation`, `replica`, `device`, `link` or `storage`.
        name: which one, empty for the total.
        metric: what it is; the name ends in its unit.
        value: NaN if it is not available.
        unit: of the value, empty for counts and ratios.
    """

    scope: str
    name: str
    metric: str
    value: float
    unit: str


def metrics(run: Recorded) -> list[Metric]:
    """All figures of the run, in the order in which they are shown; NaN where a figure is not available."""
    jobs, steps = JobSums(run), StepSums(run)
    services = list(dict.fromkeys([*jobs.services, *run.tables["replicas"]["service"].tolist()]))
    found = [*_of_service(run, None, jobs, steps)]
    if len(services) == 1:
        found += [replace(figure, scope="service", name=services[0]) for figure in found]
    else:
        found += [figure for name in services for figure in _of_service(run, name, jobs, steps)]
    found += [*_of_power(run, steps), *_of_sources(run), *_of_heat(run)]
    return [*found, *_of_energy(run), *_of_resources(run), *_of_memory(run), *_of_replicas(run), *_of_failures(run, jobs, steps)]


def _of_service(run: Recorded, service: str | None, jobs: JobSums, steps: StepSums) -> Iterator[Metric]:
    """What the jobs of one service experienced, or (None) all; of a run's only service, all of them are."""
    scope, name = ("total", "") if service is None else ("service", service)
    for kind in ("jobs", *STATUSES):
        yield Metric(scope, name, kind, jobs.count(service, kind), "")
    yield from _of_objectives(run, service, jobs)
    for metric, column in LATENCIES.items():
        for label, value in zip(LEVELS, jobs.quantiles(service, column), strict=True):
            yield Metric(scope, name, f"{metric}_{label}_s", value, "s")
    yield from _gaps(run, scope, name)
    tokens, prompts, iterations, sequences = steps.of(service)
    yield Metric(scope, name, "tokens_per_s", tokens / _seconds(run), "1/s")
    yield Metric(scope, name, "prompt_tokens_per_s", prompts / _seconds(run), "1/s")
    yield Metric(scope, name, "mean_batch", _ratio(sequences, iterations), "")


def _gaps(run: Recorded, scope: str, name: str) -> Iterator[Metric]:
    """There is a gap or more per step: a large table is gone through and never held."""
    table = run.tables["itl"]
    columns = ("gap_s", "tokens") if scope == "total" else ("gap_s", "tokens", "service")

    def chosen(columns: Columns) -> tuple[Floats, Floats]:
        gaps, tokens = columns["gap_s"], columns["tokens"].astype(np.float64)
        if scope == "total":
            return gaps, tokens
        mine = columns["service"] == name
        return gaps[mine], tokens[mine]

    if rows_of(table) > KEPT:
        found = quantiles_in_groups(lambda: map(chosen, groups(table, columns, KEPT)), list(LEVELS.values()))
    else:
        values, weights = chosen(table)
        found = quantiles(values, list(LEVELS.values()), weights)
    for label, value in zip(LEVELS, found, strict=True):
        yield Metric(scope, name, f"itl_{label}_s", value, "s")


def _of_objectives(run: Recorded, service: str | None, jobs: JobSums) -> Iterator[Metric]:
    scope, name = ("total", "") if service is None else ("service", service)
    met, bound, missed, due = (jobs.count(service, kind) for kind in ("met", "bound", "missed", "due"))
    yield Metric(scope, name, "goodput_per_s", met / _seconds(run) if bound else NAN, "1/s")
    yield Metric(scope, name, "slo_met", _ratio(met, bound), "")
    yield Metric(scope, name, "deadline_misses", missed if due else NAN, "")
    yield Metric(scope, name, "deadline_miss_fraction", _ratio(missed, due), "")


def _of_power(run: Recorded, steps: StepSums) -> Iterator[Metric]:
    """Energy and power in the window, of each domain and of all together; the peak of all only if there is one: peaks need not coincide."""
    bins = run.tables["power"]
    seconds = overlap(bins["start_s"], bins["end_s"], *run.meta["window"])
    joules = bins["joules"] * share(bins["start_s"], bins["end_s"], *run.meta["window"])
    domains = {name: rows[seconds[rows] > 0] for name, rows in rows_by(bins["domain"]).items()}
    energy = {name: fsum(joules[rows]) if len(rows) else NAN for name, rows in domains.items()}
    mean = {name: _ratio(fsum(bins["mean_W"][rows] * seconds[rows]), fsum(seconds[rows])) for name, rows in domains.items()}
    own = {name: _ratio(energy[name], fsum(seconds[rows])) for name, rows in domains.items()}
    total = sum(energy.values()) if energy else NAN
    yield Metric("total", "", "energy_J", total, "J")
    yield Metric("total", "", "joules_per_token", _ratio(total, steps.of(None)[0]), "J")
    yield Metric("total", "", "mean_power_W", sum(own.values()) if own else NAN, "W")
    yield Metric("total", "", "peak_power_W", _max(bins["peak_W"][seconds > 0]) if len(domains) == 1 else NAN, "W")
    for name, rows in domains.items():
        yield Metric("domain", name, "energy_J", energy[name], "J")
        yield Metric("domain", name, "mean_power_W", mean[name], "W")
        yield from _against_budget(run, name, rows, seconds)


def _against_budget(run: Recorded, name: str, rows: NDArray[np.intp], seconds: Floats) -> Iterator[Metric]:
    """Peak, least budget, and the share of budgeted time in bins whose mean lies above it."""
    bins = run.tables["power"]
    budgeted = rows[np.isfinite(bins["budget_W"][rows])]
    above = budgeted[bins["mean_W"][budgeted] > bins["budget_W"][budgeted]]
    yield Metric("domain", name, "peak_power_W", _max(bins["peak_W"][rows]), "W")
    yield Metric("domain", name, "budget_W", _min(bins["budget_W"][budgeted]), "W")
    yield Metric("domain", name, "over_budget", _ratio(fsum(seconds[above]), fsum(seconds[budgeted])), "")


def _of_energy(run: Recorded) -> Iterator[Metric]:
    energy = run.tables["energy"]
    for part in _names(energy["part"]):
        yield Metric("total", "", f"run_{part}_J", fsum(energy["joules"][energy["part"] == part]), "J")


def _of_sources(run: Recorded) -> Iterator[Metric]:
    """Of the whole run: lowest charge seen at the end of a bin, losses of power, and what came from where."""
    table, events = run.tables["sources"], run.tables["power_events"]
    for name, rows in rows_by(table["domain"]).items():
        lost = (events["name"] == name) & (events["event"] == "power_lost")
        yield Metric("domain", name, "min_charge", _min(table["charge"][rows]), "")
        yield Metric("domain", name, "power_losses", float(lost.sum()), "")
        for column in ("load_J", "sun_J", "curtailed_J", "grid_J", "unmet_J", "lost_J"):
            yield Metric("domain", name, f"run_{column}", fsum(table[column][rows]), "J")
        yield Metric("domain", name, "run_carbon_g", fsum(table["carbon_g"][rows]), "")
        yield Metric("domain", name, "run_cost", fsum(table["cost"][rows]), "")


def _of_heat(run: Recorded) -> Iterator[Metric]:
    """Of the whole run: the hottest that a die was seen, and how often its governor began to slow it down."""
    table, events = run.tables["thermal"], run.tables["power_events"]
    hottest = table["max_die_C"]
    for name, rows in rows_by(table["device"]).items():
        throttled = (events["name"] == name) & (events["event"] == "throttled")
        yield Metric("device", name, "max_die_C", _max(hottest[rows]), "°C")
        yield Metric("device", name, "throttles", float(throttled.sum()), "")


def _of_resources(run: Recorded) -> Iterator[Metric]:
    """Utilisation in the window from the sampled bins (NaN where a resource was not sampled), and over the whole run."""
    usage, resources = run.tables["usage"], run.tables["resources"]
    weight = overlap(usage["start_s"], usage["end_s"], *run.meta["window"])
    sampled, utilisation = rows_by(usage["resource"]), usage["utilisation"]
    for name, over_run in zip(resources["resource"], resources["utilisation"], strict=True):
        rows = sampled.get(name, np.empty(0, np.intp))
        rows = rows[weight[rows] > 0]
        moved = fsum(weight[rows] * utilisation[rows])
        yield Metric("resource", name, "utilisation", _ratio(moved, fsum(weight[rows])), "")
        yield Metric("resource", name, "peak_utilisation", _max(utilisation[rows]), "")
        yield Metric("resource", name, "run_utilisation", float(over_run), "")


def _of_memory(run: Recorded) -> Iterator[Metric]:
    """Capacity and own peak of each pool, and the peak of each allocation under `pool allocation`."""
    memory = run.tables["memory"]
    for pool, allocation, capacity, peak in zip(*(memory[column] for column in memory), strict=True):
        if allocation == "total":
            yield Metric("pool", pool, "peak_B", float(peak), "B")
            yield Metric("pool", pool, "capacity_B", float(capacity), "B")
        else:
            yield Metric("allocation", f"{pool} {allocation}", "peak_B", float(peak), "B")


def _of_replicas(run: Recorded) -> Iterator[Metric]:
    replicas, held = dict(run.tables["replicas"]), _most_held(run.tables["kv"])
    hits, misses = float(replicas["expert_hits"].sum()), float(replicas["expert_misses"].sum())
    yield Metric("total", "", "preemptions", float(replicas["preemptions"].sum()), "")
    yield Metric("total", "", "kv_evictions", float(replicas["evictions"].sum()), "")
    yield Metric("total", "", "expert_hit_rate", _ratio(hits, hits + misses), "")
    yield Metric("total", "", "cache_hit_rate", _ratio(float(replicas["hit_tokens"].sum()), float(replicas["prompt_tokens"].sum())), "")
    yield Metric("total", "", "swapped_B", float(replicas["swapped_out_bytes"].sum() + replicas["swapped_in_bytes"].sum()), "B")
    for index, name in enumerate(replicas["replica"]):
        row = {column: values[index] for column, values in replicas.items()}
        routed = float(row["expert_hits"] + row["expert_misses"])
        yield Metric("replica", name, "kv_capacity_tokens", float(row["kv_capacity_tokens"]), "")
        yield Metric("replica", name, "kv_capacity_B", float(row["kv_capacity_bytes"]), "B")
        yield Metric("replica", name, "peak_kv_occupancy", held.get(name, NAN), "")
        yield Metric("replica", name, "preemptions", float(row["preemptions"]), "")
        yield Metric("replica", name, "kv_evictions", float(row["evictions"]), "")
        yield Metric("replica", name, "expert_hit_rate", _ratio(float(row["expert_hits"]), routed), "")
        yield Metric("replica", name, "cache_hit_rate", _ratio(float(row["hit_tokens"]), float(row["prompt_tokens"])), "")
        yield Metric("replica", name, "swapped_B", float(row["swapped_out_bytes"] + row["swapped_in_bytes"]), "B")


def _most_held(kv: Columns) -> dict[str, float]:
    """The largest share of its KV blocks that each replica held."""
    codes, most = Codes(), np.empty(0)
    for group in groups(kv, ("replica", "blocks", "capacity_blocks")):
        coded = codes.of(group["replica"])
        most = np.append(most, np.full(len(codes.names) - len(most), -np.inf))
        np.maximum.at(most, coded, group["blocks"] / np.maximum(group["capacity_blocks"], 1))
    return dict(zip(codes.names, most.tolist(), strict=True))


def _of_failures(run: Recorded, jobs: JobSums, steps: StepSums) -> Iterator[Metric]:
    """What failures cost over the whole run, and how long what had outages (replicas and services: all) was up."""
    energy = run.tables["energy"]
    for name in TROUBLES:
        yield Metric("total", "", name, float(jobs.troubles[name]), "")
    share_lost = _ratio(float(jobs.troubles["lost_tokens"]), steps.computed)
    spent = fsum(energy["joules"][(energy["part"] == "dynamic") | (energy["part"] == "static")])
    yield Metric("total", "", "lost_fraction", share_lost, "")
    yield Metric("total", "", "lost_J", share_lost * spent if len(energy["part"]) else NAN, "J")
    found = run.tables["availability"]
    for what, name, up, outages, repair in zip(*(found[column] for column in found), strict=True):
        if outages or what in ("replica", "service"):
            yield Metric(what, name, "up", float(up), "")
            yield Metric(what, name, "outages", float(outages), "")
            yield Metric(what, name, "repair_s", float(repair), "s")


def _seconds(run: Recorded) -> float:
    start, stop = run.meta["window"]
    return stop - start


def _names(*columns: NDArray[Any]) -> list[str]:
    """The names in the columns, each once, in order of appearance."""
    return list(dict.fromkeys(str(name) for column in columns for name in column))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else NAN


def _max(values: Floats) -> float:
    return float(values.max()) if len(values) else NAN


def _min(values: Floats) -> float:
    return float(values.min()) if len(values) else NAN
