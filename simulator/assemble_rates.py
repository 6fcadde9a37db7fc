"""From a scenario to the courses that the rates of its links follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from edgewright.hwmodels import Connection, Hop, RateProfile
from edgewright.simulator.assemble import connections_of
from edgewright.simulator.errors import Key, spoken
from edgewright.workloads import Stream
from edgewright.workloads.link_rates_file import RecordedRate

if TYPE_CHECKING:
    from edgewright.simulator.scenario import Scenario
    from edgewright.simulator.schema_cluster import LinkGroup
    from edgewright.workloads.link_rates import LinkRate

__all__ = ["build_rates"]


def build_rates(scenario: Scenario) -> dict[str, RateProfile]:
    """The profile of every link resource that follows one: of each connection its own, drawn from the stream `links.NAME`.

    Raises `ScenarioError` for a file that is not there or cannot be read, and for a way back of a link that has one capacity.
    """
    found: dict[str, RateProfile] = {}
    for index, link in enumerate(scenario.cluster.links):
        for connection in connections_of(scenario.cluster, link) if link.rate is not None else ():
            found.update(_followed(scenario, ("cluster", "links", index), link, connection))
    return found


def _followed(scenario: Scenario, key: Key, link: LinkGroup, connection: Connection) -> Iterator[tuple[str, RateProfile]]:
    stream = Stream(scenario.seed).child(f"links.{connection.name}")
    there, *back = connection.resources
    if link.rate_back is not None and not back:
        problem = f"is a way back, but {connection.name!r} has one capacity for both ways"
        raise scenario.error((*key, "rate_back"), problem, "a link of duplex full", link.duplex)
    assert link.rate is not None, "a link without a course follows none"
    both = _started(scenario, (*key, "rate"), link.rate, stream, Hop(connection, backward=False).rate)
    yield there, both
    for resource in back:
        rate = link.rate_back
        yield (
            resource,
            both
            if rate is None
            else _started(scenario, (*key, "rate_back"), rate, stream.child("back"), Hop(connection, backward=True).rate),
        )


def _started(scenario: Scenario, key: Key, rate: LinkRate, stream: Stream, nominal: float) -> RateProfile:
    if isinstance(rate, RecordedRate):
        rate = replace(rate, file=scenario.origin.base / rate.file)
        if not rate.file.is_file():
            accepted = f"the path of a file, absolute or from {scenario.origin.base}"
            raise scenario.error((*key, "file"), "is no file", accepted, str(rate.file))
    try:
        return rate.start(stream, nominal)
    except (ValueError, OSError) as error:
        raise scenario.error(key, *spoken(str(error))) from None
