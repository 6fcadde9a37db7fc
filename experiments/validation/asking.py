"""What a row asks of hardware: which device, which software, which work, and how the answer is read in the row's own unit.

An `Ask` is all that a prediction needs; `ask` finds the reader of a row's phase and model among `asking_llm.py`, `asking_nets.py`,
`asking_ops.py` and `asking_cluster.py`. A row that nobody can read raises `Unpredictable` with the reason, which is counted, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeAlias

from edgewright.experiments.validation.rows import Row
from edgewright.hwmodels import Device, Work, catalog
from edgewright.hwmodels.catalog import UnknownEntry
from edgewright.hwmodels.software import measured_name
from edgewright.workloads import Format, format_named

__all__ = ["Ask", "Reading", "Unpredictable", "ask", "cores_of", "device_of", "format_of", "known", "software_of", "table"]

Reading: TypeAlias = Literal["seconds", "rate", "joules", "watts", "fraction", "constant"]
"""How an answer is read: seconds, their inverse, joules or mean watts at a scope, watts over the power limit, or a number that no device
decides."""


class Unpredictable(ValueError):
    """A row that cannot be predicted; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a row asks.

    Attributes:
        device, engine: on what: a specification and the name of one of its engines.
        software: family of the software that ran, a key of `hwmodels.software`.
        work: all that one device computes in what was measured.
        reading: how the answer is read, times `factor`: the row's value is `factor * seconds`, `factor / seconds`, ...
        steps: steps of the software in it, each of which costs the host's time.
        sequences: sequences (of language models) in all those steps together.
        threads: threads of a CPU, None for all of its cores.
        clock: fraction of the engine's highest clock.
        links_s: seconds on links, and `syncs` synchronisations, that nothing hides.
        scope: at which an energy is read.
        spread: of a constant, the logarithms of measured over predicted between which nine of ten measurements fall.
        model: what was run, for the groups that leave a model out.
    """

    device: Device
    engine: str
    software: str
    work: Work = field(repr=False, default_factory=Work)
    reading: Reading = "seconds"
    factor: float = 1.0
    steps: float = 1.0
    sequences: float = 0.0
    threads: float | None = None
    clock: float = 1.0
    links_s: float = 0.0
    syncs: float = 0.0
    scope: Literal["rail", "module", "board", "plug"] = "module"
    spread: tuple[float, float] = (-0.01, 0.01)
    model: str = ""


@cache
def table(name: str) -> Any:
    """A YAML file of this package, read once."""
    import yaml

    return yaml.safe_load(files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8"))


def known(patterns: Mapping[str, Any], text: str) -> str | None:
    """The first key that, as a pattern, is found in a text (case does not matter); None if there is none."""
    return next((pattern for pattern in patterns if re.search(pattern, text, re.IGNORECASE)), None)


def device_of(row: Row) -> Device:
    """The device of a row, by the name of a profile or of the catalogue, or an alias; raises `Unpredictable`."""
    name = row.text("device_id")
    if not name:
        raise Unpredictable("no device is named")
    if name in row.profiles:
        return row.profiles[name]
    try:
        return catalog.device(table("names")["devices"].get(name, name))
    except UnknownEntry:
        raise Unpredictable(f"device {name!r} is not in the catalogue") from None


def software_of(row: Row) -> str:
    """The family of the software that a row names: the first whose pattern fits; `other` if none does."""
    patterns: Mapping[str, str] = table("names")["software"]
    text = row.text("engine")
    found = known(patterns, text) if text else None
    return patterns[found] if found else "other"


def format_of(row: Row, fallback: str | None = None) -> Format:
    """The number format of a row; raises `Unpredictable` for one that is unknown."""
    patterns: Mapping[str, str] = table("names")["formats"]
    text = row.text("dtype")
    found = known(patterns, text) if text else None
    name = patterns[found] if found else fallback
    if name is None:
        raise Unpredictable(f"number format {text!r} is not known")
    return format_named(name)


def cores_of(device: Device, engine: str) -> float | None:
    """Cores of a CPU, counted as so many of its fastest; None if nobody says."""
    cores = table("names")["cores"]
    found = cores.get(device.name) or cores.get(f"{measured_name(device)}_cpu")
    return float(found) if found and device.engines[engine].kind in ("cpu", "mcu") else None


def ask(row: Row) -> Ask:
    """What a row asks; raises `Unpredictable` with the reason."""
    from edgewright.experiments.validation import asking_cluster, asking_llm, asking_nets, asking_network, asking_ops

    phase, engine, model = row.text("phase"), row.text("engine"), row.text("model")
    if row.value <= 0.0:
        raise Unpredictable("the measured value is not positive")
    if engine.startswith("distributed-llama"):
        return asking_cluster.ask_cluster(row)
    if phase == "peak":
        return asking_ops.ask_peak(row)
    if phase == "op" or model.startswith("attention heads="):
        return asking_ops.ask_op(row)
    if model.startswith("Transformer enc"):
        return asking_ops.ask_seq2seq(row)
    if model.startswith("whisper-"):
        return asking_ops.ask_whisper(row)
    if re.search(r"\(\d+ layers, \d+ heads, \d+\)", model):
        return asking_ops.ask_bert(row)
    if phase == "inference":
        return asking_nets.ask_net(row)
    if phase == "network":
        return asking_network.ask_network(row)
    return asking_llm.ask_llm(row)
