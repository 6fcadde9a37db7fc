"""The suite of the `routing` seam: seeded services, some of their replicas down, full or too small."""

from __future__ import annotations

from random import Random

from edgewright.hwmodels.conformance import require, situation
from edgewright.policies.conformance.fakes import FakeJob, FakeRouting, FakeServer
from edgewright.policies.families import RoutingAgent, RoutingPolicy
from edgewright.workloads import Stream

__all__ = ["check_routing"]


def check_routing(policy: RoutingPolicy, situations: int = 200) -> None:
    """Require of a routing policy, over seeded jobs and replicas:

    - it returns None, or the name of a server of the view that is up and can hold the job;
    - it serves where every server is up, idle and large enough;
    - another agent sent the same jobs decides the same, whatever agents have decided in between;
    - the view is left as it was.

    Raises `AssertionError` saying in which situation.
    """
    views = [_view(number) for number in range(situations)]
    first = _routed(policy, views)
    _routed(policy, views[::-1])
    for number, (before, after) in enumerate(zip(first, _routed(policy, views), strict=True)):
        with situation(policy, f"situation {number}"):
            require(before == after, f"a second agent routes to {after!r} instead of {before!r}")


def _routed(policy: RoutingPolicy, views: list[tuple[FakeJob, FakeRouting]]) -> list[str | None]:
    agent = policy.start("service", Stream(1, "conformance"))
    routed = []
    for number, (job, view) in enumerate(views):
        with situation(policy, f"situation {number}"):
            routed.append(_checked(agent, job, view))
    return routed


def _checked(agent: RoutingAgent, job: FakeJob, view: FakeRouting) -> str | None:
    servers = list(view.servers)
    name = agent.route(job, view)
    require(list(view.servers) == servers, "route changed the view")
    eligible = [server.name for server in servers if server.available and server.can_hold(job)]
    require(name is None or name in eligible, f"routes to {name!r}; servers that are up and can hold the job are {eligible}")
    idle = all(isinstance(server, FakeServer) and not server.queued and not server.running for server in servers)
    require(name is not None or not idle or len(eligible) < len(servers), f"rejects a job that any of {eligible}, all idle, could serve")
    return name


def _view(number: int) -> tuple[FakeJob, FakeRouting]:
    random = Random(f"routing:{number}")
    calm = number % 5 == 0
    servers = [_server(random, f"server{place}", calm) for place in range(random.randint(1, 6))]
    prompt, priority, session = random.randint(1, 4000), random.randint(0, 2), random.choice((None, 3))
    job = FakeJob(id=number, arrival=float(number), prompt=prompt, priority=priority, session=session)
    return job, FakeRouting(servers, now=float(number))


def _server(random: Random, name: str, calm: bool) -> FakeServer:
    queued, running = (0, 0) if calm else (random.randint(0, 4), random.randint(0, 8))
    return FakeServer(
        name=name,
        queued=queued,
        running=running,
        queued_tokens=queued * random.randint(1, 2000),
        available=calm or random.random() < 0.8,
        capacity=10_000 if calm else random.choice((500, 2000, 10_000)),
        seconds=random.choice((1e-4, 1e-3, 1e-2)),
        joules=random.choice((1e-3, 1e-2, 1e-1)),
    )
