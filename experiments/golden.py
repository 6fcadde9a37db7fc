"""Golden predictions: `python -m edgewright.experiments.golden` shows what a change of the code moved.

A fixed table of predictions, from single steps of a model on a device to one whole scenario, is committed beside this module
(`golden.csv`). The command computes it again and prints how far each row has drifted. It is no test of truth: the committed figures are
what the models said when they were committed, right or wrong. What they are worth is for measurements to tell; that a change moved
them, and by how much, is told here.

    python -m edgewright.experiments.golden            print the drift
    python -m edgewright.experiments.golden --strict   the same; exit code 1 if any row drifted by more than 1e-9
    python -m edgewright.experiments.golden --update   rewrite the table: the drift becomes a visible part of the change

A case is priced alone on idle hardware through the calls that the simulator makes: `Cluster` over `Part`s, `price` below it. Its joules
are dynamic ones; only the scenario's hold idle and static energy too. The cases are chosen so that each part of the models moves some
row; they say nothing of what is sensible to run.

Drift is relative: 0.05 is a figure that rose by 5 % of its committed value. Other kinds of CPU are held to agree to 1e-9.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf, isnan
from pathlib import Path
from typing import NamedTuple

import click

from edgewright.experiments.cli_output import print_table, quantity
from edgewright.hwmodels import Attachment, Cluster, Connection, Demand, catalog
from edgewright.workloads import Step, format_named, zoo

__all__ = ["TABLE", "TOLERANCE", "Drift", "Prediction", "drifts", "main", "predictions", "read_table", "write_table"]

TABLE = Path(__file__).with_name("golden.csv")
"""The committed table."""

TOLERANCE = 1e-9
"""The relative drift up to which a figure counts as the same."""


DECODE = (
    ("jetson_agx_orin_64gb", "llama-3.1-8b", "w4a16", 1, 1024),
    ("jetson_agx_orin_64gb", "llama-3.1-8b", "w4a16", 8, 1024),
    ("jetson_agx_orin_64gb", "llama-3.1-8b", "w4a16", 32, 4096),
    ("jetson_agx_orin_64gb_cpu", "llama-3.2-1b", "q4_k_m", 1, 512),
    ("jetson_orin_nx_16gb", "llama-3.2-1b", "w4a16", 4, 512),
    ("rpi5_8gb", "llama-3.2-1b", "q4_k_m", 1, 512),
    ("rpi5_8gb", "smollm-135m", "q8_0", 1, 64),
    ("rtx4090", "llama-3.1-8b", "fp16", 1, 1024),
    ("rtx4090", "llama-3.1-8b", "w4a8", 16, 2048),
    ("rtx4090", "olmoe-1b-7b", "bf16", 4, 1024),
    ("rtx3090", "gemma-2-9b", "bf16", 1, 6144),
    ("rtx3090", "deepseek-v2-lite", "w8a8", 8, 4096),
    ("apple_m2_ultra_gpu76", "llama-2-70b", "q4_k_m", 1, 2048),
    ("h100_sxm", "llama-3.1-8b", "fp8", 64, 2048),
    ("sd8gen3_npu", "llama-3.2-3b", "w4a8", 1, 1024),
    ("rtx3060", "mamba-2.8b", "fp16", 1, 1024),
)
"""Device, model, format, batch, context of each sequence."""

PREFILL = (
    ("jetson_agx_orin_64gb", "llama-3.1-8b", "w4a16", 128),
    ("jetson_agx_orin_64gb", "llama-3.1-8b", "w4a16", 2048),
    ("rpi5_8gb", "llama-3.2-1b", "q4_k_m", 128),
    ("rtx4090", "llama-3.1-8b", "fp16", 512),
    ("rtx4090", "llama-3.1-8b", "fp16", 8192),
    ("rtx4090", "olmoe-1b-7b", "bf16", 512),
    ("rtx3090", "gemma-2-9b", "bf16", 6144),
    ("h100_sxm", "llama-3.1-8b", "fp8", 2048),
)
"""Device, model, format, tokens of the prompt."""

VISION = (
    ("jetson_nano", "resnet-50", "fp16", 1),
    ("jetson_orin_nx_16gb", "yolov8n", "int8", 1),
    ("rtx4090", "vit-b-16", "fp16", 32),
    ("coral_usb", "mobilenet-v2", "int8", 1),
    ("stm32f746", "ds-cnn", "int8", 1),
)
"""Device, model, format, items at once."""

SHARDS = (("rpi5_8gb", "llama-3.2-1b", "q4_k_m", 4), ("rtx4090", "llama-3.1-8b", "fp16", 2))
"""Device, model, format, shards: one shard's decode step of one sequence at 512 tokens of context."""

