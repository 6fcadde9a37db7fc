"""Results that are written as they come: the same bytes, the same figures, and no row kept that has been written."""

import filecmp
from collections import Counter
from math import fsum
from pathlib import Path
from tempfile import TemporaryDirectory
from weakref import ref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.simulator import Scenario, Simulation, growing, perfetto, recorder, simulate, stored, summary, summary_jobs
from edgewright.simulator.growing import Growing, Texts
from edgewright.simulator.recorder_sink import STREAMED, Sink
from edgewright.simulator.report import latency, timeline
from edgewright.simulator.result import Result
from edgewright.simulator.stored import StoredTable, TableWriter, groups, rows_at
from edgewright.simulator.summary_quantiles import coarse_distribution, distribution, quantiles, quantiles_in_groups
from edgewright.simulator.summary_steps import RoundedOnce
from edgewright.simulator.tables import TABLES, Coded, Codes, TableError


@pytest.fixture
def small_groups(monkeypatch):
    """Groups of a few rows, so that short runs fill many; 3 rows that wait for each other, 13 gaps gathered at once."""
    monkeypatch.setattr(stored, "ROWS", 7)
    monkeypatch.setattr(recorder, "ROWS", 7)
    monkeypatch.setattr(recorder, "GAPS", 13)
    monkeypatch.setattr(growing, "TOGETHER", 3)


@pytest.mark.parametrize(("name", "window", "held"), [("hello", "150 s", True), ("unreliable", "150 s", True), ("hello", "90 s", False)])
def test_streamed_and_kept_results_have_the_same_bytes(name, window, held, small_groups, monkeypatch, tmp_path):
    """`held`: whether tables count as small; those that are not are gone through in groups, wherever they are."""
    for module in (stored, summary, summary_jobs, perfetto, latency, timeline):
        monkeypatch.setattr(module, "KEPT", stored.KEPT if held else 0)
    scenario = Scenario.load(name).override({"run.window": window})
    kept, streamed = simulate(scenario), simulate(scenario, out=tmp_path / "streamed")
    kept.write(tmp_path / "kept")
    names = sorted(each.name for each in (tmp_path / "kept").iterdir())
    assert names == sorted(each.name for each in (tmp_path / "streamed").iterdir())
    assert filecmp.cmpfiles(tmp_path / "kept", tmp_path / "streamed", names, shallow=False) == (names, [], [])
    assert len(kept.tables["jobs"]["job"]) > 7, "no group was filled: the test would show nothing"
    assert kept.summary().equals(streamed.summary())
    assert kept.jobs.equals(streamed.jobs)


def test_rows_that_were_written_are_not_kept(small_groups, tmp_path):
    simulation = Simulation(Scenario.load("hello").override({"run.window": "20 min"}), Sink(tmp_path))
    simulation.run_until(simulation.end)
    rows = simulation.recorder.growing
    assert simulation.recorder.over["completed"] > 50
    assert all(len(rows[name]) < 7 + 3 for name in STREAMED)
    assert not simulation.recorder.open


def test_figures_of_large_stored_tables_are_those_of_small_ones(monkeypatch, tmp_path):
    scenario = Scenario.load("hello")
    simulate(scenario, out=tmp_path / "out")
    small = Result.read(tmp_path / "out").summary()
    monkeypatch.setattr(stored, "KEPT", 0)
    monkeypatch.setattr(summary, "KEPT", 0)
    assert Result.read(tmp_path / "out").summary().equals(small)


def test_columns_are_read_as_often_whatever_the_number_of_resources(monkeypatch, tmp_path):
    """What is too large to be kept is read from the file each time: so never once per device or link."""
    monkeypatch.setattr(stored, "KEPT", 0)
    read, reads = stored.StoredTable._read, []

    def counting(table, column):
        reads[-1] += 1
        return read(table, column)

    monkeypatch.setattr(stored.StoredTable, "_read", counting)
    for devices in (1, 5):
        replicas = [{"name": "only", "each": "pi"}]
        scenario = Scenario.load("hello").override({"cluster.devices.pi.count": devices, "services.chat.replicas": replicas})
        reads.append(0)
        simulate(scenario, out=tmp_path / str(devices))
        reads[-1] = 0
        assert len(Result.read(tmp_path / str(devices)).metrics) > 20
    assert reads[0] == reads[1] > 0


