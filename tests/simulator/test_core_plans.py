"""Plans and scripts at their edges: instant tokens, cancelled allocations, many instant plans, pools of large and small amounts."""

from dataclasses import dataclass

import pytest

from edgewright.hwmodels import Cluster, Work
from edgewright.hwmodels.ideal import ideal_device
from edgewright.policies.plan import Alloc, Cancel, Compute, Delay, Free, Join, Mark, Plan, Prev, detach, loop, race, seq
from edgewright.simulator.engines import MemoryPool, PoolOverflow
from edgewright.simulator.plan_run import run_plan

CLUSTER = Cluster({"a": ideal_device(1.0), "b": ideal_device(1.0)})


def seconds(device, time, **names):
    return Compute(device, Work.of("gemm", "fp32", time), **names)


@dataclass(frozen=True)
class Script:
    """One plan after another."""

    plans: tuple[Plan, ...]

    def step(self, step):
        for plan in self.plans:  # noqa: UP028 (a script is sent outcomes; a tuple cannot take them)
            yield plan


def test_a_token_that_comes_at_once_waits_for_what_it_lags_behind():
    """The first token has nothing to wait for; each later one waits for 10 s of the iteration before."""
    plan = loop(seq(Mark(after=(Prev("c", 1),)), seconds("a", 10.0, name="c")))
    assert run_plan(plan, CLUSTER, steps=4).tokens == pytest.approx([0.0, 10.0, 20.0, 30.0])


def test_the_loser_of_a_race_gives_back_what_it_took():
    """The pool's one slot is taken by the branch of 10 s, which loses after 1 s: what follows the race takes it at once."""
    slow = seq(Alloc("w", 1), seconds("a", 10.0), Free("w", 1))
    trace = run_plan(seq(race(slow, seconds("b", 1.0)), Alloc("w", 1), seconds("b", 2.0), Free("w", 1)), CLUSTER, pools={"w": 1})
    assert trace.tokens == pytest.approx([3.0])


def test_the_loser_of_a_race_keeps_nothing_that_it_gave_back_already():
    """Of two slots the loser took one after the other and gave one back: at its end one is free again, not two."""
    slow = seq(Alloc("w", 1), Alloc("w", 1), Free("w", 1), seconds("a", 10.0), Free("w", 1))
    plan = seq(race(slow, seconds("b", 1.0)), Alloc("w", 2), Free("w", 2))
    assert run_plan(plan, CLUSTER, pools={"w": 2}).tokens == pytest.approx([1.0])


def test_a_loser_that_waits_for_memory_waits_no_longer():
    """The branch waits for a slot that the first plan holds, and loses; the slot goes to what comes after."""
    held = detach(seq(Alloc("w", 1), seconds("a", 5.0), Free("w", 1)), "held")
    loser = seq(Delay(0.5), Alloc("w", 1), seconds("b", 10.0), Free("w", 1))
    plan = seq(held, race(loser, Delay(1.0)), Alloc("w", 1), Mark(), Free("w", 1))
    assert run_plan(plan, CLUSTER, pools={"w": 1}).tokens == pytest.approx([5.0])


def test_a_cancelled_plan_gives_back_what_it_took():
    """Detached and cancelled after 1 s."""
    aside = detach(seq(Alloc("w", 1), seconds("a", 10.0), Free("w", 1)), "aside")
    plan = seq(aside, Delay(1.0), Cancel("aside"), Join("aside"), Alloc("w", 1), Free("w", 1))
    trace = run_plan(plan, CLUSTER, pools={"w": 1})
    assert trace.tokens == pytest.approx([1.0])
    assert trace.cancelled == [("", pytest.approx(0.1))]


@pytest.mark.parametrize("instant", [Delay(0.0), seq(Alloc("w", 1), Free("w", 1))])
def test_a_script_of_many_instant_plans_does_not_recurse(instant):
    """5000 plans that take no time, and one of 1 s."""
    assert run_plan(Script((instant,) * 5000 + (Delay(1.0),)), CLUSTER, pools={"w": 1}).tokens == pytest.approx([1.0])


def test_amounts_of_very_different_sizes_come_back_to_a_pool():
    """Beside 1e10, a thirtieth is rounded to 1.9e-6 (an ulp): when the large amount is back, what is left is not quite a thirtieth."""
    pool = MemoryPool("p", 1e12)
    granted = []
    for amount in (1e10, 1.0 / 30.0):
        pool.take(amount, lambda: granted.append(pool.level))
    pool.give(1e10)
    assert pool.level < 1.0 / 30.0
    pool.give(1.0 / 30.0)
    assert (len(granted), pool.level, pool.peak) == (2, 0.0, granted[-1])


def test_more_than_was_taken_does_not_come_back_to_a_pool():
    pool = MemoryPool("p", 10.0)
    pool.take(4.0, lambda: None)
    with pytest.raises(PoolOverflow, match=r"pool p: 5 given back, 4 was taken"):
        pool.give(5.0)


def test_running_past_the_end_stops_there_every_time(boards):
    """60 s of window and 60 s of drain."""
    simulation = boards(1)
    for _ in range(2):
        simulation.run_until(1e4)
        assert simulation.now == simulation.end == 120.0
