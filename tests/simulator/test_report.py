"""The report as text: self-contained, complete, escaped, bounded. `test_report_browser.py` opens it in a browser."""

import json
import math
import re
from itertools import combinations

import numpy as np
import pytest

from edgewright.simulator.report import render
from edgewright.simulator.report.figure import BINS
from edgewright.simulator.report.latency import latencies
from edgewright.simulator.report.machine import machine
from edgewright.simulator.report.power import powers
from edgewright.simulator.report.series import queues
from edgewright.simulator.report.timeline import timelines
from edgewright.simulator.result import Result
from edgewright.simulator.summary import metrics


def drawings(html):
    return json.loads(re.search(r'<script type="application/json" id="drawings">(.*?)</script>', html, re.DOTALL).group(1))


def own_text(html):
    """The page without the plotting library."""
    library = max(re.findall(r"<script>\n(.*?)\n</script>", html, re.DOTALL), key=len)
    return html.replace(library, "")


@pytest.fixture
def html(made_up):
    return render(made_up())


def test_it_needs_nothing_from_outside(html):
    text = own_text(html)
    assert re.findall(r'\b(?:src|href)="(?!data:)', text) == []
    assert "@import" not in text
    assert "http" not in text


def test_scripts_are_closed_as_often_as_opened(html):
    assert html.count("<script") == html.count("</script>") == 3


def test_every_figure_has_a_place_and_data(html):
    places = re.findall(r'data-key="([^"]+)"', html)
    assert len(places) == len(set(places))
    assert set(places) == set(drawings(html))
    expected = {"topology", "utilisation", "memory", "inflight", "timeline", "cdf-ttft_s", "queue", "kv", "power-0", "caps-0"}
    expected |= {"sources-0", "feeding", "heat", "faults", "availability"}
    assert expected <= set(places)


def test_it_shows_figures_provenance_and_scenario(html):
    text = own_text(html)
    for said in (
        "0.90 × 59.6 GiB",
        "gpu.peaks.fp16",
        "a data sheet",
        "unknown s",
        "spec: jetson_agx_orin_64gb",
        "chat thinned to 0.31 of its arrivals",
    ):
        assert said in text


def test_the_same_run_gives_the_same_page(made_up):
    assert render(made_up()) == render(made_up())


def test_names_are_escaped(made_up):
    result = made_up()
    evil = "</script><script>alert(1)</script>"
    meta = json.loads(json.dumps(result.meta).replace('"users"', json.dumps(evil))) | {"name": evil, "notes": [evil]}
    html = render(Result(meta, result.tables))
    assert evil not in html
    assert html.count("<script") == 3
    assert any(evil in trace.get("text", [""])[0] for trace in drawings(html)["topology"]["data"])


def test_an_empty_run_still_makes_a_page(bare):
    html = render(bare())
    assert drawings(html) == {}
    assert "Where the figures come from" in html


def test_a_run_without_sources_heat_and_faults_has_no_sections_of_them(made_up):
    result = made_up()
    absent = ("sources", "thermal", "faults", "availability", "power_events")
    html = render(Result(result.meta, {name: table for name, table in result.tables.items() if name not in absent}))
    titles = re.findall(r"<h2>(.*?)</h2>", html)
    assert set(re.findall(r"<h2>(.*?)</h2>", render(result))) - set(titles) == {"Sources and feeding", "Heat", "Faults"}
    assert "Power" in titles


