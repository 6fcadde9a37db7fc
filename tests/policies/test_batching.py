"""Batching on tiny queues: who is admitted, when, and how long the decision stands."""

from __future__ import annotations

from math import inf

import pytest

from edgewright.policies.batching import ChunkedPrefill, Continuous, Dynamic, Static
from edgewright.policies.batching.admission import fitting
from edgewright.policies.conformance.fakes import FakeReplica, FakeRunning, FakeWaiting
from edgewright.policies.families import Batch, BatchingAgent, BatchingPolicy
from edgewright.policies.views import Horizon
from edgewright.workloads import Stream


def agent_of(policy: BatchingPolicy) -> BatchingAgent:
    return policy.start("replica", Stream(1, "test"))


def queue(*tokens: int) -> list[FakeWaiting]:
    """Jobs 0, 1, ... with these prompt lengths, arrived one second apart."""
    return [FakeWaiting(number, arrival=float(number), tokens=each) for number, each in enumerate(tokens)]


def batch(*ids: int, left: int = 0) -> list[FakeRunning]:
    return [FakeRunning(each, context=10, prompt_left=left) for each in ids]


# -- continuous ----------------------------------------------------------------------------------------------------------------------


def test_continuous_admits_prompts_in_arrival_order_up_to_the_token_limit() -> None:
    view = FakeReplica(waiting=queue(30, 30, 10), running=batch(9), max_tokens=64)  # 30 + 30 + 10 = 70 > 64
    assert agent_of(Continuous()).next_batch(view) == Batch(decode=False, prefill=((0, 30), (1, 30)))


def test_continuous_does_not_let_a_short_prompt_overtake() -> None:
    view = FakeReplica(waiting=queue(50, 5), running=batch(9), free_tokens=20)
    decision = agent_of(Continuous()).next_batch(view)
    assert decision.prefill == ()
    assert decision.decode


def test_a_prompt_longer_than_a_step_runs_alone() -> None:
    view = FakeReplica(waiting=queue(100, 5), max_tokens=64)
    assert agent_of(Continuous()).next_batch(view).prefill == ((0, 100),)


def test_continuous_respects_batch_slots() -> None:
    view = FakeReplica(waiting=queue(1, 1, 1), running=batch(7, 8, 9), max_sequences=5)
    assert agent_of(Continuous()).next_batch(view).prefill == ((0, 1), (1, 1))


@pytest.mark.parametrize(
    ("view", "arrival", "completion"),
    [
        (FakeReplica(running=batch(9)), True, False),  # room for an arrival; a completion changes nothing
        (FakeReplica(running=batch(8, 9), max_sequences=2), False, True),  # no slot until one completes
        (FakeReplica(running=batch(9), waiting=queue(50), free_tokens=20), False, True),  # no memory until one completes
    ],
)
def test_decoding_stands_until_a_job_could_be_admitted(view: FakeReplica, arrival: bool, completion: bool) -> None:
    decision = agent_of(Continuous()).next_batch(view)
    assert decision == Batch(decode=True, until=Horizon(steps=inf, arrival=arrival, completion=completion))


def test_a_prompt_that_arrives_computed_is_admitted_and_decodes_at_once() -> None:
    view = FakeReplica(waiting=[FakeWaiting(0, tokens=0, cached=50)], running=batch(9))
    assert agent_of(Continuous()).next_batch(view) == Batch(decode=True, prefill=((0, 0),))


def test_an_idle_replica_has_nothing_to_compute() -> None:
    for policy in (Continuous(), ChunkedPrefill(), Static(), Dynamic()):
        assert agent_of(policy).next_batch(FakeReplica()) == Batch()


def test_one_shot_jobs_are_batched_whole() -> None:
    view = FakeReplica(waiting=queue(1, 1, 1), generates=False, max_sequences=8)
    for policy in (Continuous(), ChunkedPrefill(), Static(size=3), Dynamic(size=3)):
        assert agent_of(policy).next_batch(view).prefill == ((0, 1), (1, 1), (2, 1))


# -- chunked prefill -----------------------------------------------------------------------------------------------------------------


def test_chunks_fill_what_the_decodes_leave_of_the_budget() -> None:
    view = FakeReplica(waiting=queue(20), running=batch(7, 8), max_tokens=64)
    decision = agent_of(ChunkedPrefill(budget=10)).next_batch(view)
    assert (decision.decode, decision.prefill) == (True, ((0, 8),))  # 10 - 2 decodes
    assert decision.until == Horizon(steps=2, arrival=False, completion=True)  # 20 = 8 + 8 + 4: the same chunk twice


