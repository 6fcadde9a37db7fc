"""The repository as the tests of this folder see it: houses from the lowest to the highest, and the files that git would hold."""

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOUSES = ("kernels", "hwmodels", "workloads", "policies", "simulator", "experiments")


@pytest.fixture(scope="session")
def houses():
    """The houses' names, lowest first: each may import those before it."""
    return HOUSES


@pytest.fixture(scope="session")
def files():
    """Paths, relative to the root, of all files that are tracked or would be: what is ignored is left out."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: what belongs to the project is not known")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    found = (Path(name) for name in listed.stdout.decode().split("\0") if name)
    return tuple(sorted(path for path in found if (ROOT / path).is_file()))


@pytest.fixture(scope="session")
def modules():
    """Syntax trees of all modules of the package, by dotted name without `edgewright.`; a package stands under its own name."""
    trees = {}
    for house in HOUSES:
        for path in sorted((ROOT / house).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            trees[name] = ast.parse(path.read_text(), str(path))
    return trees