ALLREDUCE = (
    ("eth_1g", "rpi5_8gb", 4, "ring", 8e3),
    ("eth_1g", "rpi5_8gb", 4, "star", 8e3),
    ("eth_1g", "rpi5_8gb", 4, "tree", 16e6),
    ("eth_10g", "jetson_agx_orin_64gb", 3, "ring", 1e6),
    ("wifi5", "sd8gen3", 2, "star", 64e3),
)
"""Link of every device to one switch, device, devices, algorithm, bytes."""

LOADS = (
    ("nvme_gen3", "jetson_agx_orin_64gb", 1e9, False),
    ("nvme_gen3", "jetson_agx_orin_64gb", 16e6, True),
    ("sd_uhs1", "rpi5_8gb", 64e6, False),
    ("ufs40", "sd8gen3", 1e9, False),
)
"""Storage, device, bytes, whether at random."""


class Prediction(NamedTuple):
    """Seconds and joules of one case."""

    seconds: float
    joules: float


@dataclass(frozen=True, slots=True)
class Drift:
    """One row of the table, then and now.

    Attributes:
        name: what is predicted.
        old, new: the committed and the computed prediction; None where there is none.
    """

    name: str
    old: Prediction | None
    new: Prediction | None

    @property
    def seconds(self) -> float:
        """Relative change of the seconds; infinite for a row that is new or gone."""
        return inf if self.old is None or self.new is None else _relative(self.old.seconds, self.new.seconds)

    @property
    def joules(self) -> float:
        """Relative change of the joules; infinite for a row that is new or gone."""
        return inf if self.old is None or self.new is None else _relative(self.old.joules, self.new.joules)

    @property
    def size(self) -> float:
        """The larger of the two changes, without its sign."""
        return max(abs(self.seconds), abs(self.joules))


def predictions() -> dict[str, Prediction]:
    """All predictions by name, in a fixed order."""
    return dict(_all())


def read_table(path: Path = TABLE) -> dict[str, Prediction]:
    """Predictions by name, in the order of the file; none if there is no file."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row["prediction"]: Prediction(float(row["seconds"]), float(row["joules"])) for row in csv.DictReader(file)}


def write_table(found: Mapping[str, Prediction], path: Path = TABLE) -> None:
    """Write predictions to a file, with all the digits that a float has."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("prediction", "seconds", "joules"))
        writer.writerows((name, repr(each.seconds), repr(each.joules)) for name, each in found.items())


def drifts(old: Mapping[str, Prediction], new: Mapping[str, Prediction]) -> list[Drift]:
    """Every row of either table, the largest drift first; equal ones in the order of the tables."""
    rows = [Drift(name, old.get(name), new.get(name)) for name in dict.fromkeys((*new, *old))]
    return sorted(rows, key=lambda row: -row.size)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--strict", is_flag=True, help="Exit with 1 if a row drifted by more than 1e-9.")
@click.option("--update", is_flag=True, help="Rewrite the table with what was computed.")
@click.option("--table", type=click.Path(path_type=Path, dir_okay=False), default=TABLE, help="The table; absent: the committed one.")
def main(strict: bool, update: bool, table: Path) -> None:
    """Compute the golden predictions and print how far each drifted from the table. No test of truth: it shows what a change moved."""
    new = predictions()
    rows = drifts(read_table(table), new)
    print_table(("prediction", "seconds", "drift", "joules", "drift"), [_cells(row) for row in rows])
    moved = [row for row in rows if row.size > TOLERANCE]
    click.echo(_summary(rows, moved))
    if update:
        write_table(new, table)
        click.echo(f"wrote {table}", err=True)
    sys.exit(1 if strict and moved else 0)