def test_of_large_tables_the_summary_holds_one_column_at_a_time_and_report_and_trace_none(monkeypatch, tmp_path):
    """What grows with requests is gone through: whole, a column of 14 million jobs takes 115 MB, and eight of them a gigabyte."""
    simulate(Scenario.load("hello"), out=tmp_path / "out")
    for module in (stored, summary, summary_jobs, perfetto, latency, timeline):
        monkeypatch.setattr(module, "KEPT", 0)
    read, reads, held = stored.StoredTable._read, Counter(), []

    def noting(table, column):
        found = read(table, column)
        if table.name in ("jobs", "steps", "itl", "queue", "kv"):
            reads[table.name, column] += 1
            held.append(ref(found))
            assert sum(each() is not None for each in held) == 1, f"{column} is read while another column is still held"
        return found

    monkeypatch.setattr(stored.StoredTable, "_read", noting)
    result = Result.read(tmp_path / "out")
    assert len(result.metrics) > 20
    assert set(reads.values()) == {1}, reads
    reads.clear()
    result.report(tmp_path / "report.html")
    result.to_perfetto(tmp_path / "trace.json")
    assert not reads


@given(st.lists(st.integers(0, 29), max_size=9))
def test_rows_of_a_file_are_those_of_the_columns(rows):
    columns = {"replica": np.array([f"r{at % 3}" for at in range(30)], object), "time_s": np.arange(30.0)}
    columns |= {"waiting": np.arange(30), "running": np.arange(30, 0, -1)}
    chosen = np.array(rows, np.intp)
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored, "ROWS", 7)
        writer = TableWriter("queue", Path(folder))
        for group in groups(columns, tuple(columns)):
            writer.put(group)
        writer.close()
        found = rows_at(StoredTable("queue", Path(folder)), ("replica", "time_s", "running"), chosen)
    expected = rows_at(columns, ("replica", "time_s", "running"), chosen)
    assert {name: values.tolist() for name, values in found.items()} == {name: values.tolist() for name, values in expected.items()}


@given(st.lists(st.lists(st.sampled_from(["a", "b", "", "c"]), max_size=5), max_size=6))
def test_names_are_numbered_as_they_appear(parts):
    codes, first = Codes(), list(dict.fromkeys(name for part in parts for name in part))
    assert [codes.of(np.array(part, object)).tolist() for part in parts] == [[first.index(name) for name in part] for part in parts]
    assert codes.names == first


@given(st.lists(st.tuples(st.permutations(["a", "b", "", "c"]), st.lists(st.integers(0, 3), max_size=5)), max_size=6))
def test_coded_names_are_numbered_as_their_texts_are(parts):
    coded, plain = Codes(), Codes()
    for names, chosen in parts:
        column = Coded(names, np.array(chosen, np.int32))
        assert len(column) == len(chosen)
        np.testing.assert_array_equal(coded.of(column), plain.of(column.texts()))
    assert coded.names == plain.names


def test_jobs_stand_in_the_order_in_which_they_were_asked(small_groups):
    """Two boards, one slow: answers overtake each other, rows do not; who is not over comes where it was asked."""
    scenario = Scenario.load("unreliable").override({"run.window": "3 min", "run.drain": "0 s"})
    jobs = simulate(scenario).tables["jobs"]
    assert np.any(np.diff(jobs["finished_s"]) < 0.0)
    assert "in_flight" in jobs["status"]
    assert np.all(np.diff(jobs["arrival_s"]) >= 0.0)


def test_a_growing_table_gives_what_was_put_in():
    rows = Growing("kv")
    rows.add(("a", 1.0, 2, 9))
    rows.extend({"replica": "b", "time_s": np.array([2.0, 3.0]), "blocks": np.array([4, 5]), "capacity_blocks": np.array([9, 9])})
    rows.columns["blocks"][0] = 3
    first = rows.take(2)
    assert first.pop("replica").texts().tolist() == ["a", "b"]
    assert {name: values.tolist() for name, values in first.items()} == {
        "time_s": [1.0, 2.0],
        "blocks": [3, 4],
        "capacity_blocks": [9, 9],
    }
    assert [values.tolist() for values in rows.first(1).values()] == [["b"], [3.0], [5], [9]]
    assert (len(rows), rows.columns["replica"][0], list(rows.columns["replica"])) == (1, "b", ["b"])


@given(st.lists(st.lists(st.sampled_from(["a", "b", "", "c"]), max_size=5), max_size=6), st.integers(0, 9), st.data())
def test_texts_are_what_was_put_in_however_it_came(parts, taken, data):
    texts, expected = Texts(), []
    for part in parts:
        way = data.draw(st.sampled_from(["put", "repeat", "extend"]))
        if way == "put":
            texts.put(part)
        elif way == "repeat":
            part = part[:1] * len(part)
            if part:
                texts.repeat(part[0], len(part))
        else:
            known = ["c", "b", "a", ""]
            texts.extend(known, np.array([known.index(each) for each in part], np.int64))
        expected += part
    assert texts.values(min(taken, len(expected))).tolist() == expected[:taken]
    assert texts.coded(min(taken, len(expected))).texts().tolist() == expected[:taken]
    del texts[:taken]
    expected = expected[taken:]
    texts.put(("b",))
    expected.append("b")
    assert (len(texts), list(texts), texts[-1], texts[1:3]) == (len(expected), expected, "b", expected[1:3])
    assert texts.values(len(expected)).tolist() == expected


