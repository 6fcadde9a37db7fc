"""`edgewright calibrate`: time real kernels here, and write the device that they show."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgewright.experiments import cli_completion as completion
from edgewright.experiments.cli_output import print_json, print_table
from edgewright.experiments.cli_profile import print_profile, write_profile

if TYPE_CHECKING:
    from edgewright.hwmodels.calibration import Point, TimingFile
    from edgewright.hwmodels.calibration.readers import Reader, Reading

__all__ = ["calibrate"]

_QUICK, _FULL = 0.05, 0.15
_LIKE = "epyc_7763"
_SPAN_SECONDS = 2.0


@click.command()
@click.option("--quick/--full", default=True, show_default=True, help="Less than a minute, or less than ten.")
@click.option("--only", multiple=True, metavar="KERNEL", help="Time these kernels only; the probes of the machine are always timed.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="The file to write.  [default: profile.yaml; of a log engine.yaml]"
)
@click.option("--resume", is_flag=True, help="Go on with the timings beside --out, instead of starting anew.")
@click.option("--name", help="Name of the device; absent: after the processor.")
@click.option(
    "--like",
    shell_complete=completion.devices,
    help=f"Device of the catalogue whose power it is taken to draw; absent: {_LIKE} (a GPU must be named).",
)
@click.option("--torch", "through_torch", is_flag=True, help="Time PyTorch's kernels instead of ours.")
@click.option("--device", default="cpu", show_default=True, help="With --torch: PyTorch's name of the device, e.g. cuda:0.")
@click.option(
    "--energy",
    type=click.Choice(["auto", "ina3221", "rapl", "perf", "nvml", "none"]),
    default="auto",
    show_default=True,
    help="What is read for power: the first of ina3221, rapl and perf that can be, one of them, the cards alone, or nothing.",
)
@click.option(
    "--meter", type=click.Path(path_type=Path), metavar="FILE.csv", help="Read power from the log that an external meter writes meanwhile."
)
@click.option(
    "--meter-columns", default="seconds,watts", show_default=True, help="Its columns of time (seconds since 1970) and power (watts)."
)
@click.option(
    "--from-log", "log", type=click.Path(path_type=Path), metavar="FILE.jsonl", help="Fit an engine to a log of requests instead."
)
@click.option(
    "--preset", default="vllm", show_default=True, help="Engine preset that a fitted engine is like in all that a log does not show."
)
@click.option("--json", "machine", is_flag=True, help="Print what was found as JSON.")
def calibrate(
    quick: bool,
    only: tuple[str, ...],
    out: Path | None,
    resume: bool,
    name: str | None,
    like: str | None,
    through_torch: bool,
    device: str,
    energy: str,
    meter: Path | None,
    meter_columns: str,
    log: Path | None,
    preset: str,
    machine: bool,
) -> None:
    """Time kernels on this machine and write a device profile: a YAML file that scenarios name under `device_files`.

    With --from-log, nothing is timed: step times, the limit of the batch and the KV capacity are fitted to the log of a running server, one
    JSON table per line with arrival, first_token, end (seconds), prompt_tokens and output_tokens, and written as an engine that a scenario
    names: `engine: {file: engine.yaml}`.
    With --torch, the same classes of kernels are timed as PyTorch has them, on the CPU or on a GPU.
    Power is read where it can be (--energy, --meter), over some seconds of rest and of known work; each figure is measured, estimated or
    unavailable, and then that of --like.
    Timings are stored beside the profile as they come (`--resume`). Compiling the kernels for the first time comes on top.
    """
    if log is not None:
        _from_log(log, preset, out or Path("engine.yaml"), machine)
        return
    out = out or Path("profile.yaml")
    if through_torch:
        from edgewright.experiments.cli_calibrate_torch import calibrate_torch

        calibrate_torch(device, quick, only, out, resume, name, like, machine)
        return
    found = _calibrated(quick, only, out, resume, name, like or _LIKE, _reader(energy, meter, meter_columns))
    write_profile(out, found)
    if machine:
        print_json(found["calibration"])
    else:
        print_profile(found, out)


def _calibrated(
    quick: bool, only: Sequence[str], out: Path, resume: bool, name: str | None, like: str, source: Reader | Reading
) -> dict[str, Any]:
    """The profile of this machine, its timings stored beside `out`."""
    from edgewright.hwmodels import catalog
    from edgewright.hwmodels.calibration import TimingFile
    from edgewright.hwmodels.calibration.timing import machine_facts
    from edgewright.kernels import kernel_names
    from edgewright.simulator.errors import ScenarioError, choices

    for each in only:
        if each not in kernel_names():
            raise ScenarioError("calibrate", "--only", f"{each!r} is no kernel", choices(each, kernel_names(), "edgewright kernels"))
    if like not in catalog.devices():
        raise ScenarioError("calibrate", "--like", f"{like!r} is no device", choices(like, catalog.devices(), "edgewright devices"))
    beside = out.with_suffix(".timings.jsonl")
    if not resume:
        beside.unlink(missing_ok=True)
    try:
        file = TimingFile(beside, machine_facts(kernel_names()))
    except ValueError as error:
        raise ScenarioError(str(beside), "", str(error), "timings of this machine, or a run without --resume") from None
    _time(file, quick, only)
    return _fitted(file, name, like, source)


def _time(file: TimingFile, quick: bool, only: Sequence[str]) -> None:
    """Time what is missing, with a bar on stderr."""
    from tqdm import tqdm

    from edgewright.hwmodels.calibration import full_suite, quick_suite, time_points
    from edgewright.kernels import Effort, kernel

    threads = int(file.facts["cores"])
    points = (quick_suite if quick else full_suite)(threads)
    points = tuple(each for each in points if not only or each.kernel in only or not kernel(each.kernel).kernel_class)
    done = sum(any(point.matches(timing) for timing in file.timings) for point in points)
    with closing(tqdm(total=len(points), initial=done, unit="point", disable=None)) as bar:

        def watch(point: Point | None) -> None:
            bar.set_postfix_str("" if point is None else f"{point.kernel} {'x'.join(map(str, point.shape))}")
            bar.update(0 if point is None else 1)

        time_points(points, file.timings, file.append, Effort(budget=_QUICK if quick else _FULL), watch)


def _reader(energy: str, meter: Path | None, columns: str) -> Reader | Reading:
    """What power is read from; raises `ScenarioError` for a meter, or a reader that was named, that cannot be read."""
    from edgewright.hwmodels.calibration.readers import READERS, MeterLog, Reading, reader
    from edgewright.simulator.errors import ScenarioError

    if meter is not None:
        time, _, power = columns.partition(",")
        try:
            return MeterLog(meter, time, power)
        except OSError as error:
            raise ScenarioError("calibrate", "--meter", str(error), "the log of a meter, a CSV file") from None
    if energy == "none":
        return Reading(None, 0.0, "unavailable", "nothing was to be read")
    found = reader() if energy == "auto" else reader((READERS[energy],))
    if energy != "auto" and isinstance(found, Reading):
        raise ScenarioError("calibrate", "--energy", f"{energy} cannot be read: {found.source}", "auto, none, or another reader")
    return found


def _fitted(file: TimingFile, name: str | None, like: str, source: Reader | Reading) -> dict[str, Any]:
    from datetime import date
    from time import sleep

    from edgewright.hwmodels.calibration import Calibration
    from edgewright.hwmodels.calibration.power import machine_power
    from edgewright.hwmodels.calibration.profile import document
    from edgewright.simulator.errors import ScenarioError

    facts = file.facts
    calibration = Calibration(facts["caches"] or {}, int(facts["cores"])).fit(file.timings)
    chosen = name or re.sub(r"[^a-z0-9]+", "_", f"{facts['cpu']} {facts['cores']}".lower()).strip("_")
    try:
        power = machine_power(source, calibration.cores, sleep, _SPAN_SECONDS)
    except (ValueError, OSError) as error:
        raise ScenarioError("calibrate", "power", str(error), "a log that covers the run, or --energy none") from None
    return document(calibration, facts, chosen, like, date.today(), power)


def _from_log(path: Path, preset: str, out: Path, machine: bool) -> None:
    """Fit an engine to a log, write it, and print it."""
    from datetime import date

    from edgewright.simulator.errors import ScenarioError, choices
    from edgewright.simulator.preset_fit import PresetFit, read_log
    from edgewright.simulator.presets import PRESETS

    if preset not in PRESETS:
        raise ScenarioError("calibrate", "--preset", f"{preset!r} is no engine preset", choices(preset, PRESETS))
    try:
        fit = PresetFit().fit(read_log(path))
    except ValueError as error:
        raise ScenarioError(str(path), "", str(error), "the log of a server's requests") from None
    found = fit.document(preset, path.name, date.today())
    write_profile(out, found)
    if machine:
        print_json(found)
        return
    limits = {"max_sequences": fit.max_sequences_, "kv_tokens": fit.kv_tokens_}
    rows = [[name, f"{value:.4g} s", f"{fit.errors_[name]:.2g} s"] for name, value in fit.terms_.items()]
    rows += [[name, "unavailable: it never bound" if value is None else f"{value:.0f}", ""] for name, value in limits.items()]
    rows += [["batching", fit.batching_, ""]]
    print_table(("term", "value", "uncertainty"), rows)
    off = found["fit"]["first_to_last_token"]
    click.echo(f"time from first to last token: median error {off['median']:.1%}, p90 {off['p90']:.1%}", err=True)
    click.echo(f"written to {out}: name it in a service: engine: {{file: {out}}}, batching: {fit.batching_}", err=True)
