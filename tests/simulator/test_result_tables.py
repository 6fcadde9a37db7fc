"""Tables have exactly their columns, of their types; derived columns follow from the others."""

import numpy as np
import pytest

from edgewright.simulator.tables import TABLES, TableError, empty, rows_by, validated, validated_all, with_latencies

KV = {"replica": ["a"], "time_s": [0.5], "blocks": [3], "capacity_blocks": [8]}


def test_an_empty_table_is_valid_and_typed():
    kinds = {"str": "O", "int": "i", "float": "f", "bool": "b"}
    for name, table in TABLES.items():
        arrays = validated(name, empty(name))
        assert list(arrays) == list(table.names)
        assert [array.dtype.kind for array in arrays.values()] == [kinds[column.dtype] for column in table.columns]


def test_every_column_says_what_it_means():
    assert [f"{table.name}.{column.name}" for table in TABLES.values() for column in table.columns if not column.meaning] == []


def test_columns_named_in_seconds_joules_watts_and_bytes_have_that_unit():
    units = {"s": "s", "W": "W", "bytes": "B", "joules": "J", "J": "J", "C": "°C", "g": "g"}
    for table in TABLES.values():
        for column in table.columns:
            assert column.unit == units.get(column.name.rpartition("_")[2], ""), f"{table.name}.{column.name}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"block": [1]}, "unknown columns ['block']"),
        ({"blocks": [1, 2]}, "different lengths"),
        ({"blocks": [1.5]}, "'blocks': expected a column of int, got 1 dimension(s) of float64"),
        ({"blocks": ["1"]}, "expected a column of int"),
        ({"replica": [None]}, "'replica': expected a column of str, got 1 dimension(s) of NoneType"),
        ({"time_s": [[0.5]]}, "2 dimension(s)"),
        ({"time_s": [True]}, "expected a column of float"),
    ],
)
def test_a_bad_column_is_named(change, said):
    with pytest.raises(TableError) as caught:
        validated("kv", KV | change)
    assert said in str(caught.value)


def test_a_missing_column_is_named():
    with pytest.raises(TableError, match=r"missing columns \['blocks'\]"):
        validated("kv", {name: values for name, values in KV.items() if name != "blocks"})


def test_an_unknown_table_is_refused_with_those_accepted():
    with pytest.raises(TableError, match="unknown table 'job': accepted are jobs, steps"):
        validated_all({"job": {}})


def test_integers_become_floats_and_arrays_are_copied():
    times = np.array([1.0])
    kept = validated("kv", KV | {"time_s": times})
    times[0] = 9.0
    assert kept["time_s"][0] == 1.0
    assert validated("kv", KV | {"time_s": [2]})["time_s"].dtype == np.float64


def test_latencies_follow_from_times():
    jobs = {"status": ["completed"], "arrival_s": [10.0], "queued_s": [10.5], "scheduled_s": [11.0], "first_token_s": [12.0]}
    found = with_latencies(jobs | {"finished_s": [15.0], "output_tokens": [4], "deadline_s": [14.0]}, end_s=20.0)
    assert (found["ttft_s"][0], found["e2e_s"][0], found["queue_s"][0]) == (2.0, 5.0, 0.5)
    assert found["tpot_s"][0] == 1.0  # 3 s for the 3 tokens after the first
    assert found["missed"][0]  # 15 s > 14 s


def test_what_was_never_reached_has_no_latency():
    nan = float("nan")
    status = ["in_flight", "in_flight", "rejected", "failed", "completed", "completed"]
    jobs = {"status": status, "arrival_s": [0.0] * 6, "queued_s": [0.0] * 6, "scheduled_s": [1.0, nan, nan, 1.0, 1.0, 1.0]}
    jobs |= {"first_token_s": [2.0, nan, nan, nan, 2.0, 2.0], "finished_s": [nan, nan, 0.0, 3.0, 2.0, 2.0]}
    found = with_latencies(jobs | {"output_tokens": [5, 0, 0, 0, 1, 0], "deadline_s": [9.0, 11.0, 9.0, nan, nan, 2.0]}, end_s=10.0)
    assert np.isnan(found["ttft_s"]).tolist() == [False, True, True, True, False, True]  # the last one is a frame: no token
    assert np.isnan(found["tpot_s"]).all()  # one token has no time per token after the first
    assert np.isnan(found["e2e_s"]).tolist() == [True, True, True, True, False, False]
    assert found["missed"].tolist() == [True, False, True, False, False, False]


def test_rows_by_name_keep_their_order():
    rows = rows_by(np.array(["b", "a", "b", "c", "b"], object))
    assert {name: list(each) for name, each in rows.items()} == {"b": [0, 2, 4], "a": [1], "c": [3]}
    assert list(rows) == ["b", "a", "c"]
    assert rows_by(np.array([], object)) == {}