def _all() -> Iterator[tuple[str, Prediction]]:
    for device, model, format, batch, context in DECODE:
        yield f"decode {model} {format} on {device}, {batch} x {context}", _step(device, model, format, decode=[context] * batch)
    for device, model, format, tokens in PREFILL:
        yield f"prefill {model} {format} on {device}, {tokens}", _step(device, model, format, prefill=[(0, tokens)])
    for device, model, format, items in VISION:
        yield f"infer {model} {format} on {device}, {items}", _compute(device, model, format, Step(items=items))
    for device, model, format, shards in SHARDS:
        yield f"shard 1/{shards} of {model} {format} on {device}", _step(device, model, format, decode=[512], shards=shards)
    for link, device, ranks, algorithm, nbytes in ALLREDUCE:
        yield f"allreduce {algorithm} over {link}, {ranks} x {device}, {nbytes:.0f} B", _allreduce(link, device, ranks, algorithm, nbytes)
    for storage, device, nbytes, random in LOADS:
        yield f"load {storage} on {device}, {nbytes:.0f} B{' at random' if random else ''}", _load(storage, device, nbytes, random)
    yield "scenario hello: median TTFT, joules per token", _hello()


def _step(
    device: str, model: str, format: str, *, decode: list[int] | None = None, prefill: list[tuple[int, int]] | None = None, shards: int = 1
) -> Prediction:
    step = Step.of(decode=decode or (), prefill=prefill or (), windows=zoo.model(model).windows)
    return _compute(device, model, format, step, shards)


def _compute(device: str, model: str, format: str, step: Step, shards: int = 1) -> Prediction:
    cluster = Cluster({"it": catalog.device(device)})
    part = zoo.model(model).part(format_named(format), shards=shards)
    return _alone(cluster, cluster.compute("it", part(step)))


def _allreduce(link: str, device: str, ranks: int, algorithm: str, nbytes: float) -> Prediction:
    names = [f"d{rank}" for rank in range(ranks)]
    connections = tuple(Connection(f"l{name}", (name, "switch"), catalog.link(link)) for name in names)
    cluster = Cluster(dict.fromkeys(names, catalog.device(device)), ("switch",), connections)
    return _alone(cluster, cluster.collective("allreduce", names, nbytes, algorithm))


def _load(storage: str, device: str, nbytes: float, random: bool) -> Prediction:
    cluster = Cluster({"it": catalog.device(device)}, attachments=(Attachment("disk", "it", catalog.storage(storage)),))
    return _alone(cluster, cluster.load("it", nbytes, random=random))


def _alone(cluster: Cluster, demand: Demand) -> Prediction:
    return Prediction(float(demand.alone(cluster.capacities)), float(sum(demand.joules.values())))


def _hello() -> Prediction:
    from edgewright.simulator import Scenario, simulate

    row = simulate(Scenario.load("hello")).row()
    return Prediction(float(row["ttft_p50_s"]), float(row["joules_per_token"]))


def _relative(old: float, new: float) -> float:
    if old == new:
        return 0.0
    return (new - old) / abs(old) if old and not isnan(old + new) else inf


def _cells(row: Drift) -> list[str]:
    shown = row.new or row.old or Prediction(0.0, 0.0)
    return [row.name, quantity(shown.seconds, "s"), _change(row, row.seconds), quantity(shown.joules, "J"), _change(row, row.joules)]


def _change(row: Drift, change: float) -> str:
    if row.old is None:
        return "new"
    if row.new is None:
        return "gone"
    return f"{change:+.3g}" if change else "0"


def _summary(rows: list[Drift], moved: list[Drift]) -> str:
    if not moved:
        return f"none of {len(rows)} predictions drifted by more than {TOLERANCE:g}"
    largest = _change(moved[0], max(moved[0].seconds, moved[0].joules, key=abs))
    return f"{len(moved)} of {len(rows)} predictions drifted by more than {TOLERANCE:g}; the largest: {moved[0].name} ({largest})"


if __name__ == "__main__":
    main()
