"""`edgewright run`, `check` and `report`: from a scenario to a result directory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgewright.experiments.cli_output import print_json, print_table, quantity
from edgewright.experiments.cli_scenario import on_scenario

if TYPE_CHECKING:
    from edgewright.simulator.check import Checked
    from edgewright.simulator.result import Result
    from edgewright.simulator.scenario import Scenario

__all__ = ["changed", "check", "report", "run"]


@click.command()
@on_scenario
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Result directory; absent: a new one in results/.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Seed in place of the scenario's.")
@click.option(
    "--trace",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Azure CSV to replay in place of the workloads made in its likeness.",
)
@click.option("--thin", type=float, help="Keep this fraction of the requests that the scenario keeps.")
@click.option("--force", is_flag=True, help="Replace the result directory --out.")
@click.option("--intervals", is_flag=True, help="Run it at 19 draws of its devices' uncertain figures, too: what nine of ten lie between.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes for the runs of --intervals.")
@click.option("--json", "machine", is_flag=True, help="Print the key figures as JSON.")
@click.option("--quiet", is_flag=True, help="No talk on stderr.")
def run(
    scenario: Scenario,
    out: Path | None,
    seed: int | None,
    trace: Path | None,
    thin: float | None,
    force: bool,
    intervals: bool,
    jobs: int,
    machine: bool,
    quiet: bool,
) -> None:
    """Run SCENARIO, print its summary, and write a result directory (Parquet tables, run.json, Perfetto trace, HTML report)."""
    from edgewright.simulator.check import check as check_scenario

    chosen = changed(scenario, seed=seed, trace=trace, thin=thin)
    checked = check_scenario(chosen)
    directory = _directory(out, chosen, force)
    from edgewright.simulator import simulate

    if not quiet:
        _announce(chosen, checked)
    with _progress(chosen, quiet) as progress:
        result = simulate(chosen, progress=progress, out=None if intervals else directory)
    if intervals:
        result = _with_intervals(result, jobs, quiet)
        result.write(directory)
    if machine:
        print_json({**result.row(detail=True), **_bounds(result), "directory": str(directory)})
    else:
        click.echo(result.summary_text())
    if not quiet:
        click.echo(f"written to {directory}: open {directory / 'report.html'}", err=True)


@click.command()
@on_scenario
@click.option("--json", "machine", is_flag=True, help="Print what was found as JSON.")
def check(scenario: Scenario, machine: bool) -> None:
    """Check SCENARIO without running it: every value, name, route, memory and power budget; print what each replica gets."""
    from edgewright.simulator.check import check as check_scenario

    checked = check_scenario(scenario)
    findings = _findings(checked)
    if machine:
        print_json({"scenario": checked.scenario.name, "valid": True, "replicas": findings})
        return
    click.echo(f"{checked.scenario.name}: valid; {len(checked.cluster.devices)} devices, {len(checked.cluster.connections)} links")
    header = ("replica", "model", "format", "devices", "weights", "KV tokens", "derivation")
    rows = [[str(finding[key]) for key in ("replica", "model", "format")] + _shown(finding) for finding in findings]
    print_table(header, rows)


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--json", "machine", is_flag=True, help="Print the key figures as JSON.")
def report(directory: Path, machine: bool) -> None:
    """Print the summary of a result DIRECTORY and write its HTML report again."""
    from edgewright.simulator.result import Result

    result = Result.read(directory)
    result.report(directory / "report.html")
    if machine:
        print_json({**result.row(detail=True), **_bounds(result)})
    else:
        click.echo(result.summary_text())


def changed(scenario: Scenario, *, seed: int | None = None, trace: Path | None = None, thin: float | None = None) -> Scenario:
    """The scenario with the command line's changes.

    `trace` and `thin` concern the workloads that replay a trace or imitate one; raises `ScenarioError` if there is none, or if the
    changed scenario is refused.
    """
    changes: dict[str, object] = {} if seed is None else {"seed": seed}
    if trace is not None or thin is not None:
        for name in _traced(scenario):
            if trace is not None:
                removed = {"arrivals": None, "lengths": None, "trace": {"file": str(trace.absolute()), "format": "azure"}}
                changes |= {f"workloads.{name}.{key}": value for key, value in removed.items()}
            if thin is not None:
                changes[f"workloads.{name}.thin"] = scenario.workloads[name].thin * thin
    return scenario.override(changes) if changes else scenario


def _traced(scenario: Scenario) -> list[str]:
    """Workloads that replay a trace, or whose arrivals are made in the likeness of one."""
    from edgewright.workloads.arrivals import ARRIVALS

    likeness = ARRIVALS["azure"]
    names = [name for name, each in scenario.workloads.items() if each.trace is not None or isinstance(each.arrivals, likeness)]
    if not names:
        raise scenario.error(("workloads",), "hold none that replays or imitates a trace", "a workload with `trace` or `arrivals: azure`")
    return names


def _directory(out: Path | None, scenario: Scenario, force: bool) -> Path:
    """Where results go: a directory that does not exist yet, unless `force`."""
    from edgewright.simulator.result_files import require_replaceable

    if out is not None:
        if out.exists() and not force:
            raise FileExistsError(f"{out} exists; accepted: a new directory, or --force to replace a result directory")
        require_replaceable(out)
        return out
    return next(path for path in _candidates(Path("results"), scenario.name) if not path.exists())


def _candidates(base: Path, name: str) -> Iterator[Path]:
    yield base / name
    number = 2
    while True:
        yield base / f"{name}-{number}"
        number += 1


def _announce(scenario: Scenario, checked: Checked) -> None:
    label = " (overload: more is asked than can be served)" if scenario.overload else ""
    click.echo(
        f"{scenario.name}{label}: {scenario.run.stop:.0f} s on {len(checked.cluster.devices)} devices, seed {scenario.seed}", err=True
    )
    for name, workload in scenario.workloads.items():
        if workload.thin < 1:
            click.echo(f"  {name}: {workload.thin:.2%} of the arrivals kept", err=True)


@contextmanager
def _progress(scenario: Scenario, quiet: bool) -> Iterator[Callable[[float], None] | None]:
    """A bar on stderr, fed with simulated seconds; nothing if quiet or if no one watches."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    total = round(scenario.run.stop)
    with tqdm(total=total, unit="s", desc="simulated", file=sys.stderr, leave=False) as bar:

        def advance(now: float) -> None:
            bar.update(min(round(now), total) - bar.n)

        yield advance


