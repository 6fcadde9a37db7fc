"""Build the native library in place: `python -m edgewright.kernels.native.build`.

For a checkout that is used without being installed, or installed where there was no compiler. Uses the compiler that `CC` names, else
`cc`, `gcc` or `clang`. `pip install` builds the same files by the `ext-modules` of `pyproject.toml`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["FLAGS", "SOURCES", "NoCompiler", "build", "compiler", "main"]

SOURCES = Path(__file__).parent
"""Where the C files lie."""
FLAGS = ("-O3", "-std=gnu11", "-Wall", "-Wextra", "-fPIC", "-fvisibility=hidden", "-shared")
"""How they are compiled. No architecture is named: code paths are chosen at run time."""


class NoCompiler(RuntimeError):
    """There is no C compiler, or it failed; the message says which."""


def compiler() -> str | None:
    """The C compiler, `None` if there is none."""
    named = os.environ.get("CC")
    return next(filter(None, map(shutil.which, [named] if named else ["cc", "gcc", "clang"])), None)


def build(target: Path, cc: str | None = None) -> Path:
    """Compile the library to `target`, which is replaced in one step; returns it. Raises `NoCompiler`."""
    chosen = cc or compiler()
    if chosen is None:
        raise NoCompiler("no C compiler: neither cc, gcc nor clang is on the path, and CC names none")
    part = target.with_name(f"{target.name}.{os.getpid()}")
    command = [chosen, *FLAGS, "-o", str(part), *map(str, sorted(SOURCES.glob("*.c"))), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise NoCompiler(f"{' '.join(command)} failed:\n{done.stderr}")
    part.replace(target)
    return target


def main() -> int:
    """Build beside the sources, and say where. Returns the exit status."""
    try:
        print(build(SOURCES / "_edgewright.so"))
    except NoCompiler as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
