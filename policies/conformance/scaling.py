"""The suite of the `scaling` seam: a service whose load rises, falls and stays away, with replicas that take time to start."""

from __future__ import annotations

from random import Random

from edgewright.hwmodels.conformance import require, situation
from edgewright.policies.conformance.fakes import FakeScaled, FakeScaling
from edgewright.policies.families import Scaling, ScalingAgent, ScalingPolicy
from edgewright.workloads import Stream

__all__ = ["check_scaling"]

_ACTIONS = ("start", "drain", "stop", "sleep", "wake")


def check_scaling(policy: ScalingPolicy, runs: int = 8, looks: int = 60) -> None:
    """Require of a scaling policy, over seeded courses of load:

    - it commands replicas of the view, and only what their states allow to have an effect;
    - it asks to be woken later than now, or not at all;
    - another agent that sees the same decides the same, whatever agents have decided in between;
    - the view is left as it was.

    Raises `AssertionError` saying in which situation.
    """
    first = [_run(policy, number, looks) for number in range(runs)]
    [_run(policy, number, looks) for number in reversed(range(runs))]
    for number in range(runs):
        with situation(policy, f"course {number}"):
            again = _run(policy, number, looks)
            require(first[number] == again, "a second agent decides differently")


def _run(policy: ScalingPolicy, number: int, looks: int) -> list[Scaling]:
    random, view = Random(f"scaling:{number}"), FakeScaling(replicas=[FakeScaled(f"replica{place}") for place in range(1 + number % 4)])
    agent = policy.start("service", Stream(number, "conformance"))
    made = []
    for look in range(looks):
        with situation(policy, f"course {number}, look {look} at {view.now:g} s"):
            made.append(_asked(agent, view))
            _carry_out(view, made[-1])
        _load(view, random, made[-1])
    return made


def _asked(agent: ScalingAgent, view: FakeScaling) -> Scaling:
    before = repr(view)
    decision = agent.act(view)
    require(repr(view) == before, "act changed the view")
    require(decision.wake_at is None or decision.wake_at > view.now, f"asks to be woken at {decision.wake_at} s")
    states = {replica.name: replica.state for replica in view.replicas}
    for command in decision.actions:
        require(command.replica in states, f"commands {command.replica!r}, which is none of {sorted(states)}")
        require(command.action in _ACTIONS, f"commands {command.action!r}")
    named = [command.replica for command in decision.actions]
    require(len(set(named)) == len(named), f"commands a replica twice: {decision.actions}")
    return decision


_EFFECT = {
    ("start", "stopped"): "starting",
    ("start", "draining"): "ready",
    ("wake", "asleep"): "ready",
}


def _carry_out(view: FakeScaling, decision: Scaling) -> None:
    for command in decision.actions:
        replica = next(each for each in view.replicas if each.name == command.replica)
        effect = _EFFECT.get((command.action, replica.state))
        if command.action in ("drain", "sleep", "stop") and replica.state in ("ready", "starting", "down"):
            empty = not replica.queued + replica.running or command.action == "stop"
            effect = "draining" if not empty else "asleep" if command.action == "sleep" else "stopped"
        require(effect is not None, f"{command.action} of a replica that is {replica.state} has no effect")
        replica.state = str(effect)


def _load(view: FakeScaling, random: Random, decision: Scaling) -> None:
    """Time passes to the next moment at which the decision may be asked for again."""
    step = random.uniform(0.1, 40.0)
    if decision.wake_at is not None:
        step = decision.wake_at - view.now if random.random() < 0.7 or not decision.arrival else min(step, decision.wake_at - view.now)
    view.now += step
    busy = random.choice((0, 0, 1, 5, 20))
    on = [replica for replica in view.replicas if replica.state == "ready"]
    for replica in view.replicas:
        replica.state = "ready" if replica.state == "starting" else replica.state
        if replica.state == "draining":
            replica.state, replica.queued, replica.running = "stopped", 0, 0
        serves = replica in on and busy > 0
        replica.queued, replica.running = (random.randint(0, busy), min(busy, 8)) if serves else (0, 0)
        replica.busy_s += step * (random.random() if serves else 0.0)
        replica.idle_s = 0.0 if serves else replica.idle_s + step
    view.pending = busy if not on else 0
    view.arrivals += busy
