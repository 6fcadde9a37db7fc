"""The committed golden predictions are those that the code makes, and their drift is shown for what it is."""

from math import inf, nan

import pytest
from click.testing import CliRunner

from edgewright.experiments.golden import TOLERANCE, Drift, Prediction, drifts, main, predictions, read_table, write_table


@pytest.fixture(scope="module")
def computed():
    """What the code predicts now."""
    return predictions()


def test_the_committed_table_is_current(computed):
    moved = [row for row in drifts(read_table(), computed) if row.size > TOLERANCE]
    assert moved == [], "if the drift is meant: python -m edgewright.experiments.golden --update, and commit it with the change"


def test_every_prediction_takes_time_and_energy(computed):
    assert len(computed) >= 40
    assert all(0 < each.seconds < inf and 0 < each.joules < inf for each in computed.values())


def test_drift_is_relative_and_the_largest_stands_first():
    old = {"same": Prediction(1.0, 2.0), "a little": Prediction(4.0, 2.0), "a lot": Prediction(1.0, 10.0), "gone": Prediction(1.0, 1.0)}
    new = {"same": Prediction(1.0, 2.0), "a little": Prediction(4.4, 2.0), "a lot": Prediction(1.0, 5.0), "new": Prediction(1.0, 1.0)}
    rows = drifts(old, new)
    assert [row.name for row in rows] == ["new", "gone", "a lot", "a little", "same"]
    assert [row.size for row in rows] == pytest.approx([inf, inf, 0.5, 0.1, 0.0])
    assert (rows[2].seconds, rows[2].joules) == (0.0, -0.5)


@pytest.mark.parametrize(("before", "now"), [(0.0, 1e-30), (1.0, nan), (nan, 1.0)])
def test_what_cannot_be_compared_has_drifted(before, now):
    assert Drift("x", Prediction(before, 1.0), Prediction(now, 1.0)).size == inf


def test_a_table_keeps_every_digit(tmp_path):
    found = {"a, with a comma": Prediction(0.1 + 0.2, 1e-300), "b": Prediction(1 / 3, 2e9)}
    write_table(found, tmp_path / "table.csv")
    assert read_table(tmp_path / "table.csv") == found
    assert read_table(tmp_path / "none.csv") == {}


def _run(*arguments):
    return CliRunner().invoke(main, [str(each) for each in arguments])


def test_drift_is_printed_and_only_strictness_makes_it_fail(tmp_path):
    table = tmp_path / "table.csv"
    committed = read_table()
    name, first = next(iter(committed.items()))
    write_table(committed | {name: Prediction(first.seconds / 1.25, first.joules)}, table)
    shown = _run("--table", table)
    assert shown.exit_code == 0
    top = shown.stdout.splitlines()[1]
    assert top.startswith(name)
    assert "+0.25" in top
    assert shown.stdout.endswith(f"1 of {len(committed)} predictions drifted by more than 1e-09; the largest: {name} (+0.25)\n")
    assert _run("--table", table, "--strict").exit_code == 1


def test_an_update_leaves_no_drift(tmp_path):
    table = tmp_path / "table.csv"
    assert _run("--table", table, "--update", "--strict").exit_code == 1  # all of it was new
    assert [row for row in drifts(read_table(), read_table(table)) if row.size > TOLERANCE] == []
    again = _run("--table", table, "--strict")
    assert again.exit_code == 0
    assert again.stdout.endswith("predictions drifted by more than 1e-09\n")
