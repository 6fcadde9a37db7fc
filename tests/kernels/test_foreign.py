"""Calls of software with threads of its own, on a simulated machine whose clock moves when a call says so."""

import pytest

from edgewright.kernels import Effort
from edgewright.kernels.foreign import time_calls


class Machine:
    """A host on which a call takes `seconds`, `crowd` of which others work besides; `finish` takes as long as it says."""

    def __init__(self, seconds, *, share=1.0, crowd=0.0, steal=0.0, canaries=(1.0, 1.0)):
        self.clock, self.seconds, self.share, self.crowd, self.steal = 0.0, seconds, share, crowd, steal
        self._canaries = list(canaries)

    def now(self):
        return self.clock

    def busy(self):
        return self.clock * self.share

    def others(self):
        return self.clock * self.crowd

    def stolen(self, core):
        return self.clock * self.steal

    def tick(self):
        return 0.01

    def canaries(self):
        return {"core": self._canaries.pop(0)}

    def call(self):
        self.clock += self.seconds


def timed(machine, threads=1, **effort):
    return time_calls(machine.call, effort=Effort(**effort), threads=threads, host=machine)


def test_calls_are_repeated_until_a_repeat_is_long_enough():
    """Calls of 2^-14 s, repeats of 2^-10 s at least: 16 calls in each of the seven repeats that a certain median needs."""
    found = timed(Machine(2**-14), repeat_seconds=2**-10)
    assert found.seconds == 2**-14
    assert found.calls == 16
    assert found.repeats == 7
    assert found.reasons == ()


def test_what_a_queue_still_does_is_in_the_time():
    """Ten calls queued in no time, and 2 ms until they are through."""
    machine = Machine(0.0)

    def finish():
        machine.clock += 2e-3

    found = time_calls(machine.call, effort=Effort(repeat_seconds=1e-4), finish=finish, host=machine)
    assert found.seconds == pytest.approx(2e-3)


@pytest.mark.parametrize(
    ("machine", "threads", "reason"),
    [
        (Machine(0.1, crowd=0.5), 2, "other processes worked 50.0% of the time"),
        (Machine(0.1, share=0.5), 1, "the thread was off the core 50.0% of the time"),
        (Machine(0.1, steal=0.2), 2, "a hypervisor took 10.0% of the core's time"),
        (Machine(0.1, canaries=(1.0, 2.0)), 1, "the core canary changed by"),
    ],
)
def test_signs_of_others_are_reasons_for_doubt(machine, threads, reason):
    (found,) = timed(machine, threads).reasons
    assert found.startswith(reason)


def test_threads_that_wait_for_each_other_are_no_sign():
    assert timed(Machine(0.1, share=0.5), 2).reasons == ()
