"""Compile the busiest modules of the simulator: `python -m edgewright.simulator.compile_core`, some minutes, once.

They are the same sources, by mypyc (a part of mypy), so that nothing is written twice; without them everything runs as it does, but slower
(`experiments/benchmarks/README.md`: a fleet of boards by three quarters, a cluster by a quarter). Asks for a C compiler, and for
`pip install 'edgewright[compiled]'`. `compiled` says when what was compiled is used.

How wrong: arithmetic is that of the interpreter, double by double (fused multiply-adds are switched off). What a subclass or a test puts
into a compiled class from outside is refused with a `TypeError`.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from edgewright.simulator.compiled import FOLDER, GROUP, HOUSES, MODULES, digest

__all__ = ["CannotCompile", "compile_core", "main"]

_OPTIONS = ("--explicit-package-bases", "--follow-imports=silent", "--ignore-missing-imports", "--disable-error-code=import-untyped")
_SETUP = """
from mypyc.build import mypycify
from setuptools import setup
setup(name={group!r}, ext_modules=mypycify({options!r}, group_name={group!r}, debug_level="0"))
"""


class CannotCompile(RuntimeError):
    """Something that compiling needs is not there, or it failed; the message says which."""


def compile_core() -> Path:
    """Compile, and return where it lies; what was compiled of other sources goes. Raises `CannotCompile`."""
    if not all(map(importlib.util.find_spec, ("mypyc", "setuptools"))):
        raise CannotCompile("mypy and setuptools are needed to compile: pip install 'edgewright[compiled]'")
    with tempfile.TemporaryDirectory() as name:
        _copy_sources(Path(name))
        flags = f"{os.environ.get('CFLAGS', '')} -ffp-contract=off".strip()
        environment = os.environ | {"MYPYPATH": name, "CFLAGS": flags}
        command = [sys.executable, "setup.py", "build_ext", "--build-lib", "out"]
        done = subprocess.run(command, cwd=name, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise CannotCompile(f"compiling failed:\n{(done.stdout + done.stderr)[-4000:]}")
        return _keep(Path(name) / "out")


def _copy_sources(work: Path) -> None:
    """The modules to compile with all that their types refer to, and how to."""
    for house in HOUSES:
        shutil.copytree(FOLDER.parent.parent / house, work / "edgewright" / house, ignore=shutil.ignore_patterns("_compiled", "*.so"))
    options = [*_OPTIONS, *(f"edgewright/simulator/{module}.py" for module in MODULES)]
    (work / "setup.py").write_text(_SETUP.format(group=GROUP, options=options), encoding="utf-8")


def _keep(out: Path) -> Path:
    """Put what was compiled where it is looked for, in one step."""
    target = FOLDER / digest()
    shutil.rmtree(FOLDER, ignore_errors=True)
    fresh = FOLDER / f"{target.name}.{os.getpid()}"
    fresh.mkdir(parents=True)
    for file in out.rglob("*"):
        if file.name.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES)):
            shutil.copy2(file, fresh)
    fresh.rename(target)
    return target


def main() -> int:
    """Compile, and say where it lies. Returns the exit status."""
    try:
        print(compile_core())
    except CannotCompile as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
