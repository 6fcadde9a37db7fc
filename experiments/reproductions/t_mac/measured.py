"""The real kernels on one machine: look-ups against dequantising products, in `measured.json`."""

from __future__ import annotations

import json
import platform
from datetime import date
from pathlib import Path
from typing import Any

__all__ = ["SHAPES", "measure", "ratios", "stored"]

SHAPES = ((4096, 4096), (11008, 4096), (4096, 11008))
"""Outputs and inputs of Llama-2-7B's matrices."""


def measure(folder: Path) -> None:
    """Time both kernels at every shape and width, one thread, and store the rows with the machine that they are of."""
    from edgewright.experiments.kernel_peers import ggml_gemv
    from edgewright.kernels import Effort, kernel, measure, native_status

    effort = Effort(budget=0.4)
    chosen = [(kernel("lut_gemv"), f"int{bits}") for bits in (1, 2, 3, 4)]
    chosen += [(kernel(f"gemv_{name}"), name) for name in ("q2_0", "q4_0")]
    chosen += [(peer, peer.dtypes[0]) for peer in ggml_gemv()]
    rows = []
    for shape in SHAPES:
        for each, dtype in chosen:
            sample = measure(each, shape, dtype, effort=effort)
            rows.append({"kernel": each.name, "format": dtype, "shape": list(shape), "seconds": sample.seconds, "trusted": sample.trusted})
    found = {"machine": _machine(), "kernels": native_status().reason, "date": date.today().isoformat(), "rows": rows}
    (folder / "measured.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def stored() -> dict[str, Any]:
    """What was measured last."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name("measured.json").read_text(encoding="utf-8"))
    return found


def ratios() -> dict[int, float]:
    """By bits, the largest ratio over the shapes of the dequantising kernel's time (2 bits for up to 2, else 4) to the look-ups'."""
    seconds = {(row["kernel"], row["format"], tuple(row["shape"])): row["seconds"] for row in stored()["rows"]}

    def one(bits: int, shape: tuple[int, int]) -> float:
        name = "q2_0" if bits <= 2 else "q4_0"
        return float(seconds[f"gemv_{name}", name, shape] / seconds["lut_gemv", f"int{bits}", shape])

    return {bits: max(one(bits, shape) for shape in SHAPES) for bits in (1, 2, 3, 4)}


def _machine() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())
    return f"{name} ({platform.machine()})"
