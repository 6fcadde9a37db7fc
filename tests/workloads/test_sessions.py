"""Users and conversations: what comes next waits for what came before."""

import numpy as np
import pytest
from scipy import stats

from edgewright.workloads import Arrival, Stream
from edgewright.workloads.arrivals import ClosedLoop, Sessions

STREAM = Stream(1, "feedback")


def test_users_of_a_closed_loop_come_once_and_again_when_answered():
    loop = ClosedLoop(users=2, think=3.0, spread="fixed")
    assert list(loop.first(STREAM, 10.0, 99.0)) == [Arrival(13.0, 0), Arrival(13.0, 1)]
    assert loop.following(STREAM, 1, 0, 20.0) == Arrival(23.0, 1, 1)
    assert loop.following(STREAM, 1, 7, 50.0) == Arrival(53.0, 1, 8)


def test_users_who_would_come_after_the_end_do_not():
    assert list(ClosedLoop(users=2, think=3.0, spread="fixed").first(STREAM, 10.0, 13.0)) == []


def test_thinking_times_are_exponential_and_differ_by_user_and_turn():
    loop = ClosedLoop(users=1, think=2.0)
    pauses = [loop.following(STREAM, user, turn, 5.0).time - 5.0 for user in range(50) for turn in range(40)]
    assert len(set(pauses)) == 2000
    assert stats.kstest(pauses, "expon", (0, 2.0)).pvalue > 0.01


def test_first_questions_come_in_order_and_without_thinking_at_once():
    first = list(ClosedLoop(users=30, think=2.0).first(STREAM, 0.0, 100.0))
    assert first == sorted(first)
    assert [arrival.time for arrival in ClosedLoop(users=3).first(STREAM, 1.0, 2.0)] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("mean", [1.0, 1.5, 6.0])
def test_turns_are_geometric(mean):
    sessions = Sessions(rate=1.0, turns=mean, think=1.0)
    turns = np.array([sessions.turns_of(STREAM, number) for number in range(6000)])
    assert turns.min() == 1
    assert turns.mean() == pytest.approx(mean, abs=4 * np.sqrt(mean * (mean - 1) / 6000))
    assert np.mean(turns == 1) == pytest.approx(1 / mean, abs=0.03)


def test_a_conversation_has_its_turns_and_then_ends():
    sessions = Sessions(rate=1.0, turns=3.0, think=2.0, spread="fixed")
    for number in range(50):
        turns, asked = sessions.turns_of(STREAM, number), 1
        arrival = Arrival(4.0, number)
        while (arrival := sessions.following(STREAM, number, arrival.turn, 10.0 * asked)) is not None:
            assert arrival == Arrival(10.0 * asked + 2.0, number, asked)
            asked += 1
        assert asked == turns


def test_conversations_begin_as_a_poisson_process_and_thin_to_a_subset():
    whole = list(Sessions(rate=4.0, turns=2.0, think=1.0).first(STREAM, 0.0, 500.0))
    part = list(Sessions(rate=4.0, turns=2.0, think=1.0, thin=0.5).first(STREAM, 0.0, 500.0))
    gaps = np.diff([arrival.time for arrival in whole])
    assert stats.kstest(gaps, "expon", (0, 0.25)).pvalue > 0.01
    assert set(part) < set(whole)
