"""Costs of collectives are recovered from rows made of them; the committed errors are those of the published rows."""

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgewright.experiments.validation.collectives import TABLE, Measured, errors, fabric_of, fitted_costs, main, read_measured
from edgewright.hwmodels.collective_library import cost_terms, library_seconds

PUBLISHED = Path(__file__).resolve().parents[2] / "../shared/measurements/net_collectives_nccl.csv"
SYSTEM = "nvswitch, NCCL 2.27.3"
COSTS = {"base": 6e-6, "start": 2e-5, "hop.LL": 1e-6, "hop.LL128": 2e-6, "hop.Simple": 4e-6, "wire.LL": 3.0, "wire.LL128": 1.5} | {
    "wire.Simple": 1.25,
    "copy": 0.5,
}


def made():
    """Measurements as the costs have them."""
    rows = []
    for kind in ("all_reduce", "all_gather"):
        for ranks in (2, 4, 8):
            for octave in range(9, 30):
                row = Measured(SYSTEM, kind, ranks, ranks, 2.0**octave, 0.0)
                terms = cost_terms(kind, ranks, ranks, row.nbytes, fabric_of(row))
                rows.append(row._replace(seconds=library_seconds(terms, COSTS)))
    return rows


def test_costs_are_recovered_from_what_they_make():
    assert fitted_costs(made()) == pytest.approx(COSTS, rel=0.01)


def test_errors_are_nothing_where_the_model_is_right_and_unseen_sizes_too():
    groups = errors(made())
    assert [(group.kind, group.ranks, group.rows) for group in groups][-2:] == [("all_reduce", 8, 21), ("all", 0, 126)]
    for group in groups:
        assert max(group.fit) < 0.01
        assert group.sizes is not None
        assert max(group.sizes) < 0.02


def test_a_factor_that_is_wrong_shows_as_its_logarithm():
    """Rows of 4 devices that take a quarter longer than rows of 2 and 8 say: the fit without them is off by ln 1.25 = 0.22."""
    rows = [row._replace(seconds=1.25 * row.seconds) if row.ranks == 4 else row for row in made()]
    found = {(group.kind, group.ranks): group for group in errors(rows)}
    unseen = found["all_reduce", 4].ranks_unseen
    assert unseen is not None
    assert unseen[0] == pytest.approx(0.223, abs=0.03)


def test_a_table_is_read_in_both_conventions(tmp_path):
    path = tmp_path / "rows.csv"
    columns = ("source", "model", "threads_or_gpus", "value", "notes")
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerow(("a", "all_gather", "4", "0.5", "message_size=256 elements (fp16)"))
        writer.writerow(("a100_pairwise_nvlink", "all_reduce", "2", "1", "size=2048 bytes; devices_per_node=4 (...)"))
        writer.writerow(("a100_dgx", "send_recv", "2", "1", "size=2048 bytes; devices_per_node=1 (...)"))
    assert read_measured(path) == [
        (SYSTEM, "all_gather", 4, 4, 512.0, 5e-4),
        ("bridged pairs, Vidur", "all_reduce", 2, 2, 2048.0, 1e-3),
        ("dgx, Vidur", "send_recv", 2, 1, 2048.0, 1e-3),
    ]
    with path.open("a", newline="") as file:
        csv.writer(file).writerow(("a", "all_gather", "4", "0.5", "size unknown"))
    with pytest.raises(ValueError, match="no size in 'size unknown'"):
        read_measured(path)


@pytest.mark.skipif(not PUBLISHED.is_file(), reason="the published rows are not there")
def test_the_committed_errors_are_those_of_the_published_rows():
    """Figures may move by what another version of the optimiser finds."""
    shown = CliRunner().invoke(main, [str(PUBLISHED), "--costs"])
    assert shown.exit_code == 0, shown.output
    with TABLE.open(encoding="utf-8") as file:
        committed = list(csv.DictReader(file))
    found = errors(read_measured(PUBLISHED))
    assert [(group.system, group.kind, str(group.ranks or "all"), str(group.rows)) for group in found] == [
        (row["system"], row["kind"], row["devices"], row["rows"]) for row in committed
    ]
    for group, row in zip(found, committed, strict=True):
        assert group.fit == pytest.approx((float(row["median"]), float(row["p90"])), abs=0.01)
    assert all(float(row["median"]) <= 0.1 for row in committed if row["kind"] == "all")