def _with_intervals(result: Result, jobs: int, quiet: bool) -> Result:
    """The result with its intervals, a bar on stderr meanwhile."""
    from tqdm import tqdm

    with tqdm(unit="run", desc="draws", file=sys.stderr, leave=False, disable=True if quiet else None) as bar:

        def advance(done: int, count: int) -> None:
            bar.total = count
            bar.update(done - bar.n)

        return result.with_intervals(jobs=jobs, progress=advance)


def _bounds(result: Result) -> dict[str, dict[str, tuple[float, float]]]:
    """The intervals by the names that `row` gives the figures; nothing if they were not asked for."""
    table = result.tables["intervals"]
    columns = zip(table["name"], table["metric"], table["low"], table["high"], strict=True)
    found = {f"{name}.{metric}" if name else metric: (float(low), float(high)) for name, metric, low, high in columns}
    return {"intervals": found} if found else {}


def _findings(checked: Checked) -> list[dict[str, object]]:
    from edgewright.simulator.assemble_memory import resident_bytes

    return [
        {
            "replica": setup.scope,
            "model": setup.model.name,
            "format": setup.format.name,
            "devices": list(setup.spec.devices),
            "weights_bytes": resident_bytes(setup),
            "kv_tokens": checked.capacities[setup.scope].tokens,
            "derivation": checked.capacities[setup.scope].derivation,
        }
        for setup in checked.setups
    ]


def _shown(finding: dict[str, object]) -> list[str]:
    devices, weights, tokens = finding["devices"], finding["weights_bytes"], finding["kv_tokens"]
    assert isinstance(devices, list)
    assert isinstance(weights, dict)
    return [", ".join(devices), quantity(sum(weights.values()), "B"), "-" if tokens is None else str(tokens), str(finding["derivation"])]
