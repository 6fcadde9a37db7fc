"""The views of sources, heat and faults: what they show of tiny tables whose arithmetic is visible."""

import numpy as np
import pytest

from edgewright.simulator.report.faults import failures
from edgewright.simulator.report.figure import BINS, SPANS, bars
from edgewright.simulator.report.heat import heat
from edgewright.simulator.report.sources import sources
from edgewright.simulator.result import Result

NAN = float("nan")


def fed(count, load=100.0, sun=60.0, **columns):
    """Periods of 10 s of a domain `box` with a battery at a half."""
    start = 10.0 * np.arange(count)
    plain = {"start_s": start, "end_s": start + 10, "charge": 0.5, "load_J": load, "sun_J": sun, "curtailed_J": 0.0, "grid_J": 0.0}
    plain |= {"unmet_J": 0.0, "lost_J": 0.0, "stored_J": sun - load, "carbon_g": NAN, "cost": NAN}
    return {"domain": ["box"] * count} | {name: np.broadcast_to(np.asarray(each, float), count) for name, each in (plain | columns).items()}


def traced(drawing):
    return {trace["name"]: trace for trace in drawing.data}


def test_sources_stack_up_to_what_is_drawn(bare):
    """100 J drawn in 10 s, 60 J of them from the sun: 10 W, 6 W from the sun, 4 W from the battery."""
    (drawing,) = sources(bare(sources=fed(10)))
    found = traced(drawing)
    assert {name: trace["y"][0] for name, trace in found.items()} == {
        "from the sun": 6.0,
        "from the battery, net": 4.0,
        "drawn at the plug": 10.0,
        "charge": 50.0,
    }
    assert found["from the sun"]["stackgroup"] == found["from the battery, net"]["stackgroup"]
    assert found["charge"]["yaxis"] == "y2"
    assert found["drawn at the plug"]["x"][-1] == 100.0


def test_a_battery_that_charges_gives_nothing_and_curtailed_sun_is_dotted(bare):
    (drawing,) = sources(bare(sources=fed(10, load=50.0, sun=80.0, curtailed_J=20.0)))
    found = traced(drawing)
    assert "from the battery, net" not in found
    assert (found["from the sun"]["y"][0], found["the sun could give"]["y"][0]) == (8.0, 10.0)


def test_a_domain_without_a_battery_has_no_panel_of_charge(bare):
    (drawing,) = sources(bare(sources=fed(10, sun=0.0, grid_J=100.0, charge=NAN)))
    assert set(traced(drawing)) == {"from the grid", "drawn at the plug"}
    assert "yaxis2" not in drawing.layout


def test_charges_at_which_power_goes_are_marked(bare):
    run = bare(sources=fed(10))
    scenario = {"power": {"box": {"battery": {"cutoff": 0.1, "recover": 0.3}}}}
    (drawing,) = sources(Result(run.meta | {"scenario": scenario}, run.tables))
    assert [note["text"] for note in drawing.layout["annotations"]] == ["cut off at 10 %", "on again at 30 %"]
    assert [shape["y0"] for shape in drawing.layout["shapes"][1:]] == [10.0, 30.0]


def test_many_periods_of_sources_keep_their_energy_and_the_least_charge(bare):
    count = 5_003
    charge = np.full(count, 0.9)
    charge[1234] = 0.123
    (drawing,) = sources(bare(sources=fed(count, sun=np.linspace(0, 100, count), charge=charge)))
    found = traced(drawing)
    spans = np.diff(found["from the sun"]["x"])
    assert len(spans) <= BINS
    assert (spans * found["from the sun"]["y"][:-1]).sum() == pytest.approx(50 * count)  # the mean of 0 to 100 J
    assert min(found["charge"]["y"]) == 12.3
    assert "Least charge 12.3 %" in drawing.caption


def test_what_was_cut_off_is_dark_until_it_is_on_again_or_the_run_ends(bare):
    events = [(10.0, "box", "power_lost", 0.1), (30.0, "box", "power_back", 0.3), (60.0, "box", "breaker_tripped", 1.5)]
    events += [(20.0, "cam", "port_shed", 7.0), (25.0, "cam", "port_on", 15.0), (1.0, "hot", "throttled", 0.9)]
    (drawing,) = sources(bare(power_events=dict(zip(("time_s", "name", "event", "value"), zip(*events, strict=True), strict=True))))
    spans = {(trace["y"][0], trace["name"]): (trace["base"], trace["x"], trace["hovertext"]) for trace in drawing.data}
    assert spans == {
        ("box", "without power"): ([10.0], [20.0], ["box: without power, 20 s, at a charge of 10.0%"]),
        ("box", "breaker open"): ([60.0], [40.0], ["box: breaker open, 40 s, at 1.5 times its rating"]),
        ("cam", "port off: over the switch's budget"): ([20.0], [5.0], ["cam: port off: over the switch's budget, 5 s, at 7 W"]),
    }


def warm(devices, count=10, clock=1.0):
    start = np.tile(10.0 * np.arange(count), len(devices))
    hot = np.repeat([40.0 + 5 * number for number in range(len(devices))], count)
    columns = {"start_s": start, "end_s": start + 10, "die_C": hot, "max_die_C": hot, "sink_C": hot - 20}
    return {"device": np.repeat(np.array(devices, object), count), **columns, "clock_limit": np.full(len(hot), clock)}


