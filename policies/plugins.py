"""Code of the user's that registers policies, loaded from a file by name: `edgewright run --plugin mine.py`.

Only who runs a scenario can name such a file; a scenario cannot. An installed package registers through
entry points instead (`registry.py`).
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

__all__ = ["PluginError", "load", "loaded"]

_LOADED: dict[Path, str] = {}


class PluginError(ValueError):
    """A plugin that is no file of Python, or that failed while it was loaded; the message says where."""


def load(paths: Iterable[str | Path]) -> None:
    """Run files of Python, each once per process, as modules that can be imported by name afterwards (`edgewright_plugin_<name>_<digest>`).

    Raises `PluginError`, and leaves no module behind, for a file that does not exist, is not Python, or raises.
    """
    for path in map(Path, paths):
        found = path.resolve()
        if found in _LOADED:
            continue
        if found.suffix != ".py" or not found.is_file():
            raise PluginError(f"{path}: is no plugin; accepted: an existing file of Python (`.py`)")
        digest = hashlib.sha256(found.read_bytes()).hexdigest()
        _run(found, f"edgewright_plugin_{found.stem}_{digest[:8]}")
        _LOADED[found] = digest


def loaded() -> dict[str, str]:
    """Files that this process has loaded, in order, with their SHA-256."""
    return {str(path): digest for path, digest in _LOADED.items()}


def _run(path: Path, name: str) -> None:
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise PluginError(f"{path}: failed while it was loaded: {type(error).__name__}: {error}") from error
