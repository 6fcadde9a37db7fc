"""Engines that others wrote: `python -m edgewright.experiments.validation.engines`.

Whole models and single operators that were timed in llama.cpp, ONNX Runtime and PyTorch lie beside this file with their machine and
versions; printed, and with `--update` written to `README.md` of the folder above, is how far predictions from three kinds of knowledge are
off. Rows whose median is not known to 5 % after three tries, and those timed while others worked for more than 5 % of the time, are
left out, and counted.

    --measure    time what has no row yet, for `--minutes` at most, with nothing else running; delete the rows to time all anew
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, TypeVar

import click

from edgewright.experiments.cli_output import print_table
from edgewright.experiments.pages import replace_section
from edgewright.experiments.validation.engines import levels, levels_vision
from edgewright.experiments.validation.engines.cases import LlmCase, VisionCase
from edgewright.experiments.validation.engines.llama_graph import Op
from edgewright.experiments.validation.engines.records import CROWD, Measured, best_rows, read_rows
from edgewright.experiments.validation.engines.report import COLUMNS, LEVELS, Errors, cells_of, groups
from edgewright.experiments.validation.engines.vision_nets import VisionOp
from edgewright.experiments.validation.kernels import FITTED
from edgewright.experiments.validation.readme import README
from edgewright.hwmodels.calibration import Calibration
from edgewright.hwmodels.calibration.timing import read_timings
from edgewright.kernels import kernel_names

__all__ = ["FILES", "calibrated", "errors", "main"]

FILES = {name: Path(__file__).with_name(f"{name}.jsonl") for name in ("llm_rows", "llm_operators", "vision_rows", "vision_operators")}
"""The measured rows."""

_OURS = ("read", "triad_past", "gemv", "gemv_fp16", "gemv_int8", "gemv_q4_0", "gemm_fp16", "gemm_int8", "gemm_q4_0", "gemm_packed")
_Case = TypeVar("_Case")


def calibrated() -> Calibration:
    """Fitted to our own kernels, those of the products that the engines compute."""
    facts, timings = read_timings(FITTED)
    known = kernel_names()
    wanted = [row for row in timings if row.kernel.startswith("peak_") or (row.kernel in _OURS and row.kernel in known)]
    return Calibration(facts["caches"] or {}, facts["cores"]).fit(wanted)


def errors() -> tuple[list[Errors], dict[str, int]]:
    """The groups of all engines, and how many runs of each file are left out for noise."""
    calibration, left = calibrated(), {}
    llms, left["llm_rows"] = _quiet("llm_rows", LlmCase)
    vision, left["vision_rows"] = _quiet("vision_rows", VisionCase)
    alone = best_rows(read_rows(FILES["llm_operators"], Op)[1])
    nodes = best_rows(read_rows(FILES["vision_operators"], VisionOp)[1])
    text = (levels.from_kernels(calibration), levels.from_operators(alone), levels.from_models(llms))
    images = (levels_vision.from_kernels(calibration), levels_vision.from_operators(nodes), levels_vision.from_models(vision))
    found = [*groups(llms, dict(zip(LEVELS, text, strict=True))), *groups(vision, dict(zip(LEVELS, images, strict=True)))]
    return found, left


def _quiet(name: str, kind: type[_Case]) -> tuple[list[Measured[_Case]], int]:
    rows = best_rows(read_rows(FILES[name], kind)[1])
    kept = [row for row in rows if not row.disturbed and row.crowd <= CROWD]
    return kept, len(rows) - len(kept)


def _measure(minutes: float) -> None:
    from edgewright.experiments.validation.engines import measuring

    end = time.monotonic() + 60 * minutes

    def left() -> float:
        return (end - time.monotonic()) / 60

    with tempfile.TemporaryDirectory() as scratch:
        measuring.measure_llms(FILES["llm_rows"], Path(scratch), left(), _tell)
    measuring.measure_operators(FILES["llm_operators"], left(), _tell)
    measuring.measure_vision(FILES["vision_rows"], left(), _tell)
    measuring.measure_vision_operators(FILES["vision_operators"], left(), _tell)


def _tell(what: str) -> None:
    click.echo(what, err=True)


def _page(cells: list[list[str]], left: dict[str, int]) -> str:
    """The table in Markdown, with the machine and the versions above it."""
    lines = ["| " + " | ".join(each) + " |" for each in (list(COLUMNS), ["---"] * 4 + ["---:"] * (len(COLUMNS) - 4), *cells)]
    machine: dict[str, Any] = read_rows(FILES["llm_rows"], LlmCase)[0]
    others = ", ".join(read_rows(FILES["vision_rows"], VisionCase)[0]["versions"])
    versions = f"llama-cpp-python {machine['versions'][0].partition(':')[0]}, {others}"
    head = f"{machine['cpu']}, {machine['cores']} cores; {versions}. Left out as disturbed: {left['llm_rows']} steps of llama.cpp"
    return "\n".join([f"{head}, {left['vision_rows']} inferences.", "", *lines])


@click.command(help=__doc__.split("\n")[0])
@click.option("--measure", is_flag=True, help="Time what has no row yet.")
@click.option("--minutes", default=40.0, show_default=True, help="With --measure: stop after these; a later run goes on.")
@click.option("--update", is_flag=True, help="Rewrite the table of README.md.")
def main(measure: bool, minutes: float, update: bool) -> None:
    """Print how far predictions are from whole models in engines."""
    if measure:
        _measure(minutes)
    found, left = errors()
    cells = [cells_of(each) for each in found]
    print_table(COLUMNS, cells)
    if update:
        replace_section("engines", _page(cells, left), README)


if __name__ == "__main__":
    main()
