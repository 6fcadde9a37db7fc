"""What devices draw by state, and the way to sleep and back: 10 W idle, 2 W asleep, 3 W of board, a storage of 1 W, 5 s to wake."""

from dataclasses import replace

import pytest

from edgewright.hwmodels import Attachment, Cluster
from edgewright.hwmodels.ideal import ideal_device, ideal_storage
from edgewright.simulator.availability import Cause
from edgewright.simulator.machine import Machine

BOARD = replace(ideal_device(1.0, idle_W=10.0), sleep_W=2.0, wake_s=5.0, board_W=3.0)


@pytest.fixture
def machine():
    disk = replace(ideal_storage(1.0), idle_W=1.0)
    return Machine(Cluster({"a": BOARD, "b": replace(BOARD, sleep_W=None)}, attachments=(Attachment("sd", "a", disk),)))


def joules(machine, time):
    """Joules of device a by part, and of its storage, at that time."""
    machine.env.run(until=time)
    found = machine.joules()
    parts = {part: found["a", part] for part in ("idle", "sleep", "board") if ("a", part) in found}
    return parts | {"sd": found["a.sd", "idle"]}


def test_asleep_it_draws_sleep_power_and_its_board_draws_on(machine):
    """4 s awake, 6 s asleep: 40 J and 12 J; the board takes 30 J and the storage 10 J."""
    machine.after(4.0, lambda: machine.sleep("a", "us"))
    assert joules(machine, 10.0) == pytest.approx({"idle": 40.0, "sleep": 12.0, "board": 30.0, "sd": 10.0})
    assert not machine.up("a")


def test_waking_takes_its_time_and_idle_power(machine):
    """Asleep from 0 to 4 s, waking until 9 s, up from then on."""
    seen = []
    machine.signals.availability.subscribe(lambda name, up, kind: seen.append((machine.env.now, name, up, kind)))
    machine.sleep("a", "us")
    machine.after(4.0, lambda: machine.wake("a", "us"))
    assert joules(machine, 10.0) == pytest.approx({"idle": 60.0, "sleep": 8.0, "board": 30.0, "sd": 10.0})
    assert seen == [(0.0, "a", False, "asleep"), (9.0, "a", True, "asleep")]


def test_it_sleeps_until_nobody_wants_it_to(machine):
    machine.sleep("a", "us")
    machine.sleep("a", "them")
    machine.wake("a", "us")
    assert machine.states.asleep("a")
    machine.wake("a", "them")
    assert not machine.states.asleep("a")
    machine.env.run(until=4.9)
    assert not machine.up("a")
    machine.env.run(until=5.1)
    assert machine.up("a")


@pytest.mark.parametrize("by", ["us", "them"])
def test_put_to_sleep_while_it_wakes_it_sleeps_on(machine, by):
    """The wake-up that was to end at 5 s comes to nothing; one from 3 s on ends at 8 s, whoever asks for it."""
    machine.sleep("a", "us")
    machine.wake("a", "us")
    machine.at(2.0, lambda: machine.sleep("a", by))
    machine.at(3.0, lambda: machine.wake("a", by))
    machine.env.run(until=7.9)
    assert not machine.up("a")
    machine.env.run(until=8.1)
    assert machine.up("a")


def test_to_wake_what_one_did_not_put_to_sleep_does_nothing(machine):
    machine.sleep("a", "us")
    machine.wake("a", "them")
    assert machine.states.asleep("a")


def test_what_cannot_sleep_is_refused(machine):
    with pytest.raises(ValueError, match=r"device b cannot sleep: its sleep_W is unknown"):
        machine.sleep("b", "us")


@pytest.mark.parametrize("kind", ["unpowered", "absent"])
def test_without_power_nothing_is_drawn_whatever_else_holds_it_down(machine, kind):
    """Crashed from 1 s on (and idle), without power from 2 s to 5 s; asleep all the while makes no difference then."""
    machine.at(1.0, lambda: machine.up.hold("a", Cause("crashed", "test")))
    machine.at(2.0, lambda: machine.up.hold("a", Cause(kind, "test")))
    machine.at(3.0, lambda: machine.sleep("a", "us"))
    machine.at(5.0, lambda: machine.up.release("a", Cause(kind, "test")))
    assert joules(machine, 10.0) == pytest.approx({"idle": 20.0, "sleep": 10.0, "board": 21.0, "sd": 7.0})
