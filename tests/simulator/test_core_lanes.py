"""Lanes side by side share one queue and one KV memory of 28 blocks of 16 tokens: 448 tokens."""

import gc
from collections import Counter

import pytest

from edgewright.simulator.request import Request
from edgewright.workloads import Job

PIPELINE = {"partitioning": {"policy": "pipeline", "lanes": 2}}
SMALL = PIPELINE | {"kv_capacity": "6 MiB"}


def served(simulation, until=60.0):
    simulation.run_until(until)
    jobs = simulation.recorder.tables(simulation.now)["jobs"]
    return list(zip(jobs["status"], jobs["reason"], jobs["output_tokens"].tolist(), strict=True))


def test_lanes_reserve_what_their_steps_will_cache(boards):
    """A question per second, of 64 tokens and 200 more: 17 blocks each at its end, so that both lanes together often want more than there
    is while both have a step under way. All are served, some after they had lost their memory."""
    simulation = boards(2, SMALL, {"process": "poisson", "rate": "60 /min"}, output=200)
    assert simulation.replicas["chat.only"].kv.capacity == 28
    assert set(served(simulation, 120.0)) == {("completed", "", 200)}
    assert simulation.recorder.tables(simulation.now)["jobs"]["preemptions"].sum() > 0


def test_a_job_whose_memory_another_lane_holds_does_not_fail(boards, ask):
    """64 + 349 cached tokens are 26 blocks, two such jobs 52: the one that was admitted last, in either lane, waits for the other."""
    simulation = boards(2, SMALL)
    jobs = [ask(simulation, number, 64, 350) for number in range(2)]
    assert served(simulation) == [("completed", "", 350)] * 2
    assert sum(job.preemptions for job in jobs) == 1


def test_a_job_that_fills_the_cache_alone_fails(boards, ask):
    """448 tokens hold its prompt and 384 more; the 385th comes with them and is the last."""
    simulation = boards(2, SMALL)
    ask(simulation, 0, 64, 500)
    ask(simulation, 1, 64, 20)
    assert served(simulation) == [("failed", "KV cache full with this job alone", 385), ("completed", "", 20)]


def test_an_idle_lane_wakes_when_another_frees_memory(boards, ask):
    """400 tokens leave no room for 150: two such jobs wait, the second lane idles. Both start the moment the first job is done."""
    simulation = boards(2, SMALL)
    first, *others = (ask(simulation, number, prompt, 20) for number, prompt in enumerate((400, 150, 150)))
    simulation.run_until(60.0)
    assert [other.scheduled for other in others] == [first.finished] * 2


def test_lanes_fill_alike(boards):
    """Four users, two lanes."""
    simulation = boards(2, PIPELINE, {"process": "closed", "users": 4}, output=200)
    simulation.run_until(5.0)
    assert [len(lane.running) for lane in simulation.replicas["chat.only"].lanes] == [2, 2]


@pytest.mark.parametrize("jobs", [3, 5])
def test_an_odd_job_more_is_in_one_lane(boards, ask, jobs):
    simulation = boards(2, PIPELINE)
    for number in range(jobs):
        ask(simulation, number, 64, 300)
    simulation.run_until(2.0)
    assert Counter(len(lane.running) for lane in simulation.replicas["chat.only"].lanes) == {jobs // 2: 1, jobs // 2 + 1: 1}


def test_experts_are_hit_as_often_however_many_steps_could_be_bound_at_once(boards, ask):
    """Two jobs of a model of 64 experts, 16 of them in memory. The second comes to the idle lane while the first has a step under way in
    the other: no later step of the first may have been bound by then."""
    counts = []
    for most in (64, 1):
        chat = {"model": "olmoe-1b-7b", "format": "q4_0", "engine": {"preset": "ideal", "block_size": 16}}
        only = {"name": "only", "devices": ["pi0", "pi1"], "experts": {"policy": "on_demand", "slots": 16}} | PIPELINE
        simulation = boards(2, device={"storage": {"nvme": "nvme_gen3"}}, services={"chat": chat | {"replicas": [only]}})
        replica = simulation.replicas["chat.only"]
        replica.most_iterations = most
        first = ask(simulation, 0, 8, 8)
        simulation.run_until(1.2)
        assert 0 < first.generated < 8
        ask(simulation, 1, 8, 8)
        simulation.run_until(60.0)
        assert simulation.recorder.over == {"completed": 2}
        counts.append((len(replica.lanes), replica.experts.hits, replica.experts.misses))
    assert counts[0] == counts[1]
    assert counts[0][0] == 2
    assert counts[0][1] > 0 < counts[0][2]


def test_a_lane_that_waits_keeps_no_job_alive(boards):
    """Ten thousand lanes would keep as many, each with all that hangs on it."""
    simulation = boards(1)
    simulation.submit(Job(4711, "chat", "test", 0.0, 64, 20), None, lambda _: None)
    assert served(simulation) == [("completed", "", 20)]
    gc.collect()
    assert not [each for each in gc.get_objects() if isinstance(each, Request) and each.id == 4711]
