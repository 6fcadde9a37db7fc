"""`Result`: frames, rows and files."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from edgewright.simulator.result import Result
from edgewright.simulator.result_meta import Meta, MetaError
from edgewright.simulator.tables import TABLES


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_every_table_is_a_frame_with_units(made_up):
    result = made_up()
    for name, table in TABLES.items():
        frame = getattr(result, name)
        assert tuple(frame.columns) == table.names
        assert len(frame) > 0 or name == "intervals"  # which has rows where they were asked for
    assert result.jobs.attrs["units"]["ttft_s"] == "s"
    assert result.jobs["service"].dtype == "str"
    assert set(result.links["kind"]) == {"link"}


def test_changing_a_frame_changes_nothing_else(made_up):
    result = made_up()
    before = result.row()["ttft_p50_s"]
    result.jobs.loc[:, "ttft_s"] = 99.0
    assert Result(result.meta, result.tables).row()["ttft_p50_s"] == before


def test_summary_is_a_frame_of_figures(made_up):
    summary = made_up().summary()
    assert list(summary.columns) == ["scope", "name", "metric", "value", "unit"]
    assert not summary.duplicated(["scope", "name", "metric"]).any()
    assert set(summary["scope"]) == {"total", "service", "domain", "device", "resource", "pool", "allocation", "replica", "link"}


def test_rows_of_several_runs_make_a_frame(made_up):
    runs = pd.DataFrame([made_up(seed=seed).row() for seed in (1, 2)])
    assert runs["seed"].tolist() == [1, 2]
    assert runs["ttft_p50_s"].notna().all()
    assert "rack.peak_power_W" in made_up().row(detail=True)


def test_a_result_reads_back_as_it_was_written(made_up, tmp_path):
    result = made_up()
    result.write(tmp_path / "out")
    again = Result.read(tmp_path / "out")
    assert again.meta == result.meta
    for name, columns in result.tables.items():
        for column, values in columns.items():
            np.testing.assert_array_equal(again.tables[name][column], values)
            assert again.tables[name][column].dtype == values.dtype
    again.write(tmp_path / "again")
    assert contents(tmp_path / "again") == contents(tmp_path / "out")


def test_empty_tables_read_back(bare, tmp_path):
    bare().write(tmp_path / "out")
    assert len(Result.read(tmp_path / "out").jobs) == 0


def test_a_result_directory_is_complete_and_says_what_it_holds(made_up, tmp_path):
    made_up().write(tmp_path / "out")
    assert set(contents(tmp_path / "out")) == {"run.json", "trace.perfetto.json", "report.html", *(f"{name}.parquet" for name in TABLES)}
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert set(run["meta"]) == set(Meta.__annotations__)
    assert run["figures"]["chat.0.expert_hit_rate"] is None  # no experts: unknown, not 0
    assert run["figures"]["jobs"] == 158


def test_columns_carry_unit_and_meaning_into_parquet(made_up, tmp_path):
    import pyarrow.parquet as pq

    made_up().to_parquet(tmp_path)
    field = pq.read_schema(tmp_path / "jobs.parquet").field("ttft_s")
    assert field.metadata[b"unit"] == b"s"
    assert field.metadata[b"meaning"].startswith(b"time to first token")


def test_the_same_tables_give_the_same_bytes_in_another_process(made_up, tmp_path):
    made_up().write(tmp_path / "here")
    program = "import sys; from edgewright.simulator.result import Result; Result.read(sys.argv[1]).write(sys.argv[2])"
    environment = {"PYTHONHASHSEED": "4242", "TZ": "Asia/Kathmandu"}  # and nothing else: linear algebra may choose other kernels, too
    subprocess.run([sys.executable, "-W", "error", "-c", program, tmp_path / "here", tmp_path / "there"], check=True, env=environment)
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


def test_an_earlier_result_is_replaced_and_nothing_is_left_over(made_up, tmp_path):
    made_up(seed=1).write(tmp_path / "out")
    made_up(seed=2).write(tmp_path / "out")
    assert Result.read(tmp_path / "out").meta["seed"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_is_not_a_result_is_left_alone(made_up, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    with pytest.raises(FileExistsError, match=r"is not a result directory \(it holds no run.json\): nothing was written"):
        made_up().write(tmp_path / "thesis")
    assert contents(tmp_path / "thesis") == {"chapter.tex": b"years of work"}
    assert [path.name for path in tmp_path.iterdir()] == ["thesis"]


def test_a_failure_half_way_leaves_the_earlier_result(made_up, tmp_path, monkeypatch):
    made_up(seed=1).write(tmp_path / "out")
    monkeypatch.setattr(Result, "report", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        made_up(seed=2).write(tmp_path / "out")
    assert Result.read(tmp_path / "out").meta["seed"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_reading_nothing_says_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"is not a result directory: it holds no run.json"):
        Result.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sead": 1}, r"unknown keys \['sead'\]"),
        ({"slo": {"chat": {"ttft_s": float("nan")}}}, "'slo' cannot be written as JSON"),
        ({"scenario": {"when": object()}}, "'scenario' cannot be written as JSON"),
        ({"window": (5.0, 5.0)}, r"window \[5.0, 5.0\) is empty"),
    ],
)
def test_bad_metadata_is_refused(made_up, change, said):
    with pytest.raises(MetaError, match=said):
        Result(made_up().meta | change, {})
