"""Importing the simulator is cheap: what is heavy is loaded where it is used."""

import pytest

HEAVY = ("matplotlib", "networkx", "numba", "pandas", "pint", "plotly", "pyarrow", "scipy")


def _loaded(run_fresh, statement):
    program = f"{statement}\nimport sys\nprint(*sorted(name for name in {HEAVY} if name in sys.modules))"
    return run_fresh(program).split()


@pytest.mark.parametrize("house", ["kernels", "hwmodels", "workloads", "policies", "simulator"])
def test_importing_a_house_loads_nothing_heavy(house, run_fresh):
    assert _loaded(run_fresh, f"import edgewright.{house}") == []


def test_listing_the_policies_loads_nothing_heavy(run_fresh):
    statement = "from edgewright.policies.registry import family_names, policies_of\nfor family in family_names(): policies_of(family)"
    assert _loaded(run_fresh, statement) == []


def test_a_small_run_loads_what_it_writes_with_and_nothing_else_that_is_heavy(run_fresh, tmp_path):
    words = ["run", "hello", "--quiet", "--json", "--set", "run.window=20 s", "--out", str(tmp_path / "out")]
    statement = "import contextlib, io\nfrom edgewright.experiments.cli import main\nwith contextlib.redirect_stdout(io.StringIO()):\n"
    assert _loaded(run_fresh, f"{statement}    main({words}, standalone_mode=False)") == ["plotly", "pyarrow"]


def test_a_heavy_import_would_be_seen(run_fresh):
    assert "pandas" in _loaded(run_fresh, "import pandas")
