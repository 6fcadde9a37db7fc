"""Uncontended execution equals `makespan`, operation by operation, to 1e-9.

The interpreter adds up durations event by event, the timeline node by node: the same sums in another order, of at most some hundred
terms. 1e-9 is a million roundings wide.
"""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.hwmodels import Work
from edgewright.policies.compile import compile_plan
from edgewright.policies.plan import Cancel, Compute, Join, Mark, Plan, Prev, Signal, Wait, detach, race, seq
from edgewright.policies.timeline import conflicts, makespan, price_classes, timeline
from edgewright.simulator.plan_run import run_plan
from edgewright.workloads import Step

REL = 1e-9
PLENTY = {"slots": 1e9}


def seconds(number, time, **names):
    """A compute of so many seconds on a device of its own."""
    return Compute(f"left{number}", Work.of("gemm", "fp32", 10.0 * time), **names)


@dataclass(frozen=True)
class Script:
    """One plan after another."""

    plans: tuple[Plan, ...]

    def step(self, step):
        for plan in self.plans:  # noqa: UP028 (a script is sent outcomes; a tuple cannot take them)
            yield plan


@given(st.data())
def test_a_plan_alone_takes_its_makespan(apart, quiet_plans, data):
    (plan,) = data.draw(quiet_plans())
    trace = run_plan(plan, apart(), pools=PLENTY)
    assert trace.tokens == pytest.approx([makespan(plan, apart(), Step())], rel=REL)


@given(st.data())
def test_every_operation_runs_when_the_timeline_says(apart, quiet_plans, data):
    """Those that were cancelled are cancelled when the timeline says, and all others end when it says."""
    (plan,) = data.draw(quiet_plans())
    (strand,) = compile_plan(plan).strands
    line = timeline(strand, apart(), Step(), {})
    trace = run_plan(plan, apart(), pools=PLENTY)
    ran = {each.name: (each.start, each.end) for each in trace.operations if each.name}
    expected = {op.name: (float(line.start[node]), float(line.end[node])) for node, op in enumerate(strand.ops) if op.name in ran}
    assert ran == {name: pytest.approx(times, rel=REL) for name, times in expected.items()}
    assert trace.machine.env.now == pytest.approx(float(line.last), rel=REL) or trace.cancelled


@given(st.data())
def test_a_step_ends_at_its_mark(apart, quiet_plans, data):
    before, after = data.draw(quiet_plans(2))
    plan = seq(before, Mark(), after)
    assert run_plan(plan, apart(), pools=PLENTY).tokens == pytest.approx([makespan(plan, apart(), Step())], rel=REL)


@settings(max_examples=60)
@given(st.data(), st.integers(1, 3), st.integers(-1, 2))
def test_a_script_alone_takes_its_makespan(apart, quiet_plans, data, count, marked):
    """Up to three plans, of which later ones join, cancel or wait for what earlier ones left running; perhaps a mark in one of them."""
    plans = data.draw(quiet_plans(count))
    script = Script(tuple(seq(Mark(), plan) if number == marked else plan for number, plan in enumerate(plans)))
    trace = run_plan(script, apart(), pools=PLENTY)
    assert trace.tokens == pytest.approx([makespan(script, apart(), Step())], rel=REL)


@given(st.data(), st.integers(2, 4))
def test_steps_alone_follow_each_other(apart, quiet_plans, data, steps):
    """A plan without leftovers takes its makespan every time."""
    (plan,) = data.draw(quiet_plans(leftovers=False))
    tokens = run_plan(plan, apart(), steps=steps, pools=PLENTY).tokens
    assert tokens == pytest.approx([makespan(plan, apart(), Step()) * (number + 1) for number in range(steps)], rel=REL)


@given(st.data())
def test_quiet_plans_are_quiet(apart, quiet_plans, data):
    """The plans of these tests do not contend, by the project's own rule: nothing else would be a test of being alone."""
    (plan,) = data.draw(quiet_plans())
    (strand,) = compile_plan(plan).strands
    assert not conflicts(strand, price_classes(strand, apart(), Step(), {}))


CASES = {
    "the winner ends a race": (race(seconds(0, 1.0), seconds(1, 3.0)), 1.0),
    "what follows a race does not wait for the loser": (seq(race(seconds(0, 1.0), seconds(1, 3.0)), seconds(2, 1.0)), 2.0),
    "who waits for a loser waits until it is cancelled": (
        seq(race(seconds(0, 1.0), seconds(1, 3.0, name="loser")), seconds(2, 1.0, after=(Prev("loser"),))),
        2.0,
    ),
    "a branch that is all detached wins at once": (seq(race(seconds(0, 1.0), detach(seconds(1, 3.0), "x")), seconds(2, 1.0)), 1.0),
    "what the winner detached runs on": (seq(race(seconds(0, 5.0), detach(seconds(1, 3.0), "x")), Join("x")), 3.0),
    "a loser is no winner, though its last operation takes no time": (
        seq(race(seq(seconds(0, 3.0), detach(seconds(1, 5.0), "x"), Signal("f")), seconds(2, 1.0)), Join("x")),
        1.0,
    ),
    "what a loser detached is cancelled": (seq(race(seconds(0, 1.0), seq(detach(seconds(1, 3.0), "x"), seconds(2, 2.0))), Join("x")), 1.0),
}


SCRIPTS = {
    "a later plan joins what an earlier one detached": (
        (detach(seconds(0, 3.0), "x"), seconds(1, 1.0), seq(Join("x"), seconds(2, 1.0))),
        4.0,
    ),
    "a later plan waits for an earlier one's signal": (
        (
            detach(seq(seconds(0, 3.0), Signal("f", 2)), "x"),
            seconds(1, 1.0),
            seq(Wait("f"), seconds(2, 1.0)),
            seq(Wait("f"), seconds(3, 1.0)),
        ),
        5.0,
    ),
    "a later plan cancels what an earlier one detached": (
        (detach(seconds(0, 9.0), "x"), seconds(1, 1.0), seq(Cancel("x"), Join("x"))),
        1.0,
    ),
    "a plan goes on behind the mark": ((seq(seconds(0, 1.0), Mark(), seconds(1, 2.0)), seconds(2, 4.0)), 1.0),
    "without a mark the step ends with the last plan": ((seq(seconds(0, 1.0), seconds(1, 2.0)), seconds(2, 4.0)), 7.0),
    "a late mark counts what came before it": ((seq(seconds(0, 1.0), seconds(1, 2.0)), seq(seconds(2, 4.0), Mark())), 7.0),
}


@pytest.mark.parametrize(("plans", "expected"), SCRIPTS.values(), ids=SCRIPTS)
def test_scripts_in_small(apart, plans, expected):
    assert makespan(Script(plans), apart(), Step()) == pytest.approx(expected, rel=REL)
    assert run_plan(Script(plans), apart()).tokens == pytest.approx([expected], rel=REL)


@pytest.mark.parametrize(("plan", "expected"), CASES.values(), ids=CASES)
def test_races_in_small(apart, plan, expected):
    assert makespan(plan, apart(), Step()) == pytest.approx(expected, rel=REL)
    assert run_plan(plan, apart()).tokens == pytest.approx([expected], rel=REL)
