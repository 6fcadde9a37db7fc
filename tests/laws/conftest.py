"""Plans in which nothing contends, and small scenarios run in two ways."""

from copy import deepcopy
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import strategies as st
from scipy.optimize import linprog

from edgewright.hwmodels import Attachment, Cluster, Connection, Work
from edgewright.hwmodels.ideal import ideal_device, ideal_link, ideal_storage
from edgewright.policies.plan import (
    Alloc,
    Cancel,
    Collective,
    Compute,
    Delay,
    Free,
    Join,
    Load,
    Op,
    Prev,
    Signal,
    Transfer,
    Wait,
    detach,
    par,
    race,
    seq,
)
from edgewright.simulator import Scenario, Simulation

LEAVES = 64
"""Four children at each of three levels."""

TABLES = ("jobs", "steps", "kv", "queue", "energy", "resources", "replicas", "memory", "power", "usage", "availability")
"""What a run express must leave behind as the general path does."""


@pytest.fixture(scope="session")
def fair_by_programs():
    """`fair_by_programs(activities)`: their max-min fair shares by successive linear programs, an independent reference."""
    return _fair_by_programs


@pytest.fixture(scope="session")
def apart():
    """`apart()`: a cluster with a device, a storage and a link for every leaf of a plan, so that no two of them share anything.

    (Behind a call, because Hypothesis writes out the arguments of a test that fails, and this one is long.)
    """
    names = [f"{kind}{number}" for number in range(LEAVES) for kind in ("left", "right")]
    links = (Connection(f"link{n}", (f"left{n}", f"right{n}"), ideal_link(10.0, 0.01, mtu=2.0)) for n in range(LEAVES))
    stores = (Attachment("disk", f"left{n}", ideal_storage(20.0, latency=0.02)) for n in range(LEAVES))
    cluster = Cluster(dict.fromkeys(names, ideal_device(10.0, 1000.0)), (), tuple(links), tuple(stores))
    return lambda: cluster


@pytest.fixture(scope="session")
def quiet_plans():
    """A strategy: `quiet_plans(count)` draws that many plans for one script; later ones may wait for what earlier ones left,
    but cancel only what is their own. `leftovers=False`: nothing is detached or signalled.

    Nothing contends, and no two moments coincide by chance: amounts are unlike, and branches of races begin and end with a delay.
    """
    return quiet


@pytest.fixture
def express_pays(monkeypatch):
    """Running express is worth it, however few the jobs."""
    monkeypatch.setattr("edgewright.simulator.express_rule.WORTH", {True: 0, False: 0})


@pytest.fixture(scope="session")
def ran():
    """`ran(tables, express) -> Result`: a scenario run express, which is of that class, or (None) on the general path."""
    return _ran


@pytest.fixture(scope="session")
def require_same():
    """`require_same(fast, slow)`: two results of one scenario, run express and on the general path, are equal.

    Identities, counts and texts are; floats to 1e-9 of their value, or to the absolute 1e-10.
    """
    return _require_same


@dataclass
class Growing:
    """What has been drawn so far. Leaves refer only to what was drawn before them, so nothing waits in a circle."""

    leftovers: bool
    leaves: int = 0
    amounts: int = 0
    names: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    joinable: list[str] = field(default_factory=list)
    cancellable: list[str] = field(default_factory=list)


@st.composite
def quiet(draw, count=1, leftovers=True):
    growing, plans = Growing(leftovers), []
    for _ in range(count):
        growing.names.clear()
        growing.cancellable.clear()
        plans.append(_tree(draw, growing, depth=3 if count == 1 else 2, certain=True))
    return plans


def _tree(draw, growing, depth, certain):
    """A plan of a few levels; `certain`: it is never cancelled, so others may wait for its signals."""
    kinds = ("seq", "par", "race", "leaf", *(["detach"] if growing.leftovers else []))
    kind = draw(st.sampled_from(kinds)) if depth else "leaf"
    if kind == "leaf":
        return _leaf(draw, growing, certain)
    if kind == "detach":
        return _aside(draw, growing, depth, certain)
    children = [_tree(draw, growing, depth - 1, certain and kind != "race") for _ in range(draw(st.integers(1, 4)))]
    if kind == "race":
        return race(*(seq(_pause(draw, growing), child, _pause(draw, growing)) for child in children))
    return seq(*children) if kind == "seq" else par(*children)


def _aside(draw, growing, depth, certain):
    cancellable = draw(st.booleans())
    child = _tree(draw, growing, depth - 1, certain and not cancellable)
    name = f"aside{len(growing.joinable)}"
    growing.joinable.append(name)
    if cancellable:
        growing.cancellable.append(name)
    return detach(child, name)


