"""Whether the busiest modules of the simulator are compiled (`compile_core`), and then that these are imported.

What was compiled lies beside the sources under a digest of them, and is used only as long as they are what they were.
`EDGEWRIGHT_COMPILED=off` leaves it aside, for tests and debuggers that reach into the modules.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from hashlib import blake2b
from pathlib import Path

__all__ = ["FOLDER", "GROUP", "HOUSES", "MODULES", "compiled_core", "digest"]

MODULES = (
    "answers",
    "availability",
    "blocks",
    "bound",
    "components",
    "courses",
    "energy",
    "engines",
    "following",
    "growing",
    "lane",
    "lifecycle",
    "machine",
    "operation",
    "recorder",
    "recovery",
    "replica",
    "request",
    "scaling",
    "service",
    "sharing",
    "sources",
    "stretch",
)
"""What is compiled, all together: a call from one to another costs little then."""

HOUSES = ("kernels", "hwmodels", "workloads", "policies", "simulator")
"""What their types and constants refer to."""

FOLDER = Path(__file__).parent / "_compiled"
"""Where what was compiled lies, in a folder named after the digest."""

GROUP = "edgewright_simulator"
"""What the library that they share is named after."""


def digest() -> str:
    """Of all sources that compiling looks at, and of this Python."""
    found = blake2b(repr((sys.version, sys.implementation.cache_tag, MODULES)).encode(), digest_size=8)
    for house in HOUSES:
        for file in sorted((FOLDER.parent.parent / house).rglob("*.py")):
            found.update(file.read_bytes())
    return found.hexdigest()


def compiled_core() -> Path | None:
    """Where what was compiled of these sources for this Python lies; None if it was not, or is left aside."""
    if os.environ.get("EDGEWRIGHT_COMPILED") == "off" or not FOLDER.is_dir():
        return None
    found = FOLDER / digest()
    return found if found.is_dir() else None


def _prefer(folder: Path) -> None:
    """From now on the simulator's modules are imported from there, if they are there; first the library that they share."""
    shared = next(folder.glob(f"{GROUP}__mypyc*"))
    spec = importlib.util.spec_from_file_location(shared.name.partition(".")[0], shared)
    if spec is None:
        raise ImportError(f"{shared} is no module of this Python; `python -m edgewright.simulator.compile_core` makes it anew")
    sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    sys.modules["edgewright.simulator"].__path__.insert(0, str(folder))


if (_core := compiled_core()) is not None:
    _prefer(_core)
