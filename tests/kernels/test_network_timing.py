"""Messages timed on a simulated connection, and once over a real socket pair."""

import socket
import threading
from contextlib import contextmanager

import pytest

from edgewright.kernels import Effort
from edgewright.kernels.network import RoundTrip, SocketEndpoint, answer, message_cost, round_trip, trips


class Clock:
    """A host whose clock moves when a message says so; the thread works for a quarter of the time."""

    def __init__(self, steal=0.0):
        self.time, self.steal = 0.0, steal

    def now(self):
        return self.time

    def busy(self):
        return self.time / 4

    def stolen(self, core):
        return self.time * self.steal

    def tick(self):
        return 0.01

    @contextmanager
    def pinned(self, core):
        yield core


class Slow:
    """An end whose messages take so many seconds each way, in turn."""

    def __init__(self, clock, *seconds):
        self.clock, self.seconds, self.calls = clock, seconds, 0

    def send(self, nbytes):
        self.calls += 1

    def receive(self, nbytes):
        self.clock.time += 2 * self.seconds[self.calls % len(self.seconds)]


def test_a_round_trip_is_two_messages_and_the_thread_works_for_a_part_of_it():
    clock = Clock()
    sample = round_trip(Slow(clock, 0.5), 8, effort=Effort(budget=0.0), host=clock)
    assert (sample.seconds, sample.low, sample.high, sample.repeats) == (1.0, 1.0, 1.0, 7)
    assert sample.cpu_seconds == 0.25
    assert sample.reasons == ()


def test_both_ends_know_the_number_of_trips_before():
    clock, effort = Clock(), Effort(budget=0.02)
    end = Slow(clock, 1.0)
    round_trip(end, 8, effort=effort, host=clock)
    assert end.calls == trips(effort) == 5 + 20


def test_noise_and_steal_are_reasons_not_to_trust():
    clock = Clock(steal=0.5)
    sample = round_trip(Slow(clock, 1.0, 3.0), 8, effort=Effort(budget=0.0), host=clock)
    assert "known to" in sample.reasons[0]
    assert "a hypervisor took 50.0%" in sample.reasons[1]


def test_a_message_of_no_bytes_is_refused():
    with pytest.raises(ValueError, match="at least one byte"):
        round_trip(Slow(Clock(), 1.0), 0, effort=Effort())


def sample(nbytes, seconds, cpu):
    return RoundTrip(nbytes, seconds, seconds, seconds, 7, cpu, ())


def test_the_cost_of_a_message_is_read_off_the_smallest_and_the_largest():
    """Round trips of 100 B: 4 s, of 300 B: 8 s: a message takes 2 and 4 s, so 0.01 s a byte and 1 s besides."""
    cost = message_cost([sample(300, 8.0, 3.0), sample(100, 4.0, 1.0), sample(200, 99.0, 9.0)])
    assert (cost.seconds, cost.seconds_per_byte) == pytest.approx((1.0, 0.01))
    assert (cost.cpu_seconds, cost.cpu_seconds_per_byte) == pytest.approx((0.0, 0.01))


def test_one_size_does_not_tell_the_cost_of_a_byte():
    with pytest.raises(ValueError, match="two sizes"):
        message_cost([sample(100, 4.0, 1.0)])


def test_messages_cross_a_real_socket_pair():
    effort = Effort(budget=0.01)
    near, far = socket.socketpair()
    with near, far:
        other = threading.Thread(target=answer, args=(SocketEndpoint(far), 5000, trips(effort)))
        other.start()
        found = round_trip(SocketEndpoint(near), 5000, effort=effort)
        other.join()
    assert 0.0 < found.low <= found.seconds <= found.high
    assert found.cpu_seconds > 0.0


def test_a_closed_connection_is_an_error():
    near, far = socket.socketpair()
    far.close()
    with near, pytest.raises(ConnectionError):
        SocketEndpoint(near).receive(1)
