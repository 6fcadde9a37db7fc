"""Links of a scenario whose rates change: what follows what, and what is refused."""

import copy

import pytest

from edgewright.simulator.check import check
from edgewright.simulator.errors import ScenarioError
from edgewright.simulator.scenario import Scenario
from edgewright.simulator.simulation import Simulation
from edgewright.workloads.link_rates_file import RateTrace

TABLES = {
    "name": "rates",
    "run": {"window": "20 s", "drain": "1 min"},
    "cluster": {
        "devices": {"server": {"device": "rtx4090"}},
        "switches": ["ap"],
        "nodes": ["phones"],
        "links": [
            {"name": "wan", "bandwidth": "10 MB/s", "bandwidth_back": "20 MB/s", "latency": "5 ms", "between": ["server", "ap"]},
            {"name": "wifi", "link": "wifi6", "between": ["phones", "ap"], "medium": "air"},
        ],
    },
    "services": {"see": {"model": "yolov8n", "format": "fp16", "replicas": [{"name": "only", "devices": ["server"]}]}},
    "workloads": {
        "frames": {"service": "see", "entry": "phones", "arrivals": {"process": "periodic", "period": 1.0}, "bytes": "1 MB"},
    },
}
GILBERT = {"process": "gilbert_elliott", "mean_good": "5 s", "mean_bad": "500 ms", "bad": "10 %"}


def scenario(link, seed=0, **figures):
    tables = copy.deepcopy(TABLES)
    tables["cluster"]["links"][link].update(figures)
    return Scenario.of({**tables, "seed": seed})


def test_both_ways_follow_one_course_unless_the_way_back_has_its_own():
    assert check(scenario(0)).rates == {}
    alike = check(scenario(0, rate=GILBERT)).rates
    assert list(alike) == ["wan>", "wan<"]
    assert alike["wan>"] is alike["wan<"]
    apart = check(scenario(0, rate=GILBERT, rate_back=GILBERT)).rates
    assert [apart["wan>"].at(t) for t in range(9)] != [apart["wan<"].at(t) for t in range(9)]
    assert list(check(scenario(1, rate=GILBERT)).rates) == ["wifi"]  # the station, not the air


def test_a_course_is_drawn_from_the_seed_and_the_link_alone():
    def course(**changes):
        return [check(scenario(0, rate=GILBERT, **changes)).rates["wan>"].at(t) for t in range(50)]

    assert course() == course(latency="9 ms")
    assert course() != course(seed=1)


def test_a_file_slows_what_is_sent_while_it_says_so(tmp_path):
    """1 MB a second over 20 MB/s of Wi-Fi takes what a course of 2 MB/s leaves it: half a second, and the WAN behind is wider."""
    path = tmp_path / "rates.csv"
    path.write_text("time_s,rate\n0,16\n10,800\n")
    slow = scenario(1, rate={"file": str(path), "unit": "Mbit/s"})
    jobs = run(slow).frame("jobs")
    uplink = (jobs.queued_s - jobs.arrival_s).to_numpy()
    assert uplink[1:9] == pytest.approx([uplink[1]] * 8)
    assert uplink[1] == pytest.approx(0.5, abs=0.02)  # and latencies of milliseconds
    assert max(uplink[10:]) < 0.2


def run(made):
    simulation = Simulation(made)
    simulation.run_until(simulation.end)
    return simulation.result()


def test_a_relative_file_starts_from_the_scenarios_directory(tmp_path):
    (tmp_path / "rates.csv").write_text("time_s,rate\n0,0.5\n")
    text = """
name: near
run: {window: 1 s}
cluster:
  devices: {server: {device: rtx4090}}
  nodes: [phones]
  links: [{name: wan, link: eth_1g, between: [server, phones], rate: {file: rates.csv, unit: share}}]
services: {see: {model: yolov8n, replicas: [{name: only, devices: [server]}]}}
workloads: {frames: {service: see, entry: phones, arrivals: {process: periodic, period: 1.0}}}
"""
    (tmp_path / "near.yaml").write_text(text)
    loaded = Scenario.load(tmp_path / "near.yaml")
    assert check(loaded).rates["wan>"].at(3.0).factor == 0.5
    assert loaded.tables()["cluster"]["links"][0]["rate"] == {"process": "file", "file": "rates.csv", "unit": "share", "end": "hold"}


@pytest.mark.parametrize(
    ("link", "figures", "key", "match"),
    [
        (0, {"rate": "brownian"}, "rate.process", "is no course of rates.*file, gauss_markov, gilbert_elliott"),
        (0, {"rate": {**GILBERT, "mean_bad": 0}}, "rate.mean_bad", "greater than 0"),
        (0, {"rate": {**GILBERT, "ugly": 0.5}}, "rate.ugly", "accepted: .*mean_good"),
        (0, {"rate": {"process": "gilbert_elliott"}}, "rate.mean_good", "is missing"),
        (0, {"rate": {"file": "nowhere.csv"}}, "rate.file", "nowhere.csv' is no file"),
        (0, {"rate": {"file": "nowhere.csv", "unit": "furlong"}}, "rate.unit", "'1 furlong' is not accepted"),
        (0, {"rate_back": GILBERT}, "rate_back", "is a way back alone"),
        (1, {"rate": GILBERT, "rate_back": GILBERT}, "rate_back", "one capacity for both ways"),
    ],
)
def test_nonsense_is_refused_before_the_clock_starts(link, figures, key, match):
    with pytest.raises(ScenarioError, match=match) as refused:
        check(scenario(link, **figures))
    assert refused.value.key == f"cluster.links.{link}.{key}"


def test_messages_too_small_to_be_flows_wait_for_a_link_that_stands_still(boards, ask):
    """From 1 s to 5 s the users' link has no rate: a question of 64 bytes sent at 2 s arrives at 5 s, and one sent at 6 s at once."""
    simulation = boards(1)
    simulation.machine.follow("lan>", RateTrace((0.0, 1.0, 5.0), (1.0, 0.0, 0.5)))
    simulation.run_until(2.0)
    early = ask(simulation, 0, 8, 2, entry="user", ingress_bytes=64.0)
    simulation.run_until(6.0)
    late = ask(simulation, 1, 8, 2, entry="user", ingress_bytes=64.0)
    simulation.run_until(60.0)
    assert early.queued == pytest.approx(5.0, abs=1e-3)
    assert late.queued == pytest.approx(6.0, abs=1e-3)