def test_a_prompt_begun_goes_before_one_that_waits() -> None:
    view = FakeReplica(waiting=queue(20), running=[*batch(7), *batch(8, left=3)])
    assert agent_of(ChunkedPrefill(budget=10)).next_batch(view) == Batch(decode=True, prefill=((8, 3), (0, 6)))  # 10 - 1 - 3 = 6


def test_the_engine_bounds_the_budget() -> None:
    view = FakeReplica(waiting=queue(100), max_tokens=32)
    assert agent_of(ChunkedPrefill(budget=512)).next_batch(view).prefill == ((0, 32),)


def test_decodes_that_use_the_budget_up_let_no_chunk_in() -> None:
    view = FakeReplica(waiting=queue(5), running=batch(7, 8))
    decision = agent_of(ChunkedPrefill(budget=2)).next_batch(view)
    assert decision == Batch(decode=True, until=Horizon(steps=inf, arrival=False, completion=True))


# -- static and dynamic --------------------------------------------------------------------------------------------------------------


def test_static_waits_for_a_full_batch_and_restarts_its_patience_with_each_arrival() -> None:
    agent = agent_of(Static(size=3, timeout=5.0))
    assert agent.next_batch(FakeReplica(now=1.5, waiting=queue(4, 4))) == Batch(wake_at=6.0)  # the newest arrived at 1.0
    assert agent.next_batch(FakeReplica(now=2.0, waiting=queue(4, 4, 4))).prefill == ((0, 4), (1, 4), (2, 4))


def test_dynamic_counts_from_the_oldest() -> None:
    agent = agent_of(Dynamic(size=3, timeout=5.0))
    assert agent.next_batch(FakeReplica(now=1.5, waiting=queue(4, 4))) == Batch(wake_at=5.0)  # the oldest arrived at 0.0
    assert agent.next_batch(FakeReplica(now=5.0, waiting=queue(4, 4))).prefill == ((0, 4), (1, 4))


def test_a_closed_batch_runs_to_the_end_of_its_longest_member() -> None:
    agent = agent_of(Static(size=2))
    assert agent.next_batch(FakeReplica(waiting=queue(4, 4))).prefill == ((0, 4), (1, 4))
    later = [FakeWaiting(2), FakeWaiting(3)]
    decode = Batch(decode=True, until=Horizon(steps=inf, arrival=False, completion=True))
    assert agent.next_batch(FakeReplica(waiting=later, running=batch(0, 1))) == decode
    assert agent.next_batch(FakeReplica(waiting=later, running=batch(1))) == decode
    assert agent.next_batch(FakeReplica(waiting=later)).prefill == ((2, 1), (3, 1))


def test_a_closed_batch_is_prefilled_in_several_steps_where_one_is_too_short() -> None:
    agent = agent_of(Static(size=3))
    jobs = queue(40, 40, 20)
    assert agent.next_batch(FakeReplica(waiting=jobs, max_tokens=64)).prefill == ((0, 40),)  # 40 + 40 > 64
    assert agent.next_batch(FakeReplica(waiting=jobs[1:], running=batch(0), max_tokens=64)).prefill == ((1, 40), (2, 20))


def test_a_closed_batch_takes_a_preempted_member_back_and_nobody_else() -> None:
    agent = agent_of(Static(size=2))
    agent.next_batch(FakeReplica(waiting=queue(4, 4)))
    view = FakeReplica(waiting=[FakeWaiting(1, tokens=9), FakeWaiting(2)], running=batch(0))
    assert agent.next_batch(view).prefill == ((1, 9),)


def test_memory_bounds_a_closed_batch() -> None:
    agent = agent_of(Dynamic(size=3, timeout=0.0))
    assert agent.next_batch(FakeReplica(waiting=queue(10, 10, 10), free_tokens=25)).prefill == ((0, 10), (1, 10))


@pytest.mark.parametrize("free", range(0, 60, 5))
def test_bisection_finds_the_longest_prefix_that_fits(free: int) -> None:
    jobs = queue(*range(1, 11))
    expected = max(count for count in range(11) if sum(range(1, count + 1)) <= free)
    assert len(fitting(FakeReplica(free_tokens=free), jobs)) == expected


@pytest.mark.parametrize("build", [lambda: Static(size=0), lambda: Dynamic(timeout=-1.0), lambda: ChunkedPrefill(budget=0)])
def test_a_senseless_hyper_parameter_is_refused_by_name(build: type) -> None:
    with pytest.raises(ValueError, match="is not accepted; accepted are numbers from"):
        build()
