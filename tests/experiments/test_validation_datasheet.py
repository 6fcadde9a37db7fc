"""What devices are off by that nobody calibrated: from rows to the table of the catalogue."""

from math import log

import pytest
import yaml
from click.testing import CliRunner

from edgewright.experiments.validation import datasheet
from edgewright.experiments.validation.asking import ask
from edgewright.experiments.validation.rows import COLUMNS, read_rows
from edgewright.hwmodels import price

ROW = {
    "device_id": "jetson_agx_orin_64gb",
    "engine": "llama.cpp",
    "model": "Llama-2-7B",
    "params_B": "6.74",
    "dtype": "Q4_0",
    "phase": "decode",
    "prompt_tokens": "0",
    "context": "128",
    "batch": "1",
    "metric": "throughput",
    "unit": "tok/s",
}


@pytest.fixture
def measured(tmp_path):
    """`measured(*values) -> path`: a file of decoding rates."""

    def write(*values):
        lines = [",".join(COLUMNS)] + [",".join((ROW | {"value": str(value)}).get(column, "") for column in COLUMNS) for value in values]
        path = tmp_path / "rates.csv"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def test_a_row_is_compared_with_the_datasheet_and_no_software(measured):
    path = measured(20.0, 10.0)
    rows = list(read_rows(path))
    question = ask(rows[0])
    alone = float(price(question.work, question.device, question.engine).seconds) / question.factor
    times, powers = datasheet.learned(rows)
    assert not powers
    (found,) = times["cuda"].values()
    assert found == pytest.approx([log(1 / 20.0 / alone), log(1 / 10.0 / alone)])


def test_the_table_is_written_by_class_and_for_any(measured, tmp_path, monkeypatch):
    monkeypatch.setattr(datasheet, "TABLE", tmp_path / "errors.yaml")
    ran = CliRunner().invoke(datasheet.main, [str(measured(20.0, 10.0)), "--update"], catch_exceptions=False)
    assert ran.exit_code == 0
    found = yaml.safe_load((tmp_path / "errors.yaml").read_text())
    assert found["time"]["cuda"] == found["time"]["any"]
    assert (found["time"]["cuda"]["rows"], found["time"]["cuda"]["devices"]) == (2, 1)
    assert found["power"] == {}
