"""Models by name: their published shapes, written down as configurations, read when asked for.

Language models are Hugging Face configurations (the keys that decide sizes), one JSON file each; vision models are built from their
papers' layer tables (`vision_nets.py`). `names()` lists them all.
"""

from __future__ import annotations

import json
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

from edgewright.workloads.hf import from_config
from edgewright.workloads.model import Model
from edgewright.workloads.vision_nets import NETS

__all__ = ["UnknownModel", "model", "names"]


class UnknownModel(ValueError):
    """No model of that name; the message lists those there are and the nearest."""


@cache
def model(name: str) -> Model:
    """The model of that name (case does not matter), built once per process; raises `UnknownModel`."""
    wanted = name.lower()
    if wanted in _configured():
        text = files(__name__).joinpath(f"{wanted}.json").read_text(encoding="utf-8")
        return from_config(json.loads(text), wanted)
    if wanted in NETS:
        return NETS[wanted]()
    near = get_close_matches(wanted, names(), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UnknownModel(f"unknown model {name!r}: accepted are {', '.join(names())}{hint}")


def names() -> tuple[str, ...]:
    """Names of all models, sorted."""
    return tuple(sorted((*_configured(), *NETS)))


@cache
def _configured() -> frozenset[str]:
    return frozenset(each.name.removesuffix(".json") for each in files(__name__).iterdir() if each.name.endswith(".json"))
