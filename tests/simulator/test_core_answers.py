"""The way back of an answer over links that are slow, cut off, or mended while it waits."""

import pytest

BYTES = 11_700.0
"""Of a message; over 1 GbE at 117 MB/s it takes 100 us. Messages below one MTU are priced by their latency whatever the rate is."""


@pytest.fixture
def answered(boards, ask):
    """`answered(output, faults) -> (simulation, request)`: one job, asked at 0 s by a user behind the link `lan`, 60 s later."""

    def run(output, faults=()):
        simulation = boards(1, faults=dict(faults))
        request = ask(simulation, 0, 64, output, "user", egress_bytes_per_token=BYTES)
        simulation.run_until(60.0)
        return simulation, request

    return run


def down(at, **more):
    return {"cut": {"kind": "link_down", "targets": ["lan"], "at": [at]} | more}


def test_a_slow_link_makes_every_message_late(answered):
    """At a thousandth of its rate a message takes 100 ms instead of 100 us."""
    _, plain = answered(8)
    _, late = answered(8, {"rain": {"kind": "link_slow", "targets": ["lan"], "factor": 1e-3, "at": [0.0]}})
    expected = 0.1 - 1e-4
    assert late.finished - plain.finished == pytest.approx(expected, rel=0.01)
    assert late.first_token - plain.first_token == pytest.approx(expected, rel=0.01)


def test_an_answer_waits_for_a_dead_link(answered):
    """The link is down from before the first token until 9 s: all of the answer arrives then."""
    simulation, job = answered(8, down(0.001, lasts=8.999))
    assert (job.status, job.finished) == ("completed", pytest.approx(9.0, abs=1e-3))
    assert job.first_token == pytest.approx(9.0, abs=1e-3)
    assert simulation.result().jobs.e2e_s[0] == pytest.approx(job.finished)


def test_what_came_before_the_link_died_was_there(answered):
    _, plain = answered(400)
    _, job = answered(400, down(plain.finished / 2, lasts=30))
    assert job.first_token == pytest.approx(plain.first_token)
    assert job.finished == pytest.approx(plain.finished / 2 + 30, abs=1e-3)


def test_every_message_is_accounted_once(answered):
    """Eight messages, whether or not the last had to wait; none comes twice."""
    sent = [answered(8, faults)[0].machine.traffic["lan<"].sent for faults in ({}, down(0.001, lasts=8.999))]
    assert sent == [pytest.approx(8 * BYTES)] * 2


def test_an_answer_that_never_arrives_is_in_flight(answered):
    simulation, job = answered(8, down(0.001))
    assert (job.status, job.finished) == ("in_flight", None)
    assert list(simulation.result().jobs.status) == ["in_flight"]