def test_figures_are_computed_once_for_all_files(made_up, monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr("edgewright.simulator.result.metrics", lambda run: calls.append(run) or metrics(run))
    result = made_up()
    result.write(tmp_path / "out")
    assert result.summary_text()
    assert calls == [result]


def test_nodes_stand_apart_around_the_best_connected(made_up):
    (drawing,) = [each for each in machine(made_up(), made_up().metrics) if each.key == "topology"]
    place = {label["text"].split("<br>")[0]: (label["x"], label["y"]) for label in drawing.layout["annotations"]}
    assert len(place) == 11
    assert place["switch"] == (0.0, 0.0)
    assert min(math.dist(a, b) for a, b in combinations(place.values(), 2)) > 0.2
    assert max(abs(at) for point in place.values() for at in point) <= 1


def test_a_cluster_in_two_parts_is_drawn_whole(made_up):
    result = made_up()
    topology = result.meta["topology"]
    cut = topology | {"links": [link for link in topology["links"] if link["name"] != "wifi"]}
    (drawing,) = [each for each in machine(Result(result.meta | {"topology": cut}, {}), []) if each.key == "topology"]
    assert len(drawing.layout["annotations"]) == 11


def test_latencies_show_their_objectives(made_up):
    found = {drawing.key: drawing for drawing in latencies(made_up())}
    assert [shape["x0"] for shape in found["cdf-ttft_s"].layout["shapes"]] == [2.0]
    assert [shape["x0"] for shape in found["cdf-tpot_s"].layout["shapes"]] == [0.05]
    assert found["cdf-e2e_s"].layout["shapes"] == []


def test_a_distribution_is_drawn_to_its_end(bare, jobs_of):
    rows = [{"first_token_s": 20.0 + n / 1000, "finished_s": 30.0} for n in range(1, 2001)]
    (trace,) = next(iter(latencies(bare(jobs=jobs_of(rows))))).data
    assert len(trace["x"]) <= 150
    assert (trace["x"][-1], trace["y"][-1]) == (pytest.approx(2.0), 100.0)


def test_ticks_are_few_round_and_named(made_up):
    for drawing in latencies(made_up()):
        axis = drawing.layout["xaxis"]
        assert 2 <= len(axis["tickvals"]) <= 8
        assert len(set(axis["ticktext"])) == len(axis["tickvals"])


def test_a_long_series_is_thinned_honestly(bare):
    count = 100_000
    waiting = np.arange(count) % 7
    waiting[77_777] = 1_000
    queue = {"replica": ["r"] * count, "time_s": np.linspace(0, 99, count), "waiting": waiting, "running": waiting}
    drawing = next(iter(queues(bare(queue=queue))))
    mean, greatest = drawing.data
    assert len(mean["x"]) == BINS + 1
    assert max(greatest["y"]) == 1_000
    assert mean["y"][0] == pytest.approx(3, abs=0.02)  # the mean of 0 to 6
    assert "mean and (faint) greatest" in drawing.caption


def test_a_short_series_is_drawn_as_it_is(bare):
    queue = {"replica": ["r"] * 2, "time_s": [1.0, 2.0], "waiting": [3, 0], "running": [0, 1]}
    waiting, running = queues(bare(queue=queue))
    assert (waiting.data[0]["x"], waiting.data[0]["y"]) == ([1.0, 2.0, 100.0], [3.0, 0.0, 0.0])
    assert running.data[0]["y"] == [0.0, 1.0, 1.0]
    assert waiting.caption == "By replica."


def test_many_requests_stay_bounded(made_up):
    found = list(timelines(made_up(requests=3_000, frames=2_000)))
    assert sum(len(trace["x"]) for drawing in found for trace in drawing.data) < 2_000
    assert "30 consecutive requests of 3000" in found[2].caption


def test_requests_in_flight_add_up(made_up):
    result = made_up()
    jobs = result.tables["jobs"]
    inflight = next(iter(timelines(result)))
    end = np.where(np.isfinite(jobs["finished_s"]), jobs["finished_s"], result.meta["end_s"])
    seconds = sum(np.sum(trace["y"][:-1]) for trace in inflight.data) * result.meta["end_s"] / BINS
    reached = np.isfinite(jobs["scheduled_s"]) | (jobs["status"] == "in_flight")
    assert seconds == pytest.approx((end - jobs["arrival_s"])[reached].sum(), rel=1e-6)  # eight digits of each count are written


def test_caps_step_and_hold_to_the_end(made_up):
    _, caps = powers(made_up())
    clock = next(trace for trace in caps.data if trace["name"] == "rtx0: clock")
    assert (clock["x"], clock["y"]) == ([61.0, 121.0, 281.0, 400.0], [70.0, 100.0, 60.0, 60.0])
    assert not [trace for trace in caps.data if "brake" in trace["name"]]  # it never took effect


def test_devices_with_the_same_commands_share_a_line(bare):
    count = 40
    table = {"time_s": [20.0] * count, "domain": ["rack"] * count, "target": [f"gpu{n}" for n in range(count)], "kind": ["clock"] * count}
    power = {"domain": ["rack"], "start_s": [0.0], "end_s": [100.0], "joules": [1.0], "mean_W": [0.01], "peak_W": [1.0], "budget_W": [2.0]}
    _, caps = powers(bare(power=power, actuations=table | {"value": [0.5] * count, "effective_s": [60.0] * count}))
    assert [trace["name"] for trace in caps.data] == ["gpu0 and 39 like it: clock"]
