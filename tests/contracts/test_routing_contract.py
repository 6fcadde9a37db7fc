"""Every routing policy passes the suite; policies broken in one way each do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from edgewright.policies.conformance import check_policy, check_routing
from edgewright.policies.families import RoutingAgent
from edgewright.policies.registry import policies_of
from edgewright.policies.routing import EnergySlo, FirstFit, LeastLoaded
from edgewright.policies.routing.candidates import candidates
from edgewright.policies.views import JobView, RoutingView
from edgewright.workloads import Stream

VARIANTS = [FirstFit(limit=1), LeastLoaded(by="tokens"), EnergySlo(slo=0.0), EnergySlo(slo=1e9, expected_output=0)]


@pytest.mark.parametrize("name", policies_of("routing"))
def test_registered_policies_conform(name: str) -> None:
    check_policy(policies_of("routing")[name]())


@pytest.mark.parametrize("policy", VARIANTS, ids=repr)
def test_other_hyper_parameters_conform(policy: Any) -> None:
    check_policy(policy)


@dataclass(frozen=True)
class Routing:
    """A policy from a function of job, view and the number of calls."""

    rule: Callable[[JobView, RoutingView, int], str | None]

    def start(self, scope: str, stream: Stream) -> RoutingAgent:
        return _Agent(self.rule)


class _Agent:
    def __init__(self, rule: Callable[[JobView, RoutingView, int], str | None]) -> None:
        self.rule, self.calls = rule, count()

    def route(self, job: JobView, view: RoutingView) -> str | None:
        return self.rule(job, view, next(self.calls))


def in_turn(job: JobView, view: RoutingView, call: int) -> str | None:
    servers = candidates(job, view)
    return servers[call % len(servers)].name if servers else None


def the_first_whatever_it_is(job: JobView, view: RoutingView, call: int) -> str | None:
    return view.servers[0].name


def the_first_that_is_up(job: JobView, view: RoutingView, call: int) -> str | None:
    return next((server.name for server in view.servers if server.available), None)


def a_stranger(job: JobView, view: RoutingView, call: int) -> str | None:
    return "elsewhere"


def nobody(job: JobView, view: RoutingView, call: int) -> str | None:
    return None


def sorting_the_view(job: JobView, view: RoutingView, call: int) -> str | None:
    view.servers.sort(key=lambda server: -server.queued)  # type: ignore[attr-defined]
    return next((server.name for server in candidates(job, view)), None)


SHARED = count()


def in_turn_over_all_services(job: JobView, view: RoutingView, call: int) -> str | None:
    return in_turn(job, view, next(SHARED))


BROKEN = [
    (the_first_whatever_it_is, "servers that are up and can hold the job are"),
    (the_first_that_is_up, "servers that are up and can hold the job are"),
    (a_stranger, "routes to 'elsewhere'"),
    (nobody, "rejects a job"),
    (sorting_the_view, "changed the view"),
    (in_turn_over_all_services, "a second agent routes to"),
]


def test_a_policy_made_like_the_broken_ones_conforms() -> None:
    check_routing(Routing(in_turn))


@pytest.mark.parametrize(("rule", "message"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_broken_policies_are_rejected(rule: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_routing(Routing(rule))
