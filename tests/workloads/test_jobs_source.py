"""Sources: arrivals and lengths become jobs; conversations carry their history; policies see no output."""

from dataclasses import replace
from itertools import count, islice

import pytest

from edgewright.policies.views import JobView
from edgewright.workloads import Job, Source, Stream
from edgewright.workloads.arrivals import ClosedLoop, Periodic, Poisson, Sessions
from edgewright.workloads.lengths import Joint, LogNormal, OneShot, fixed

STREAM = Stream(1, "sources.chat")
LENGTHS = Joint(prompt=LogNormal(median=200, sigma=1.0), output=LogNormal(median=50, sigma=1.0))


def _source(arrivals, lengths=LENGTHS, **more):
    return Source(name="chat", service="llm", arrivals=arrivals, lengths=lengths, **more)


def _jobs(source, stop=50.0):
    return list(source.jobs(STREAM, 0.0, stop, count(100)))


def test_a_job_written_out():
    source = _source(
        Periodic(period=2.0, offset=1.0),
        fixed(10, 20),
        priority=3,
        deadline=0.5,
        ingress_bytes=100.0,
        ingress_bytes_per_token=4.0,
        egress_bytes_per_token=8.0,
    )
    assert _jobs(source, 4.0) == [
        Job(
            id=100 + index,
            service="llm",
            source="chat",
            arrival=1.0 + 2.0 * index,
            prompt=10,
            output=20,
            index=index,
            priority=3,
            deadline=1.5 + 2.0 * index,
            ingress_bytes=140.0,
            egress_bytes_per_token=8.0,
        )
        for index in (0, 1)
    ]


def test_frames_are_jobs_without_output():
    (frame,) = _jobs(_source(Periodic(period=2.0), OneShot(), kind="infer"), 1.0)
    assert (frame.kind, frame.prompt, frame.output, frame.session, frame.deadline) == ("infer", 1, 0, None, None)


def test_thinning_changes_no_job_that_stays():
    whole = {job.index: job for job in _jobs(_source(Poisson(rate=4.0)))}
    kept = _jobs(_source(Poisson(rate=4.0, thin=0.3)))
    assert 0 < len(kept) < len(whole)
    assert kept == [replace(whole[job.index], id=job.id) for job in kept]


def test_jobs_are_made_when_asked_for():
    ids = count()
    assert len(list(islice(_source(Poisson(rate=1.0)).jobs(STREAM, 0.0, float("inf"), ids), 5))) == 5
    assert next(ids) == 5


def test_nothing_follows_an_open_arrival():
    source = _source(Poisson(rate=1.0))
    assert source.after(STREAM, _jobs(source)[0], 9.0, count()) is None


def test_a_turn_repeats_the_conversation_so_far():
    """Prompts of 10 and answers of 20 tokens: 10, then 10 + 20 + 10 = 40, then 40 + 20 + 10 = 70."""
    source = _source(Sessions(rate=1.0, turns=40.0, think=2.0, spread="fixed"), fixed(10, 20), ingress_bytes_per_token=1.0)
    turns = source.arrivals
    first = next(job for job in _jobs(source) if turns.turns_of(STREAM.child("arrivals"), job.index) >= 3)
    second = source.after(STREAM, first, 100.0, count(900))
    third = source.after(STREAM, second, 200.0, count(901))
    assert [(job.prompt, job.history, job.turn, job.arrival) for job in (second, third)] == [(40, 30, 1, 102.0), (70, 60, 2, 202.0)]
    assert {job.session for job in (first, second, third)} == {first.index}
    assert (second.id, third.id) == (900, 901)
    assert third.ingress_bytes == 10.0


def test_a_conversation_ends():
    source = _source(Sessions(rate=1.0, turns=1.0, think=2.0))
    assert source.after(STREAM, _jobs(source)[0], 9.0, count()) is None


def test_a_user_of_a_closed_loop_starts_anew_with_other_lengths():
    source = _source(ClosedLoop(users=2, think=1.0, spread="fixed"))
    first = _jobs(source)[0]
    second = source.after(STREAM, first, 10.0, count(7))
    assert (second.arrival, second.turn, second.history, second.session) == (11.0, 1, 0, None)
    assert (second.prompt, second.output) != (first.prompt, first.output)


def test_what_follows_does_not_depend_on_when_it_is_asked():
    source = _source(Sessions(rate=1.0, turns=40.0, think=2.0))
    first = _jobs(source)[0]
    one, other = source.after(STREAM, first, 10.0, count(1)), source.after(STREAM, first, 30.0, count(1))
    assert other.arrival == pytest.approx(one.arrival + 20.0)
    assert replace(other, arrival=one.arrival) == one


def test_a_job_has_all_that_policies_see_and_policies_do_not_see_its_output():
    seen = {name for name in dir(JobView) if not name.startswith("_")}
    assert seen <= set(Job.__dataclass_fields__)
    assert "output" not in seen
