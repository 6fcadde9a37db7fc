"""Prompts that begin alike: full blocks of 16 tokens held once, computed once, and gone when others need the room."""

import pytest

from edgewright.policies.kv import Full, SlidingWindow
from edgewright.simulator.blocks import BlockPool
from edgewright.simulator.request import Request
from edgewright.workloads import Job
from edgewright.workloads.prefixes import Prefixes
from edgewright.workloads.streams import Stream

SMALL = {"kv_capacity": "10.4 MB"}
PREFIX = {"prefix": 50, "prefix_name": "system/0"}
"""50 tokens: three full blocks, and two tokens of a fourth."""


def pool_of(simulation):
    return simulation.replicas["chat.only"].kv


def test_the_second_prompt_computes_what_the_first_did_not(boards, ask):
    """64 tokens of which 48 fill whole blocks: the second computes 16. Both running: 3 shared blocks and 2 of their own each."""
    simulation = boards(1, SMALL)
    first = ask(simulation, 0, 64, 10, **PREFIX)
    simulation.run_until(0.6)
    second = ask(simulation, 1, 64, 10, **PREFIX)
    stranger = ask(simulation, 2, 64, 10)
    simulation.run_until(60.0)
    assert [(job.cached, job.computed) for job in (first, second, stranger)] == [(0, 64), (48, 16), (0, 64)]
    kv = pool_of(simulation)
    assert (kv.used, kv.retained, list(kv.shared)) == (0, 3, ["system/0"])
    row = simulation.result().replicas.iloc[0]
    assert (row.prompt_tokens, row.hit_tokens) == (192, 48)


def request(number, prompt=64, **of_the_job):
    return Request(Job(number, "chat", "test", 0.0, prompt, 100, **of_the_job), 0.0, lambda _: None)


def admit(pool, made):
    """As a replica does: what is cached is recalled, the rest of the prompt gets blocks, and is computed."""
    made.cached = pool.remembered(made)
    assert pool.fits([made])
    pool.recall(made)
    pool.grow(made, made.wanted)
    made.admit(0.0, made.id)
    made.context = made.prompt
    pool.publish(made)


def pool(capacity=12, **changes):
    return BlockPool(capacity, 16, Full(), **{"shares": True} | changes)


def test_shared_blocks_count_once():
    kv = pool()
    jobs = [request(number, **PREFIX) for number in range(4)]
    for job in jobs:
        admit(kv, job)
    assert kv.used == 3 + 4 * 1
    assert [kv.covered(job) for job in jobs] == [4] * 4
    for job in jobs:
        kv.release(job, retain=False)
    assert (kv.used, kv.retained, kv.free) == (0, 3, 12)


def test_what_nobody_uses_goes_first_in_order_of_last_use():
    """Two prefixes kept, 3 blocks each; 8 blocks asked of 12: one has to go, the one that was used longer ago."""
    kv = pool()
    for name in ("a", "b", "a"):
        job = request(7, prefix=48, prefix_name=name, prompt=49)
        admit(kv, job)
        kv.release(job, retain=False)
    assert kv.retained == 6
    admit(kv, request(1, prompt=128))
    assert (list(kv.shared), kv.evictions, kv.used, kv.retained) == (["a"], 1, 8, 3)


def test_a_prefix_in_use_stays():
    kv = pool()
    admit(kv, request(0, **PREFIX))
    admit(kv, request(1, prompt=128))
    assert (kv.used, kv.evictions, list(kv.shared)) == (12, 0, ["system/0"])
    assert not kv.fits([request(2, prompt=16)])


def test_a_session_rests_on_its_prefix_and_both_come_back():
    """A turn of 64 tokens: 3 shared blocks and its own. The next, of 100, recalls all 64 and takes 3 more."""
    kv = pool()
    turn = request(0, session=5, **PREFIX)
    admit(kv, turn)
    kv.release(turn, retain=True)
    assert (kv.used, kv.retained) == (0, 4)
    later = request(1, prompt=100, session=5, history=64, **PREFIX)
    assert kv.remembered(later) == 64
    admit(kv, later)
    assert (kv.used, kv.retained, kv.covered(later)) == (7, 0, 7)


def test_a_session_goes_before_the_prefix_it_rests_on():
    kv = pool(8)
    turn = request(0, session=5, **PREFIX)
    admit(kv, turn)
    kv.release(turn, retain=True)
    admit(kv, request(1, prompt=80))
    assert (kv.evictions, list(kv.shared), kv.retained) == (1, ["system/0"], 3)
    admit(kv, request(2, prompt=16))
    assert (kv.evictions, list(kv.shared), kv.used) == (2, [], 6)


@pytest.mark.parametrize(
    "kv",
    [pool(shares=False), pool(slot_tokens=64), BlockPool(12, 16, SlidingWindow(sinks=1, window=20), shares=True)],
    ids=["off", "slots", "window"],
)
def test_who_cannot_share_does_not(kv):
    first, second = request(0, **PREFIX), request(1, **PREFIX)
    admit(kv, first)
    assert (kv.remembered(second), kv.shared) == (0, {})


def test_a_workload_says_how_its_prompts_begin(boards):
    """Two beginnings of 160 tokens before prompts of 64: the first of each computes 224 tokens, the others 64; 160 are ten whole blocks."""
    lengths = {"lengths": "joint", "prompt": {"shape": "fixed", "value": 64}, "output": {"shape": "fixed", "value": 8}}
    questions = {
        "service": "chat",
        "arrivals": {"process": "poisson", "rate": 0.5},
        "lengths": lengths,
        "prefix": {"tokens": 160, "groups": 2},
    }
    simulation = boards(1, {"kv_capacity": "40 MB"}, workloads={"questions": questions})
    simulation.run_until(60.0)
    jobs = simulation.result().jobs
    assert set(jobs.prompt_tokens) == {224}
    assert sorted(jobs.cached_tokens.unique()) == [0, 160]
    assert (jobs.cached_tokens == 0).sum() == 2
    hits = simulation.result().summary().set_index("metric").value["cache_hit_rate"].iloc[0]
    assert hits == pytest.approx(160 * (len(jobs) - 2) / (224 * len(jobs)))


def test_prefixes_are_drawn_by_name():
    stream = Stream(1, "sources.a")
    mixed = Prefixes(tokens=10, groups=3, share=0.5)
    names = [mixed.of(stream, "a", index) for index in range(400)]
    assert set(names) == {"", "a/0", "a/1", "a/2"}
    assert 150 < names.count("") < 250
    assert [mixed.of(stream, "a", index) for index in range(400)] == names
    skewed = [Prefixes(tokens=10, groups=3, skew=2.0, name="all").of(stream, "a", index) for index in range(400)]
    assert skewed.count("all/0") > skewed.count("all/1") > skewed.count("all/2")
