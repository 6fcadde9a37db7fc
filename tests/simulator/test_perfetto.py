"""The trace: requests nest, slices of a track never overlap, and what is shown is said."""

import json
from collections import defaultdict
from itertools import pairwise

import numpy as np

from edgewright.simulator import perfetto
from edgewright.simulator.perfetto import trace_events, write_trace


def of_phase(events, *phases):
    return [event for event in events if event["ph"] in phases]


def nested(events):
    """Names of requests as nested lists; fails if an end does not match the innermost beginning, or time runs backwards."""
    stack, last, closed = [("", [])], float("-inf"), []
    for event in events:
        assert event["ts"] >= last
        last = event["ts"]
        if event["ph"] == "b":
            stack.append((event["name"], []))
        else:
            name, inner = stack.pop()
            assert name == event["name"]
            stack[-1][1].append((name, inner))
    ((_, closed),) = stack
    return closed


def test_a_request_is_nested_phases(bare, jobs_of):
    events = of_phase(trace_events(bare(jobs=jobs_of([{}]))), "b", "e")
    assert nested(events) == [("chat 0", [("queue", []), ("prefill", []), ("decode", [])])]
    began = {event["name"]: event["ts"] for event in events if event["ph"] == "b"}
    assert began == {"chat 0": 20e6, "queue": 20e6, "prefill": 21e6, "decode": 22e6}  # microseconds
    assert {event["id"] for event in events} == {0}


def test_a_request_shows_only_the_phases_it_reached(bare, jobs_of):
    nan = float("nan")
    rejected = {"status": "rejected", "scheduled_s": nan, "first_token_s": nan, "finished_s": 20.0}
    waiting = {"status": "in_flight", "scheduled_s": nan, "first_token_s": nan, "finished_s": nan}
    events = of_phase(trace_events(bare(jobs=jobs_of([rejected, waiting]))), "b", "e")
    by_job = {job: [event for event in events if event["id"] == job] for job in (0, 1)}
    assert nested(by_job[0]) == [("chat 0", [("queue", [])])]
    assert nested(by_job[1]) == [("chat 1", [("queue", [])])]
    assert by_job[1][-1]["ts"] == 100e6  # open until the end of the run


def test_every_request_of_a_run_nests(made_up):
    by_job = defaultdict(list)
    for event in of_phase(trace_events(made_up()), "b", "e"):
        by_job[event["cat"], event["id"]].append(event)
    assert len(by_job) == 200
    for events in by_job.values():
        assert len(nested(events)) == 1


def test_slices_of_a_track_never_overlap(made_up):
    tracks = defaultdict(list)
    for event in of_phase(trace_events(made_up()), "X"):
        tracks[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    assert len(tracks) == 7  # two for the overlapping steps of each chat replica, one for the GPU's operations, two for what failed
    for slices in tracks.values():
        assert slices == sorted(slices)
        assert all(end <= start for (_, end), (start, _) in pairwise(slices))


def test_faults_are_slices_that_end_with_the_run_if_nothing_else_ends_them(made_up):
    """A crash from 100 s to 130 s, and a link that is down from 390 s to the end at 400 s."""
    found = [event for event in trace_events(made_up()) if event.get("cat") == "fault"]
    assert [(event["name"], event["ts"], event["dur"]) for event in found] == [("crash", 100e6, 30e6), ("link_down", 390e6, 10e6)]


def test_times_are_whole_nanoseconds(made_up):
    for event in trace_events(made_up()):
        for key in {"ts", "dur"} & set(event):
            assert (event[key] * 8).is_integer()
            assert float(json.loads(json.dumps(event[key]))) * 1000 == round(event[key] * 1000)


def test_processes_and_threads_are_named_and_numbers_are_unique(made_up):
    events = list(trace_events(made_up()))
    processes = {event["pid"]: event["args"]["name"] for event in of_phase(events, "M") if event["name"] == "process_name"}
    threads = {(event["pid"], event["tid"]): event["args"]["name"] for event in of_phase(events, "M") if event["name"] == "thread_name"}
    assert set(processes.values()) == {
        "requests: chat", "requests: camera", "replica: chat.0", "replica: chat.1", "resources", "power", "faults",
    }  # fmt: skip
    assert {(event["pid"], event["tid"]) for event in events if event["ph"] != "M"} == set(threads)


def test_counters_and_commands(made_up):
    events = list(trace_events(made_up()))
    names = {event["name"] for event in of_phase(events, "C")}
    assert names == {"rack mean [W]", "rack peak [W]", "rack budget [W]", "queue: waiting", "queue: running", "KV: blocks"}
    commands = [event["name"] for event in of_phase(events, "i")]
    assert commands == [
        "rtx0: clock 0.7",
        "orin0: clock 0.8",
        "rtx0: clock 1",
        "rtx0: watts 150",
        "rtx0: clock 0.6",
    ]  # the brake never took effect


def test_long_counters_keep_their_extremes(bare):
    count = 50_000
    blocks = np.arange(count) % 97
    blocks[31_415] = 5_000
    kv = {"replica": ["r"] * count, "time_s": np.linspace(0, 99, count), "blocks": blocks, "capacity_blocks": [9_999] * count}
    shown = [event["args"]["blocks"] for event in of_phase(trace_events(bare(kv=kv)), "C")]
    assert len(shown) <= 20_000
    assert (max(shown), min(shown)) == (5_000, 0)


def test_a_long_run_is_cut_and_the_file_says_so(made_up, tmp_path, monkeypatch):
    monkeypatch.setattr(perfetto, "MOST_JOBS", 7)
    write_trace(made_up(), tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())
    assert trace["otherData"]["jobs of chat"] == "the first 7 of 80"
    assert trace["otherData"]["steps"] == "all 800"
    assert len({(event["cat"], event["id"]) for event in of_phase(trace["traceEvents"], "b")}) == 7 + 7


def test_counters_of_the_first_replicas_are_shown(bare, tmp_path, monkeypatch):
    monkeypatch.setattr(perfetto, "MOST_REPLICAS", 2)
    names = ["a", "b", "c", "a"]
    kv = {"replica": names, "time_s": [0.0, 1.0, 2.0, 3.0], "blocks": [1, 2, 3, 4], "capacity_blocks": [9] * 4}
    shown = [event["args"]["blocks"] for event in of_phase(trace_events(bare(kv=kv)), "C")]
    assert shown == [1, 4, 2]


def test_an_empty_run_gives_a_valid_trace(bare, tmp_path):
    write_trace(bare(), tmp_path / "trace.json")
    assert json.loads((tmp_path / "trace.json").read_text())["traceEvents"] == []
