"""Benchmarks: rows say what is asked and what is reached, rivals do the same work, and the page holds what the command writes."""

import json
from math import nan
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from edgewright.experiments.benchmarks import __main__ as command
from edgewright.experiments.benchmarks import cluster, fleet, memory, page, startup, versus
from edgewright.experiments.benchmarks.events import bare, fixed_scenario
from edgewright.experiments.benchmarks.llm import llm_scenario, run_llm
from edgewright.experiments.benchmarks.llm_peer import StepTimes, jobs_of
from edgewright.experiments.benchmarks.rows import Row, Target, cells
from edgewright.experiments.benchmarks.timing import in_turn
from edgewright.experiments.pages import section
from edgewright.hwmodels import catalog, price
from edgewright.simulator import Scenario, Simulation
from edgewright.workloads import Step, format_named, zoo


def test_a_target_is_met_by_a_figure_or_by_its_ratio_to_the_peers():
    assert Row("r", 12.0, "", Target(10.0, True)).met is True
    assert Row("r", 12.0, "", Target(10.0, False)).met is False
    assert Row("r", 40.0, "", Target(20.0, True, of_peer=True), "peer", 2.0).met is True
    assert Row("r", 40.0, "", Target(20.0, True, of_peer=True), "peer", 2.1).met is False
    assert Row("r", 40.0, "", Target(20.0, True, of_peer=True), "peer").met is None
    assert Row("r", nan, "", Target(1.0, True)).met is None
    assert Row("r", 1.0, "").met is None


def test_rows_as_text_show_target_peer_and_ratio():
    row = Row("llm", 42000.0, "1/s", Target(20.0, True, of_peer=True), "other", 2100.0)
    assert cells([row]) == [("llm", "42 000", "1/s", ">= 20 x peer", "yes", "other", "2 100", "20")]
    assert cells([Row("pricing", nan, "1/s")]) == [("pricing", "unavailable", "1/s", "", "", "", "", "")]


def test_the_first_turn_is_not_counted_and_the_median_is_given():
    calls = []
    taken = in_turn({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, turns=3)
    assert calls == ["a", "b"] * 4
    assert set(taken) == {"a", "b"}


def test_the_peers_step_times_are_the_prices_of_our_steps():
    times, part, device = StepTimes(), zoo.model("llama-2-7b").part(format_named("fp16")), catalog.device("a100_80gb_sxm")
    for prompts, contexts in [((), (1,)), ((), (700, 3, 4095)), ((1000,), ()), ((12, 900), (300,) * 40), ((), (4096,) * 256)]:
        ours = float(price(part(Step.of(decode=[each + 1 for each in contexts], prefill=[(0, each) for each in prompts])), device).seconds)
        # tokens attended enter by a slope and not by the price itself: one rounding more
        assert times.seconds(prompts, len(contexts), sum(contexts)) == pytest.approx(ours, rel=1e-12)


@pytest.mark.parametrize("rate", [2.0, 4.0])
def test_both_simulators_give_the_same_times_where_they_schedule_alike(rate):
    pytest.importorskip("sched_sim")
    assert versus.agreement(rate, 60) < 1e-12


def test_the_jobs_given_to_the_peer_are_those_that_are_simulated():
    simulation = Simulation(llm_scenario(2.0, 20))
    jobs = jobs_of(simulation)
    table = run_llm(simulation).tables["jobs"]
    assert [job.arrival for job in jobs] == table["arrival_s"].tolist()
    assert [job.output for job in jobs] == table["output_tokens"].tolist()
    assert set(table["status"]) == {"completed"}


@pytest.mark.parametrize("everything", [False, True])
def test_fixed_service_requests_all_end(everything):
    table = run_llm(Simulation(fixed_scenario(50, everything))).tables["jobs"]
    assert set(table["status"]) == {"completed"}
    bare(50)


def test_growth_compares_the_time_per_request(monkeypatch):
    monkeypatch.setattr(versus, "cpu_seconds", lambda call: (len((result := call()).tables["jobs"]["job"]) * 0.5, result))
    rows = list(versus.growth((10, 20)))
    assert [row.value for row in rows] == [2.0, 2.0, 0.0]


def test_the_start_up_scenario_has_about_ten_requests(tmp_path):
    (tmp_path / "ten.yaml").write_text(json.dumps(startup.CHANGES))
    jobs = run_llm(Simulation(Scenario.load(tmp_path / "ten.yaml"))).tables["jobs"]["job"]
    assert 5 <= len(jobs) <= 15


def test_the_command_prints_json_and_updates_the_page(monkeypatch, tmp_path):
    copy = tmp_path / "README.md"
    copy.write_text(page.README.read_text())
    monkeypatch.setattr(command, "BENCHMARKS", {"events": lambda: iter([Row("a", 1.0, "s", Target(2.0, False))])})
    monkeypatch.setattr(command, "pinned", lambda: None)
    monkeypatch.setattr(command, "write_tables", lambda found: page.write_tables(found, copy))
    assert command.main.callback is not None
    done = CliRunner().invoke(command.main, ["--json", "--update", "events"])
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)
    assert row == {"name": "a", "value": 1.0, "unit": "s", "target": "<= 2", "peer": "", "peer_value": None, "met": True}
    assert "| a | 1 | s | <= 2 | yes |" in section("events", copy)


