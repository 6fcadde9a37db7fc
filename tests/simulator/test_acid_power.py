"""Acid test of the shape: forty servers under one power budget; telemetry every 2 s, actuation 40 s late, clocks that slow prefill and
hardly decode (POLCA)."""

import pytest

from edgewright.hwmodels import Cluster, Work
from edgewright.hwmodels.ideal import ideal_device
from edgewright.policies.families import Actuation
from edgewright.policies.plan import Compute
from edgewright.policies.pricing import demand_of
from edgewright.simulator.machine import Machine
from edgewright.simulator.power import Controller
from edgewright.simulator.power_domain import Domain
from edgewright.simulator.power_target import Target
from edgewright.simulator.recorder import Recorder
from edgewright.simulator.schema_power import PowerDomain
from edgewright.workloads import Step, Stream

SERVERS = tuple(f"s{number}" for number in range(40))
PREFILL = Work.of("gemm", "fp32", 10.0)
DECODE = Work.of("gemv", "fp32", 1.0, weights=100.0)
"""On 10 FLOP/s and 100 B/s: prefill 1 s at full clock and 2 s at half; decode 1 s at either."""


class Brake:
    """Half clock for everybody once a reading exceeds the budget; full clock again below 80 % of it."""

    def __init__(self) -> None:
        self.readings = []

    def act(self, view):
        self.readings.append((view.now, view.watts))
        clock = 0.5 if view.watts > view.budget_W else 1.0 if view.watts < 0.8 * view.budget_W else None
        return [Actuation(t.name, "clock", clock) for t in view.targets if clock is not None and t.clock_set != clock]


def row(load: Work):
    """Forty servers that compute `load` again and again, behind one supply of 1000 W."""
    server = ideal_device(10.0, 100.0, idle_W=10.0, joules_per_flop=2.0)
    machine = Machine(Cluster(dict.fromkeys(SERVERS, server), (), (), ()))
    recorder, agent = Recorder((0.0, 1e9)), Brake()
    table = PowerDomain.model_validate({"devices": SERVERS, "budget": 1000.0, "telemetry": {"period": 2.0}, "actuator": {"delay": 40.0}})
    domain = Domain(machine, "row", SERVERS, budget=1000.0)
    controller = Controller(machine, domain, table, agent, [Target(machine, name, 0) for name in SERVERS], Stream(1), recorder)
    machine.env.process(controller.run())
    ends = {name: [] for name in SERVERS}

    def again(name):
        ends[name].append(machine.env.now)
        machine.run(lambda: demand_of(Compute(name, load), machine.cluster, Step(), machine.clocks), lambda _: again(name))

    for name in SERVERS:
        again(name)
    return machine, agent, recorder, ends


def test_readings_come_every_two_seconds_and_commands_act_forty_seconds_late():
    """Prefill draws 10 W idle and 2 J/FLOP x 10 FLOP/s = 20 W: 40 x 30 = 1200 W. The first reading, at 2 s, is over the budget."""
    machine, agent, recorder, ends = row(PREFILL)
    machine.env.run(until=43.5)
    assert agent.readings[:3] == [(0.0, 0.0), (2.0, pytest.approx(1200.0)), (4.0, pytest.approx(1200.0))]
    commands = recorder.rows["actuations"]
    assert list(commands["time_s"]) == [2.0] * 40
    assert list(commands["effective_s"]) == [42.0] * 40
    assert ends["s0"][:3] == pytest.approx([0.0, 1.0, 2.0])


def test_half_the_clock_halves_prefill_and_its_power():
    """From 42 s on 5 FLOP/s: an operation takes 2 s, and the row draws 40 x (10 + 10) = 800 W."""
    machine, agent, _, ends = row(PREFILL)
    machine.env.run(until=51.0)
    assert ends["s7"][-3:] == pytest.approx([46.0, 48.0, 50.0])
    assert agent.readings[-1] == (50.0, pytest.approx(800.0))


def test_decode_hardly_notices_the_clock():
    """Memory binds: one operation per second at half the clock, too; 2 W of dynamic power each, 480 W in all."""
    machine, agent, _, ends = row(DECODE)
    for name in SERVERS:
        machine.set_clock(f"{name}.cpu", 0.5)
    machine.env.run(until=10.5)
    assert ends["s0"] == pytest.approx([float(second) for second in range(11)])
    assert agent.readings[-1] == (10.0, pytest.approx(480.0))


def test_a_clock_change_in_mid_operation_keeps_the_fraction_done():
    """The clock halves at 0.5 s: half of the prefill is left and takes 1 s."""
    machine, _, _, ends = row(PREFILL)
    machine.after(0.5, lambda: machine.set_clock("s3.cpu", 0.5))
    machine.env.run(until=1.9)
    assert ends["s3"] == pytest.approx([0.0, 1.5])
    assert ends["s4"] == pytest.approx([0.0, 1.0])


def test_energy_is_the_integral_of_power_and_the_sum_of_parts():
    """Over 100 s: what the readings add up to (each a mean over 2 s) is what the accounts hold."""
    machine, agent, _, _ = row(PREFILL)
    machine.env.run(until=100.5)
    machine.settle()
    total = sum(machine.joules().values())
    assert sum(2.0 * watts for _, watts in agent.readings[1:]) == pytest.approx(total - 0.5 * 800.0, rel=1e-9)
