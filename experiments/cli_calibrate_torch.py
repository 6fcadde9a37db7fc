"""`edgewright calibrate --torch`: PyTorch's kernels timed on a device, and the profile that they show."""

from __future__ import annotations

import re
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgewright.experiments.cli_output import print_json, print_table
from edgewright.experiments.cli_profile import print_profile, write_profile

if TYPE_CHECKING:
    from edgewright.hwmodels.calibration import Point, TimingFile
    from edgewright.hwmodels.calibration.torch_suite import TorchDevice

__all__ = ["calibrate_torch"]

_QUICK, _FULL = 0.05, 0.15
_LIKE = "epyc_7763"
_IDLE_SECONDS = 2.0


def calibrate_torch(
    device: str, quick: bool, only: tuple[str, ...], out: Path, resume: bool, name: str | None, like: str | None, machine: bool
) -> None:
    """Time what is missing beside `out`, fit it, write the profile and print it. Raises `ScenarioError` for what cannot be done here."""
    from edgewright.hwmodels import catalog
    from edgewright.hwmodels.calibration import TimingFile
    from edgewright.hwmodels.calibration.torch_suite import TorchDevice
    from edgewright.simulator.errors import ScenarioError, choices

    wanted = TorchDevice(device)
    try:
        facts = wanted.facts()
    except ImportError:
        raise ScenarioError("calibrate", "--torch", "PyTorch is not installed", "pip install 'edgewright[torch]'") from None
    except ValueError as error:
        raise ScenarioError("calibrate", "--device", str(error), "a device of PyTorch's") from None
    card = like or (_LIKE if wanted.kind == "cpu" else "")
    if card not in catalog.devices():
        known = choices(card, catalog.devices(), "edgewright devices")
        raise ScenarioError(
            "calibrate", "--like", f"{card!r} is no device" if card else "a GPU's power is that of a card to be named", known
        )
    beside = out.with_suffix(".timings.jsonl")
    if not resume:
        beside.unlink(missing_ok=True)
    try:
        file = TimingFile(beside, facts)
    except ValueError as error:
        raise ScenarioError(str(beside), "", str(error), "timings of this device, or a run without --resume") from None
    _time(file, wanted, quick, only)
    found = _fitted(file, wanted, name, card)
    write_profile(out, found)
    if machine:
        print_json(found["calibration"])
        return
    print_profile(found, out)
    _print_beside(found, card)


def _time(file: TimingFile, device: TorchDevice, quick: bool, only: tuple[str, ...]) -> None:
    from tqdm import tqdm

    from edgewright.hwmodels.calibration.timing import TORCH_AXES
    from edgewright.hwmodels.calibration.torch_suite import time_torch, torch_points
    from edgewright.kernels import Effort
    from edgewright.simulator.errors import ScenarioError, choices

    for each in only:
        if each not in TORCH_AXES:
            raise ScenarioError("calibrate", "--only", f"{each!r} is no kernel of PyTorch's", choices(each, tuple(TORCH_AXES), "--only"))
    points = [point for point in torch_points(device, quick=quick) if not only or point.kernel in only or point.kernel not in TORCH_AXES]
    done = sum(any(point.matches(timing) for timing in file.timings) for point in points)
    with closing(tqdm(total=len(points), initial=done, unit="point", disable=None)) as bar:

        def watch(point: Point | None) -> None:
            bar.set_postfix_str("" if point is None else f"{point.kernel} {point.dtype}")
            bar.update(0 if point is None else 1)

        time_torch(device, points, file.timings, file.append, Effort(budget=_QUICK if quick else _FULL), watch)


def _fitted(file: TimingFile, device: TorchDevice, name: str | None, like: str) -> dict[str, Any]:
    from datetime import date
    from time import sleep

    from edgewright.hwmodels.calibration import Calibration
    from edgewright.hwmodels.calibration.power import MachinePower
    from edgewright.hwmodels.calibration.profile import Unit, document
    from edgewright.hwmodels.calibration.readers import Nvml, reader, used
    from edgewright.hwmodels.calibration.torch_suite import time_launch
    from edgewright.kernels import Effort

    facts = file.facts
    calibration = Calibration(facts["caches"] or {}, 1).fit(file.timings)
    launch = time_launch(device, Effort(budget=_FULL)).seconds
    source = f"edgewright calibrate --torch, PyTorch {facts['software']['torch']}"
    unit = Unit("cpu", "ram", launch, source) if device.kind == "cpu" else Unit("gpu", "vram", launch, source)
    chosen = name or re.sub(r"[^a-z0-9]+", "_", f"{facts['cpu']} torch {device.kind}".lower()).strip("_")
    meter = reader() if device.kind == "cpu" else reader((Nvml,))
    idle = used(meter, partial(sleep, _IDLE_SECONDS))
    found = document(calibration, facts, chosen, like, date.today(), MachinePower.of_idle(idle), unit)
    found["calibration"] |= {"launch": float(f"{launch:.3g}"), "all_reduce": _all_reduce(device)}
    return found


def _all_reduce(device: TorchDevice) -> dict[str, Any]:
    """The two constants of an all-reduce over all GPUs, or over two processes of the CPU; or why there are none."""
    import torch

    from edgewright.hwmodels.calibration.torch_reduce import time_all_reduce

    ranks = 2 if device.kind == "cpu" else torch.cuda.device_count()
    if ranks < 2:
        return {"unavailable": "one GPU has nobody to sum with"}
    found = time_all_reduce(device.kind, ranks)
    figures = {"latency": found.latency, "rate": found.rate, "miss": found.miss}
    return {"backend": found.backend, "ranks": ranks, **{key: float(f"{value:.3g}") for key, value in figures.items()}}


def _print_beside(found: dict[str, Any], like: str) -> None:
    """What was measured beside the device of the catalogue that it is likened to, and the start of a kernel and all-reduce."""
    from edgewright.hwmodels import catalog

    report, entry = found["calibration"], next(iter(found["devices"].values()))
    card = catalog.device(like)
    unit, mine = card.main_engine, next(iter(entry["engines"].values()))
    rows = [["memory", f"{entry['memory']['bandwidth'] / 1e9:.1f} GB/s", f"{card.buses[unit.bus].bandwidth / 1e9:.1f} GB/s"]]
    rows += [
        [f"peak {dtype}", f"{rate / 1e9:.0f} Gop/s", f"{unit.peaks[dtype] / 1e9:.0f} Gop/s" if dtype in unit.peaks else "unavailable"]
        for dtype, rate in mine["peaks"].items()
    ]
    print_table(("figure", "measured", like), rows)
    click.echo(f"start of a kernel: {report['launch'] * 1e6:.2f} us")
    summed = report["all_reduce"]
    if "unavailable" in summed:
        click.echo(f"all-reduce: unavailable: {summed['unavailable']}")
    else:
        form = f"{summed['latency'] * 1e6:.0f} us + bytes / {summed['rate'] / 1e9:.2f} GB/s"
        click.echo(f"all-reduce over {summed['ranks']} ({summed['backend']}): {form}")
