"""The harness on a simulated machine, whose clock moves when a kernel says so; and once on this one."""

import os
import re
from contextlib import contextmanager

import numpy as np
import pytest

from edgewright.kernels import Effort, Kernel, ThisHost, kernel, measure


class Machine:
    """A host on which a call takes the seconds that `time` gives for it, and nothing else takes any."""

    def __init__(self, *, steal=0.0, share=1.0, canaries=({"core": 1.0}, {"core": 1.0}), pins=True):
        self.clock, self.steal, self.share, self.pins = 0.0, steal, share, pins
        self._canaries = list(canaries)
        self.pinned_now = False

    def now(self):
        return self.clock

    def busy(self):
        return self.clock * self.share

    def stolen(self, core):
        return None if self.steal is None else self.clock * self.steal

    def tick(self):
        return 0.01

    def cores(self, count, first):
        return tuple(range(count))

    def canaries(self):
        return self._canaries.pop(0)

    @contextmanager
    def pinned(self, core):
        self.pinned_now = True
        yield (3 if core is None else core) if self.pins else None
        self.pinned_now = False

    def kernel(self, durations):
        """A kernel whose calls last the given seconds, in turn; the second operand numbers the set it belongs to."""
        self.calls = []

        def run(target, source):
            assert self.pinned_now
            self.calls.append(id(source))
            self.clock += durations(len(self.calls))

        def operands(shape, dtype, generator):
            return np.zeros(shape), np.zeros(shape)

        return Kernel("fake", ("n",), ("fp64",), operands, run, lambda target, source: source)


def _timed(machine, durations, **effort):
    return measure(machine.kernel(durations), (4,), "fp64", effort=Effort(**effort), host=machine)


def test_a_steady_kernel_is_timed_in_the_fewest_repeats():
    machine = Machine()
    sample = _timed(machine, lambda call: 9.0 if call == 1 else 1.0)
    assert (sample.seconds, sample.low, sample.high) == (1.0, 1.0, 1.0)
    assert sample.first_seconds == 9.0  # compiling is apart
    assert (sample.repeats, sample.calls, sample.cores) == (7, 1, (3,))
    assert len(machine.calls) == 1 + 1 + 7  # the first, one to see how long a call lasts, the repeats
    assert sample.trusted
    assert sample.reasons == ()


def test_short_calls_share_a_repeat():
    # 1 us a call, 20 us a repeat: 1, 2, 4, 8, 16, 32 calls are tried; 32 us suffice.
    sample = _timed(Machine(), lambda call: 1e-6, repeat_seconds=20e-6)
    assert sample.calls == 32
    assert sample.seconds == pytest.approx(1e-6, rel=1e-9)


def test_a_noisy_kernel_is_repeated_until_its_median_is_narrow():
    noise = np.random.default_rng(3).uniform(0.9, 1.1, 100_000)
    sample = _timed(Machine(), lambda call: noise[call], budget=1e9, relative=0.01)
    assert sample.repeats > 7
    assert sample.high - sample.low <= 2 * 0.01 * sample.seconds
    assert sample.low <= 1.0 <= sample.high  # the true median
    assert sample.trusted


def test_a_spent_budget_ends_the_repeats_and_is_said():
    # Calls of 1 s and 3 s in turn: the interval stays [1, 3]. 25 repeats end at 13 * 1 + 12 * 3 = 49 s, the 26th after the budget.
    sample = _timed(Machine(), lambda call: 1.0 if call % 2 else 3.0, budget=50.0)
    assert sample.repeats == 26
    assert not sample.trusted
    assert "when the budget of 50 s was spent" in sample.reasons[0]


def test_the_least_repeats_come_before_the_budget():
    assert _timed(Machine(), lambda call: 10.0, budget=0.0).repeats == 7
    assert _timed(Machine(), lambda call: 10.0, budget=0.0, repeats=3).repeats == 6  # 95 % needs six
    assert _timed(Machine(), lambda call: 10.0, budget=0.0, confidence=0.99).repeats == 8


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        (Machine(steal=0.02), "a hypervisor took 2.0%"),
        (Machine(steal=None), "steal time is unavailable"),
        (Machine(share=0.9), "the thread was off the core 10.0% of the time"),
        (Machine(canaries=({"core": 1.0}, {"core": 1.2})), r"the core canary changed by \+20.0%"),
        (Machine(canaries=({"memory": 1.0}, {"memory": 0.9})), "the memory canary changed by -10.0%"),
        (Machine(pins=False), "could not be pinned"),
    ],
)
def test_signs_of_noise_are_reasons_not_to_trust(machine, reason):
    sample = _timed(machine, lambda call: 1.0)
    assert not sample.trusted
    assert len(sample.reasons) == 1
    assert re.search(reason, sample.reasons[0])


