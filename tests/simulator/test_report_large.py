"""The report of a large run stays small, and is made without holding the run's tables."""

import re
import tracemalloc

import numpy as np
import pytest

from edgewright.simulator import stored
from edgewright.simulator.report import latency, render
from edgewright.simulator.report.figure import BINS
from edgewright.simulator.report.page import _MOST_ROWS
from edgewright.simulator.report.topology import topology
from edgewright.simulator.result import Result

COUNT = 100_000


@pytest.fixture
def large(made_up, tmp_path):
    """`large(count)`: a result in files, of so many requests, four gaps and three changes of the queue for each."""

    def make(count):
        plain = made_up(requests=count * 4 // 5, frames=count // 5)
        gaps, changes = 4 * count, 3 * count
        rng = np.random.default_rng(1)
        itl = {"service": np.full(gaps, "chat", object), "gap_s": rng.uniform(0.03, 0.09, gaps), "tokens": np.ones(gaps, np.int64)}
        waiting = rng.integers(0, 9, changes)
        waiting[changes // 3] = 1234
        queue = {
            "replica": np.full(changes, "chat.0", object),
            "time_s": np.linspace(0, 390, changes),
            "waiting": waiting,
            "running": waiting,
        }
        directory = tmp_path / str(count)
        Result(plain.meta, {**plain.tables, "itl": itl, "queue": queue}).to_parquet(directory)
        return Result(plain.meta, {name: stored.StoredTable(name, directory) for name in plain.tables})

    return make


def text_of(html):
    """The page without the plotting library."""
    return html.replace(max(re.findall(r"<script>\n(.*?)\n</script>", html, re.DOTALL), key=len), "")


def test_a_page_does_not_grow_with_the_run(large, made_up):
    small, big = (len(text_of(render(run))) for run in (made_up(), large(COUNT)))
    assert big < 600_000
    assert big < 2 * small


def test_a_thinned_series_keeps_its_greatest_value(large):
    html = render(large(COUNT))
    assert re.search(r'"queue":\{"data":\[.*?1234\.0.*?\]', html), "the one moment of 1234 waiting jobs is not shown"
    assert f"in each {BINS}th of the run" in html


def test_tables_are_gone_through_and_not_held(large, monkeypatch):
    """The tables that are read here have 27 + 4 x 3 + 3 x 4 columns of 8 bytes: 408 bytes per request; few columns are held at a time."""
    monkeypatch.setattr(stored, "KEPT", 0)
    monkeypatch.setattr(latency, "KEPT", 0)
    few, many = COUNT // 4, COUNT
    assert (_peak(large(many)) - _peak(large(few))) / (many - few) < 200


def _peak(run):
    run.metrics  # noqa: B018  computed before, they are not the report's
    tracemalloc.start()
    render(run)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_of_a_large_cluster_the_busiest_nodes_are_drawn(bare):
    """1 000 boards on one switch, the later the busier: the switch stays by its links, the first boards go."""
    nodes = [{"name": f"pi{n}", "title": "a board", "kind": "device", "resources": [f"pi{n}.cpu"]} for n in range(1000)]
    nodes.append({"name": "hub", "title": "switch", "kind": "switch", "resources": []})
    links = [{"name": f"lan{n}", "title": "1 GbE", "ends": [f"pi{n}", "hub"], "resources": [f"lan{n}"]} for n in range(1000)]
    run = bare()
    busy = {f"pi{n}.cpu": n / 2000 for n in range(1000)} | {f"lan{n}": n / 1000 for n in range(1000)}
    drawing = topology(Result(run.meta | {"topology": {"nodes": nodes, "links": links}}, {}), busy)
    shown = [text.split(":")[0] for trace in drawing.data if trace.get("name") in ("device", "switch") for text in trace["text"]]
    assert len(shown) == 400
    assert {"hub", "pi999", "pi601"} <= set(shown)
    assert "pi600" not in shown
    assert "The 400 busiest of 1001" in drawing.caption


def test_long_tables_are_cut_and_say_so(made_up):
    result = made_up()
    count = 3 * _MOST_ROWS
    memory = {"pool": [f"pi{n}.ram" for n in range(count)], "allocation": ["total"] * count}
    memory |= {"capacity_bytes": [8e9] * count, "peak_bytes": [1e9] * count}
    html = render(Result(result.meta, {**result.tables, "memory": memory}))
    assert f"... {count - _MOST_ROWS} more rows" in html
    assert f"pi{count - 1}.ram" not in text_of(html).partition("<h2>Figures</h2>")[2]


def test_a_long_scenario_is_cut_and_says_where_it_is_whole(made_up):
    result = made_up()
    devices = {f"pi{number}": {"spec": "rpi5_8gb", "idle": 3.0} for number in range(10_000)}
    html = render(Result(result.meta | {"scenario": {"devices": devices}}, result.tables))
    assert "the whole is in run.json" in html
    assert len(text_of(html)) < 800_000