def test_the_hottest_devices_are_shown_the_hottest_first(bare):
    (drawing,) = heat(bare(thermal=warm([f"pi{number}" for number in range(20)])))
    assert [trace["name"] for trace in drawing.data] == [f"pi{number}" for number in range(19, 11, -1)]
    assert "Hottest: pi19, 135.0 °C. The 8 hottest of 20 devices." in drawing.caption
    assert "yaxis2" not in drawing.layout


def test_few_devices_show_their_sinks_and_slowed_ones_their_clocks(bare):
    (drawing,) = heat(bare(thermal=warm(["pi"], clock=0.7)))
    found = traced(drawing)
    assert {name: trace["y"][0] for name, trace in found.items()} == {"pi": 40.0, "pi, sink": 20.0, "pi, clock": 70.0}
    assert found["pi, clock"]["yaxis"] == "y2"


@pytest.mark.parametrize(("trip", "noted"), [(60.0, ["slowed down at 60 °C"]), (100.0, [])])
def test_trip_points_are_marked_where_a_die_comes_near(bare, trip, noted):
    run = bare(thermal=warm(["pi"]))
    scenario = {"cluster": {"devices": {"pi": {"heat": {"trip": trip, "critical": None}}, "cold": {"heat": None}}}}
    (drawing,) = heat(Result(run.meta | {"scenario": scenario}, run.tables))
    assert [note["text"] for note in drawing.layout["annotations"]] == noted


def test_devices_that_switched_themselves_off_are_marked(bare):
    events = {"time_s": [5.0, 9.0], "name": ["pi", "pi"], "event": ["overheated", "cooled"], "value": [95.0, 70.0]}
    (drawing,) = heat(bare(thermal=warm(["pi"]), power_events=events))
    found = traced(drawing)
    assert (found["pi: switched off"]["x"], found["pi: switched off"]["y"]) == ([5.0], [95.0])
    assert (found["pi: on again"]["x"], found["pi: on again"]["y"]) == ([9.0], [70.0])


def hit(*rows):
    return dict(zip(("fault", "kind", "target", "start_s", "end_s"), map(list, zip(*rows, strict=True)), strict=True))


def test_faults_are_bars_in_the_rows_of_their_targets(bare):
    """The link is hit for 70 s and the board for 20 s: the link stands on top. What never ended ends with the run, and says so."""
    rows = hit(("cuts", "link_down", "lan", 30.0, NAN), ("reboots", "crash", "pi", 10.0, 20.0), ("reboots", "crash", "pi", 40.0, 50.0))
    (drawing,) = failures(bare(faults=rows))
    found = {trace["name"]: (trace["y"], trace["base"], trace["x"]) for trace in drawing.data}
    assert found == {"link down": (["lan"], [30.0], [70.0]), "crash": (["pi", "pi"], [10.0, 40.0], [10.0, 10.0])}
    assert drawing.layout["yaxis"]["categoryarray"] == ["pi", "lan"]
    assert traced(drawing)["link down"]["hovertext"] == ["lan: link_down (cuts), 70 s, not over when the run ended"]


def test_short_faults_are_drawn_over_long_ones(bare):
    (drawing,) = failures(bare(faults=hit(("a", "crash", "pi", 40.0, 41.0), ("b", "straggler", "pi", 10.0, 90.0))))
    assert [trace["name"] for trace in drawing.data] == ["straggler", "crash"]


def test_many_intervals_are_few_bars_that_cover_them_all():
    rng = np.random.default_rng(1)
    start = np.sort(rng.uniform(0, 1e5, 5_000))
    end = start + rng.exponential(3.0, 5_000)
    drawn = bars("pi", start, end, "#000000", ["one"] * 5_000)
    low, high = np.array(drawn["base"]), np.array(drawn["base"]) + drawn["x"]
    assert len(low) <= SPANS + 1
    place = np.searchsorted(low, start, side="right") - 1
    assert (end <= high[place] + 1e-3).all()
    assert any(text.endswith("close together") for text in drawn["hovertext"])
    assert (low[1:] >= high[:-1]).all()


def test_what_faults_cost_adds_up(bare, jobs_of):
    rows = [{"arrival_s": 15.0, "status": "failed", "interruptions": 1}, {"arrival_s": 15.2, "interruptions": 2, "lost_tokens": 40}]
    rows += [{"arrival_s": 70.0, "interruptions": 1, "wasted_tokens": 7}, {"arrival_s": 80.0}]
    (drawing,) = failures(bare(jobs=jobs_of(rows)))
    assert {trace["name"]: sum(trace["y"]) for trace in drawing.data} == {
        "failed or rejected": 1,
        "interrupted, yet completed": 2,
        "context tokens lost": 40,
        "answer tokens taken back": 7,
    }
    assert (
        "In all: 1 failed or rejected, 2 interrupted, yet completed, 40 context tokens lost, 7 answer tokens taken back." in drawing.caption
    )


def test_rejections_alone_are_no_cost_of_faults(bare, jobs_of):
    assert list(failures(bare(jobs=jobs_of([{"arrival_s": 15.0, "status": "rejected"}])))) == []


def test_only_what_was_down_is_listed_the_worst_on_top(bare):
    table = {"what": ["device", "link", "service"], "name": ["pi", "lan", "chat"], "up": [0.9, 0.5, 1.0], "outages": [1, 3, 0]}
    (drawing,) = failures(bare(availability=table | {"repair_s": [10.0, NAN, NAN]}))
    (trace,) = drawing.data
    assert (trace["y"], trace["x"]) == (["pi (device)", "lan (link)"], [90.0, 50.0])  # from the bottom up
    assert trace["hovertext"][1] == "lan (link): 3 outages, mean repair -"
