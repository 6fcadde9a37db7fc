"""Models from a Hugging Face `config.json`.

The traps are handled in `hf_readers.py` and nowhere else: `head_dim` that is not hidden/heads, tied embeddings whose default differs by
family, experts named three ways, windows on some layers only. Text models inside multimodal configurations are taken out here.

How accurate is this? Parameter counts equal the published checkpoints exactly (tests/workloads/test_zoo_golden.py); buffers that are no
parameters (rotary tables) are not counted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgewright.workloads.hf_config import BadConfig, Config
from edgewright.workloads.hf_readers import READERS
from edgewright.workloads.model import Model

__all__ = ["BadConfig", "accepted_types", "from_config"]

_WRAPPED = {"gemma3": "gemma3_text"}


def from_config(config: Mapping[str, Any] | str | Path, name: str | None = None) -> Model:
    """The model of a `config.json`, given as a mapping or a path.

    `name` defaults to the configuration's `_name_or_path`, or the name of the file's folder, or its `model_type`. Raises `BadConfig` for an
    unknown architecture or an unusable figure, naming what is accepted.
    """
    data, label = _read(config)
    kind = str(data.get("model_type"))
    if kind in _WRAPPED:
        data, kind = data.get("text_config", data), _WRAPPED[kind]
    if kind not in READERS:
        raise BadConfig(f"{label}: model_type {kind!r} is unknown; accepted are {', '.join(accepted_types())}")
    return READERS[kind](Config(data, name or label))


def accepted_types() -> tuple[str, ...]:
    """The values of `model_type` that can be read, sorted."""
    return tuple(sorted({*READERS, *_WRAPPED}))


def _read(config: Mapping[str, Any] | str | Path) -> tuple[Mapping[str, Any], str]:
    if isinstance(config, Mapping):
        return config, str(config.get("_name_or_path") or config.get("model_type") or "model")
    path = Path(config)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadConfig(f"{path}: not a readable JSON configuration ({error})") from error
    if not isinstance(data, dict):
        raise BadConfig(f"{path}: not a configuration; accepted is a JSON object")
    return data, str(data.get("_name_or_path") or path.resolve().parent.name)