def test_rows_that_were_lent_stay_as_they_were_when_more_come():
    rows = Growing("kv")
    rows.add(("a", 1.0, 2, 9))
    lent = rows.lend()
    rows.add(("b", 2.0, 3, 9))
    again = rows.lend()
    rows.extend({"replica": "b", "time_s": np.array([3.0]), "blocks": np.array([4]), "capacity_blocks": np.array([9])})
    assert [values.tolist() for values in lent.values()] == [["a"], [1.0], [2], [9]]
    assert [values.tolist() for values in again.values()] == [["a", "b"], [1.0, 2.0], [2, 3], [9, 9]]
    assert rows.first(3)["blocks"].tolist() == [2, 3, 4]


def test_a_growing_table_refuses_rows_that_do_not_fit():
    rows = Growing("kv")
    with pytest.raises(ValueError, match="2 cells in a table of 4"):
        rows.add(("a", 1.0))
    rows.add(("a", 1.0, 2.5, 9))
    with pytest.raises(TypeError):
        rows.first(1)


def test_a_stored_table_of_other_columns_is_refused(tmp_path):
    writer = TableWriter("queue", tmp_path)
    writer.close()
    (tmp_path / "queue.parquet").rename(tmp_path / "kv.parquet")
    with pytest.raises(TableError, match=r"'kv'.*blocks.*capacity_blocks.*running.*waiting"):
        StoredTable("kv", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no queue\.parquet"):
        StoredTable("queue", Path(tmp_path))


def test_every_column_of_every_kind_comes_back(tmp_path):
    rows = {
        each.name: np.array(
            {"str": ["", "ä", "b"], "int": [-1, 0, 2**53], "float": [np.nan, np.inf, 0.1], "bool": [True, False, True]}[each.dtype]
        )
        for each in TABLES["jobs"].columns
    }
    rows = {name: values.astype(object) if values.dtype.kind == "U" else values for name, values in rows.items()}
    writer = TableWriter("jobs", tmp_path)
    writer.put(rows)
    writer.put(rows)
    writer.close()
    for name, values in StoredTable("jobs", tmp_path).items():
        np.testing.assert_array_equal(values, np.concatenate((rows[name], rows[name])))


VALUES = st.floats(0.0, 1e9) | st.sampled_from([0.0, -0.0, 0.01, np.nan])


@given(st.lists(st.lists(st.tuples(VALUES, st.integers(0, 5)), max_size=8), max_size=6))
def test_quantiles_of_groups_are_those_of_all_values(groups):
    arrays = [(np.array([v for v, _ in group]), np.array([float(w) for _, w in group])) for group in groups]
    levels = [0.01, 0.5, 0.9, 1.0]
    values, weights = (np.concatenate([pair[side] for pair in arrays] or [np.empty(0)]) for side in (0, 1))
    np.testing.assert_array_equal(quantiles_in_groups(lambda: iter(arrays), levels), quantiles(values, levels, weights))


@given(st.lists(VALUES | st.floats(-1e9, 1e9), max_size=60), st.lists(st.floats(1e-6, 1.0), max_size=4))
def test_quantiles_without_weights_are_those_of_equal_weights(values, levels):
    levels = [*levels, 0.5, 0.9, 0.99, 1.0]
    np.testing.assert_array_equal(quantiles(np.array(values), levels), quantiles(np.array(values), levels, np.ones(len(values))))


def test_quantiles_of_groups_refuse_values_below_zero():
    with pytest.raises(ValueError, match="below 0"):
        quantiles_in_groups(lambda: iter([(np.array([-1.0]), np.ones(1))]), [0.5])


@given(st.lists(st.lists(st.tuples(VALUES.filter(lambda v: not 0 < v < 1e-300), st.integers(0, 5)), max_size=8), max_size=6))
def test_a_coarse_distribution_is_that_of_values_rounded_down_by_less_than_one_part_in_1024(groups):
    arrays = [(np.array([v for v, _ in group]), np.array([float(w) for _, w in group])) for group in groups]
    values, weights = (np.concatenate([pair[side] for pair in arrays] or [np.empty(0)]) for side in (0, 1))
    exact, shares = distribution(values, weights)
    found, reached = coarse_distribution(iter(arrays))
    at = np.searchsorted(found, exact, side="right") - 1
    assert np.all((found[at] <= exact) & (exact <= found[at] * (1 + 2**-10)))
    last = np.flatnonzero(np.diff(at, append=len(found)))
    np.testing.assert_allclose(reached, shares[last], rtol=1e-12)


@given(st.lists(st.lists(st.floats(-1e300, 1e300) | st.integers(-(2**60), 2**60).map(float), max_size=9), max_size=5))
def test_a_sum_in_groups_is_rounded_once(groups):
    total = RoundedOnce()
    for group in groups:
        total.add(np.array(group, np.float64))
    assert float(total) == fsum(value for group in groups for value in group)
