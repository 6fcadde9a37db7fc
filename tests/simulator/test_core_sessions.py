"""What sessions leave in a cache of 28 blocks of 16 tokens, and what becomes of it while their next turns queue."""

import numpy as np
import pytest

from edgewright.simulator.request import Request
from edgewright.workloads import Job

SMALL = {"kv_capacity": "10.4 MB"}


@pytest.fixture
def talked(boards, ask):
    """A board on which session 7 has had a turn of 64 and 17 tokens: all but the last are cached, 80 of them in 5 blocks."""
    simulation = boards(1, SMALL)
    ask(simulation, 0, 64, 17, session=7)
    simulation.run_until(2.0)
    kv = simulation.replicas["chat.only"].kv
    assert (kv.capacity, kv.used, kv.retained) == (28, 0, 5)
    return simulation


def test_the_next_turn_computes_what_is_new(talked, ask):
    """81 tokens of history, 80 of them cached, and 40 new ones."""
    turn = ask(talked, 1, 121, 4, session=7, turn=1, history=81)
    assert talked.replicas["chat.only"].queued_tokens == 41
    talked.run_until(60.0)
    assert (turn.cached, turn.computed, turn.status) == (80, 41, "completed")


@pytest.mark.parametrize(("output", "cached"), [(10, 80), (40, 0)])
def test_a_prefix_that_went_while_its_turn_queued_is_computed_again(talked, ask, output, cached):
    """A prompt of 352 tokens takes 22 blocks: of the other 6, the session has 5, and its next turn, of 8 blocks, waits. With its 17th
    token more the prompt's job takes a 24th block, and the session's 5 have to go: a job of 10 tokens leaves them, one of 40 does not."""
    ask(talked, 1, 352, output)
    turn = ask(talked, 2, 121, 4, session=7, turn=1, history=81)
    talked.run_until(2.1)
    replica = talked.replicas["chat.only"]
    assert (turn.scheduled, replica.queued_tokens) == (None, 121 - 80)
    while turn.scheduled is None:
        assert replica.queued_tokens == 121 - min(80, 16 * replica.kv.retained)
        talked.run_until(talked.now + 0.01)
    assert turn.cached == cached
    assert replica.kv.evictions == (0 if cached else 1)
    talked.run_until(60.0)
    assert talked.recorder.over == {"completed": 3}


def test_of_two_turns_at_once_the_first_has_the_prefix(talked, ask):
    """Memory belongs to one of them: the other computes its whole prompt. What the last to end leaves stays for the next turn: its 122 and
    8 tokens but the last, in 9 blocks."""
    turns = [ask(talked, number, 120 + number, 4 * number, session=7, turn=number, history=81) for number in (1, 2)]
    talked.run_until(60.0)
    kv = talked.replicas["chat.only"].kv
    assert [(turn.cached, turn.computed) for turn in turns] == [(80, 41), (0, 122)]
    assert turns[0].finished < turns[1].finished
    assert (kv.used, kv.retained) == (0, 9)


def test_a_run_of_steps_ends_before_it_evicts(talked):
    """352 tokens in 22 blocks beside the session's 5: one block is free, for 16 tokens more. Then a run of one step, which evicts."""
    kv = talked.replicas["chat.only"].kv
    request = Request(Job(1, "chat", "test", 0.0, 352, 100), 0.0, lambda _: None)
    for context, steps in ((352, 16), (368, 1)):
        request.context = context
        kv.grow(request, context)
        assert (kv.evictions, kv.steps_until_full([request], 1000)) == (0, steps)
    kv.grow(request, 369)
    assert (kv.evictions, kv.retained, kv.steps_until_full([request], 1000)) == (1, 0, 28 * 16 - 368)


def test_jumping_and_stepping_agree_under_eviction(boards, monkeypatch):
    """Conversations of four turns, several at once, in a cache that holds one or two: step by step and jumped over alike."""
    arrivals = {"process": "sessions", "rate": "20 /min", "turns": 4, "think": "2 s"}
    runs = []
    for longest in (4096, 1):
        monkeypatch.setattr("edgewright.simulator.replica.LONGEST_STRETCH", longest)
        simulation = boards(1, SMALL, arrivals, output=60)
        simulation.run_until(simulation.end)
        jobs = simulation.result().jobs
        runs.append((simulation.replicas["chat.only"].kv.evictions, *(jobs[name].to_numpy() for name in ("cached_tokens", "finished_s"))))
    (evictions, cached, finished), stepped = runs
    assert evictions == stepped[0] > 5
    assert 0 < np.count_nonzero(cached) < np.count_nonzero(jobs["session"] >= 0)
    np.testing.assert_array_equal(cached, stepped[1])
    np.testing.assert_allclose(finished, stepped[2], rtol=1e-9)
