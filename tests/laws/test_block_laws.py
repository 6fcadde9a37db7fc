"""Memory is conserved: blocks of KV whatever happens to requests, sessions and shared prefixes (free + used + retained = capacity), and
what plans take of pools, by owner."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.policies.kv import Full, HeavyHitters
from edgewright.simulator.blocks import BlockPool
from edgewright.simulator.engines import MemoryPool
from edgewright.simulator.request import Request
from edgewright.workloads import Job

ACTIONS = ("admit", "decode", "complete", "preempt", "swap")


def require_conserved(pool, running):
    shared = sum(each.blocks for each in pool.shared.values() if each.users)
    assert pool.used == sum(pool.held.values()) + shared
    assert pool.retained == sum(kept.blocks for kept in pool._idle)
    assert 0 <= pool.used + pool.retained <= pool.capacity
    assert pool.peak <= pool.capacity
    assert pool.peak >= pool.used + pool.retained
    assert set(pool.held) | set(pool.users) <= {request.id for request in running}
    for each in pool.shared.values():
        assert each.users == sum(used is each for used in pool.users.values())
        assert each.pins == sum(kept.session is not None and kept.shared is each for kept in pool._idle)
        assert (each.kept in pool._idle) == (each.users == 0)
    for request in running:
        assert pool.covered(request) >= pool.blocks(request, request.context)


class Driver:
    """Does to a pool what a replica does, and looks at it after each action."""

    def __init__(self, pool):
        self.pool, self.running, self.waiting = pool, [], []

    def admit(self, made):
        made.cached = 0 if made.swapped else self.pool.remembered(made)
        if not self.pool.fits([made]):
            self.waiting.append(made)
            return
        self.pool.recall(made)
        self.pool.grow(made, made.wanted)
        made.admit(0.0, 0)
        made.computed, made.context = made.target, made.context + made.target
        made.swapped = 0
        self.running.append(made)
        self.pool.publish(made)

    def decode(self):
        victims = []
        while self.running and self.pool.short_by(self.running) > 0:
            victims.append(self.running.pop())
            self.pool.release(victims[-1], retain=False)
            victims[-1].preempt()
        for request in self.running:
            self.pool.grow(request, request.context + 1)
            request.context += 1
            request.generated += 1
        self.waiting += victims

    def leave(self, index, action):
        request = self.running.pop(index % len(self.running))
        self.pool.release(request, retain=action == "complete")
        if action != "complete":
            request.preempt(request.context if action == "swap" else 0)
            self.waiting.append(request)


jobs = st.tuples(st.integers(1, 40), st.integers(0, 40), st.integers(-1, 2), st.sampled_from(["", "a", "b"]))


@settings(max_examples=150, deadline=None)
@given(
    capacity=st.integers(1, 30),
    block=st.integers(1, 8),
    whole=st.booleans(),
    script=st.lists(st.tuples(st.sampled_from(ACTIONS), jobs), max_size=60),
)
def test_blocks_are_conserved(capacity, block, whole, script):
    driver = Driver(BlockPool(capacity, block, Full() if whole else HeavyHitters(budget=0.5), shares=True))
    for number, (action, (fresh, history, session, name)) in enumerate(script):
        if action == "admit" and driver.waiting and number % 2:
            driver.admit(driver.waiting.pop(0))
        elif action == "admit":
            talk = {"session": session, "history": history} if session >= 0 else {}
            prefix = {"prefix": min(12, fresh + history), "prefix_name": name} if name else {}
            driver.admit(Request(Job(number, "chat", "users", 0.0, fresh + history, 99, **talk, **prefix), 0.0, lambda _: None))
        elif action == "decode":
            driver.decode()
        elif driver.running:
            driver.leave(number, action)
        require_conserved(driver.pool, driver.running)


@given(script=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 10)), max_size=40), capacity=st.integers(10, 25))
def test_pools_hold_what_their_owners_hold(script, capacity):
    """Owners take, and give back what they took longest ago, in any order; requests wait while there is no room."""
    pool, granted = MemoryPool("ram", float(capacity)), {name: [] for name in "abc"}
    for name, amount in script:
        if amount % 3 and granted[name]:
            pool.give(granted[name].pop(0), name)
        else:
            pool.take(float(amount), lambda name=name, amount=amount: granted[name].append(float(amount)), name)
        assert pool.level == pytest.approx(sum(pool.owners.values()))
        assert {owner: held for owner, held in pool.owners.items() if held} == {owner: sum(held) for owner, held in granted.items() if held}
        assert all(pool.owners[owner] <= peak <= pool.peak for owner, peak in pool.peaks.items())
        assert pool.level <= pool.peak <= pool.capacity
