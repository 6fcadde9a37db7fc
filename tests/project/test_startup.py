"""Importing the simulator is cheap: what is heavy is loaded where it is used."""

import pytest

HEAVY = ("matplotlib", "numba", "pandas", "pint", "plotly", "pyarrow", "scipy")


def _loaded(run_fresh, statement):
    program = f"{statement}\nimport sys\nprint(*sorted(name for name in {HEAVY} if name in sys.modules))"
    return run_fresh(program).split()


@pytest.mark.parametrize("house", ["kernels", "hwmodels", "workloads", "policies", "simulator"])
def test_importing_a_house_loads_nothing_heavy(house, run_fresh):
    assert _loaded(run_fresh, f"import edgewright.{house}") == []


def test_listing_the_policies_loads_nothing_heavy(run_fresh):
    statement = "from edgewright.policies.registry import family_names, policies_of\nfor family in family_names(): policies_of(family)"
    assert _loaded(run_fresh, statement) == []


def test_a_heavy_import_would_be_seen(run_fresh):
    assert "pandas" in _loaded(run_fresh, "import pandas")
