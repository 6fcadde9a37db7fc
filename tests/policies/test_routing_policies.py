"""Routing among two or three servers whose predictions can be worked out by hand."""

from __future__ import annotations

import pytest

from edgewright.policies.conformance.fakes import FakeJob, FakeRouting, FakeServer
from edgewright.policies.families import RoutingPolicy
from edgewright.policies.routing import EnergySlo, FirstFit, LeastLoaded, PredictedLatency
from edgewright.workloads import Stream

JOB = FakeJob(id=1, prompt=100)
ALL = (FirstFit(), FirstFit(limit=2), LeastLoaded(), LeastLoaded(by="tokens"), PredictedLatency(), EnergySlo())


def routed(policy: RoutingPolicy, *servers: FakeServer) -> str | None:
    return policy.start("service", Stream(1, "test")).route(JOB, FakeRouting(list(servers)))


@pytest.mark.parametrize("policy", ALL, ids=repr)
def test_servers_that_are_down_or_too_small_are_passed_over(policy: RoutingPolicy) -> None:
    down, small, good = FakeServer("down", available=False), FakeServer("small", capacity=99), FakeServer("good", queued=9, running=9)
    assert routed(policy, down, small, good) == "good"
    assert routed(policy, down, small) is None


@pytest.mark.parametrize("policy", ALL, ids=repr)
def test_ties_break_in_the_scenarios_order(policy: RoutingPolicy) -> None:
    assert routed(policy, FakeServer("z"), FakeServer("a")) == "z"


def test_first_fit_spills_over_when_the_first_is_full() -> None:
    full, free = FakeServer("full", queued=1, running=3), FakeServer("free", running=3)
    assert routed(FirstFit(), full, free) == "full"
    assert routed(FirstFit(limit=4), full, free) == "free"
    assert routed(FirstFit(limit=3), full, free) == "full"  # both are full


def test_least_loaded_counts_jobs_or_tokens() -> None:
    few_long, many_short = FakeServer("few_long", queued=1, queued_tokens=5000), FakeServer("many_short", queued=3, queued_tokens=90)
    assert routed(LeastLoaded(), few_long, many_short) == "few_long"
    assert routed(LeastLoaded(by="tokens"), few_long, many_short) == "many_short"


def test_predicted_latency_prefers_a_busy_fast_server_to_an_idle_slow_one() -> None:
    fast, slow = FakeServer("fast", queued_tokens=400, seconds=0.01), FakeServer("slow", seconds=0.1)
    assert routed(PredictedLatency(expected_output=100), slow, fast) == "fast"  # 0.01 (400 + 100 + 100) = 6 s < 0.1 (100 + 100) = 20 s


def test_energy_within_the_objective_and_speed_beyond_it() -> None:
    frugal, hungry = FakeServer("frugal", seconds=0.05, joules=0.1), FakeServer("hungry", seconds=0.01, joules=1.0)
    assert routed(EnergySlo(slo=12.0, expected_output=100), hungry, frugal) == "frugal"  # 0.05 * 200 = 10 s
    assert routed(EnergySlo(slo=5.0, expected_output=100), frugal, hungry) == "hungry"  # only 0.01 * 200 = 2 s is in time
    assert routed(EnergySlo(slo=1.0, expected_output=100), frugal, hungry) == "hungry"  # neither is: the faster


def test_an_unknown_measure_of_load_is_refused() -> None:
    with pytest.raises(ValueError, match="accepted are 'jobs', 'tokens'"):
        LeastLoaded(by="weight")  # type: ignore[arg-type]