@pytest.mark.parametrize("machine", [Machine(steal=0.009), Machine(share=0.99), Machine(canaries=({"core": 1.0}, {"core": 1.04}))])
def test_what_stays_within_tolerance_is_no_reason(machine):
    assert _timed(machine, lambda call: 1.0).trusted


def test_steal_below_one_tick_of_its_counter_is_no_reason():
    # 7 repeats of 0.1 s: 2 % of it is 14 ms, above a tick of 10 ms; of 0.01 s: 1.4 ms, which the counter cannot tell.
    assert not _timed(Machine(steal=0.02), lambda call: 0.1).trusted
    assert _timed(Machine(steal=0.02), lambda call: 0.01).trusted


def test_a_footprint_goes_through_several_sets_of_operands():
    # One set is 2 arrays of 4 doubles, 64 bytes: 200 bytes take 4 sets, used in turn.
    machine = Machine()
    _timed(machine, lambda call: 1.0, footprint=200)
    later = machine.calls[1:]
    assert len(set(later)) == 4
    assert later[:4] == later[4:8]


def test_a_shape_that_does_not_fit_is_refused_before_anything_runs():
    with pytest.raises(ValueError, match="kernel 'gemv' takes a shape"):
        measure(kernel("gemv"), (4,))


def test_this_machine_times_a_copy():
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    sample = measure(kernel("copy"), (1000,), "fp32", effort=Effort(budget=0.05, relative=0.5))
    assert 0 < sample.low <= sample.seconds <= sample.high
    assert set(sample.canaries) == {"core", "memory"}
    if before is not None:
        assert set(sample.cores) <= before
        assert os.sched_getaffinity(0) == before


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be pinned here")
def test_pinning_holds_inside_and_is_undone_after_an_error():
    before = os.sched_getaffinity(0)
    seen = []

    def fail_inside():
        with ThisHost().pinned(None) as core:
            seen.extend([{core}, os.sched_getaffinity(0)])
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail_inside()
    assert seen[0] == seen[1]
    assert os.sched_getaffinity(0) == before


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be pinned here")
def test_a_core_that_is_not_ours_is_refused():
    with pytest.raises(ValueError, match="core 999999 is not among"), ThisHost().pinned(999999):
        pass


def test_an_unknown_core_has_no_known_steal_time():
    assert ThisHost().stolen(999999) is None


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_two_threads_run_at_once_on_cores_of_their_own():
    sample = measure(kernel("triad"), (1000, 400), effort=Effort(budget=0.3, relative=0.5), threads=2)
    assert sample.threads == 2
    assert len(set(sample.cores)) == 2
    assert set(sample.cores) <= os.sched_getaffinity(0)
    assert sample.seconds > 0


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_threads_stay_on_their_cores_while_they_work():
    seen = set()

    def run(target):
        seen.add(frozenset(os.sched_getaffinity(0)))
        target[:] = sum(range(2000))

    before = os.sched_getaffinity(0)
    fake = Kernel("fake", ("n",), ("fp64",), lambda shape, *_: (np.zeros(shape),), run, None)
    sample = measure(fake, (4,), "fp64", effort=Effort(budget=0.05), threads=2)
    assert seen == {frozenset({core}) for core in sample.cores}
    assert os.sched_getaffinity(0) == before


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be pinned here")
def test_more_threads_than_cores_are_refused():
    with pytest.raises(ValueError, match="threads need a core each"):
        measure(kernel("triad"), (10, 1), threads=len(os.sched_getaffinity(0)) + 1)


def test_operands_begin_on_a_cache_line():
    places = []

    def run(*arrays):
        machine.clock += 1.0
        places.extend(array.ctypes.data % 64 for array in arrays)

    machine = Machine()
    fake = Kernel("fake", ("n",), ("fp32",), lambda *_: (np.zeros(3, np.int8), np.ones(5)), run, None)
    measure(fake, (1,), effort=Effort(budget=0.0), host=machine)
    assert set(places) == {0}