def test_every_benchmark_has_its_place_on_the_page():
    for name in command.BENCHMARKS:
        section(name, page.README)
    assert set(command.LONG) <= set(command.BENCHMARKS)


def test_memory_takes_off_what_a_small_run_needs(monkeypatch):
    peaks = {"streamed": {"3000": 50_000_000, "5000": 51_000_000}, "kept": {"3000": 50_000_000, "5000": 60_000_000}}
    monkeypatch.setattr(memory, "in_own_process", lambda *arguments: str(peaks[arguments[2]][arguments[4]]))
    rows = list(memory.memory(5000))
    assert [(row.value, row.met) for row in rows] == [(500.0, True), (51.0, None), (5000.0, None), (60.0, None)]


@pytest.mark.parametrize("way", ["streamed", "kept"])
def test_a_run_alone_tells_its_peak(way):
    assert memory.run_alone(way, 2.0, 5) > 1e7


def test_a_small_fleet_is_served_and_says_what_the_real_one_would_take():
    assert fleet.fleet_scenario(20, 60.0).cluster.devices["board"].count == 20
    whole, each, rest, peak, day = (row.value for row in fleet.fleet(20, 120.0))
    assert each > 0.0
    assert 0.0 < rest < whole
    assert peak > 0.05
    assert day > each * 1e-6 * 14_000_000


def test_the_cluster_has_what_is_asked_of_it():
    """A hundred devices of four kinds, twelve of them tensor parallel over one switch, fifty requests per second."""
    scenario = cluster.cluster_scenario(5.0)
    assert len(scenario.cluster.instances()) == 100
    assert sum(cluster.RATES.values()) == pytest.approx(50.0)
    sharded = [replica for replica in scenario.services["assistant"].replicas if len(replica.devices or ()) == 4]
    assert len(sharded) == 3
    result = run_llm(Simulation(cluster.cluster_scenario(5.0, ("frames",))))
    assert set(result.tables["jobs"]["status"]) <= {"completed", "failed"}
    assert {"rack", "other"} == set(result.tables["power"]["domain"])


def test_a_fault_costs_the_slope_over_their_number_and_what_all_runs_pay_is_no_part_of_it(monkeypatch):
    """Each run takes 7 s and 4 ms per fault; in the second of three turns 5 ms, in the third 6: the median is 5, the spread 2."""
    runs = []

    def timed(scenario):
        faults = 480.0 * 7200.0 / scenario.faults["reboots"].every.mean / 64.0
        runs.append(faults)
        turn = (len(runs) - 1) // len(cluster.OFTEN)
        return 7.0 + (4e-3 + 1e-3 * turn) * faults, SimpleNamespace(tables={"faults": {"fault": [""] * int(faults)}})

    monkeypatch.setattr(cluster, "_timed", timed)
    price, spread, count = cluster.price_of("a fault", "faults", 10.0, lambda found, often: len(found.tables["faults"]["fault"]), turns=3)
    assert price.value == pytest.approx(5000.0)
    assert spread.value == pytest.approx(2000.0)
    assert count.value == 30 + 120 + 480
    assert runs == [30.0, 120.0, 480.0] * 3