def _leaf(draw, growing, certain):
    kinds = ["compute", "transfer", "message", "collective", "load", "delay", "pool"]
    kinds += [
        kind
        for kind, possible in (("signal", certain and growing.leftovers), ("wait", growing.flags), ("join", growing.joinable))
        if possible
    ]
    kinds += ["cancel"] if growing.cancellable else []
    op = _operation(draw, growing, draw(st.sampled_from(tuple(kinds))))
    if not isinstance(op, Op):
        return op
    if growing.names and draw(st.booleans()):
        op = replace(op, after=(Prev(draw(st.sampled_from(tuple(growing.names)))),))
    growing.names.append(op.name)
    return op


def _operation(draw, growing, kind):
    number, amount = growing.leaves, _amount(draw, growing)
    growing.leaves += 1
    name, device, other = f"n{number}", f"left{number}", f"right{number}"
    made = {
        "compute": lambda: Compute(device, Work.of("gemm", "fp32", 10.0 * amount), name=name),
        "transfer": lambda: Transfer(device, other, 2.0 + amount, name=name),
        "message": lambda: Transfer(device, other, 0.1 * amount, name=name),
        "collective": lambda: Collective("allreduce", (device, other), 10.0 * amount, name=name),
        "load": lambda: Load(device, 20.0 * amount, name=name),
        "delay": lambda: Delay(amount, name=name),
        "pool": lambda: seq(Alloc("slots", amount), Delay(amount), Free("slots", amount)),
        "signal": lambda: Signal(_put(growing.flags, name), 2, name=name),
        "wait": lambda: Wait(growing.flags.pop(), draw(st.integers(1, 2)), name=name),
        "join": lambda: Join(draw(st.sampled_from(tuple(growing.joinable))), name=name),
        "cancel": lambda: Cancel(draw(st.sampled_from(tuple(growing.cancellable))), name=name),
    }
    return made[kind]()


def _amount(draw, growing):
    """About 0.1 to 10, and unlike any other of the same plans."""
    growing.amounts += 1
    return draw(st.integers(1, 100)) * 0.1 * 1.0123456789**growing.amounts


def _pause(draw, growing):
    return Delay(0.01 * _amount(draw, growing))


def _put(items, item):
    items.append(item)
    return item


def _fair_by_programs(activities):
    """Class by class, the highest first: raise the least share as far as it goes, fix those that cannot rise further, and again."""
    fixed = {}
    for priority in sorted({each.priority for each in activities}, reverse=True):
        free = {index for index, each in enumerate(activities) if each.priority == priority}
        while free:
            level = _most(activities, fixed, free, None, 0.0)
            floor = level * (1 - 1e-7)
            stuck = {index for index in free if _most(activities, fixed, free, index, floor) <= level * (1 + 1e-5) + 1e-7}
            assert stuck
            fixed.update(dict.fromkeys(stuck, level))
            free -= stuck
    return [fixed[index] for index in range(len(activities))]


def _most(activities, fixed, free, goal, floor):
    """The most that a share (`goal`: its index, or None for the least free one) can be while every free share is at `floor` or more.

    Shares that are fixed may give way by what a program's tolerance is; those of later classes are 0.
    """
    columns = len(activities) + 1
    resources = {resource: None for each in activities for resource in each.usage}
    rows = [[*(each.usage.get(r, 0.0) * each.weight / r.capacity for each in activities), 0.0] for r in resources]
    limits = [1.0 + 1e-7] * len(rows)
    if goal is None:
        rows += [np.eye(columns)[-1] - np.eye(columns)[index] for index in free]
        limits += [0.0] * len(free)
    bounds = [
        (fixed[i], fixed[i]) if i in fixed else (floor, min(each.bound / each.weight, 1e9)) if i in free else (0.0, 0.0)
        for i, each in enumerate(activities)
    ]
    cost = -np.eye(columns)[-1 if goal is None else goal]
    found = linprog(cost, A_ub=np.array(rows) if rows else None, b_ub=limits or None, bounds=[*bounds, (0.0, 1e9)])
    assert found.success, found.message
    return -found.fun


def _ran(tables, express):
    simulation = Simulation(Scenario.of(deepcopy(tables)), express=express is not None)
    assert type(simulation.express) is (express or type(None))
    while not simulation.drained and simulation.now < simulation.end:
        simulation.run_until(simulation.now + simulation.end / 20)
    return simulation.result()


def _require_same(fast, slow):
    for name in TABLES:
        a, b = fast.frame(name), slow.frame(name)
        assert len(a) == len(b), name
        for column in a.columns:
            if a[column].dtype.kind == "f":
                assert np.allclose(a[column], b[column], rtol=1e-9, atol=1e-10, equal_nan=True), f"{name}.{column}"
            else:
                assert a[column].tolist() == b[column].tolist(), f"{name}.{column}"
    gaps = [np.sort(np.repeat(result.itl.gap_s, result.itl.tokens)) for result in (fast, slow)]
    assert len(gaps[0]) == len(gaps[1])
    assert np.allclose(*gaps, rtol=1e-9, atol=1e-10)
