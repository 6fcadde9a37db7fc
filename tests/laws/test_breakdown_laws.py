"""Breakdowns agree with theory: availability of a renewal process, and the M/M/1 queue whose server breaks down."""

from math import gamma

import numpy as np
import pytest

from edgewright.hwmodels import Cluster, Connection
from edgewright.hwmodels.ideal import ideal_device, ideal_link
from edgewright.policies.plan import Transfer
from edgewright.policies.pricing import demand_of
from edgewright.simulator.faults import FaultSource, drawn_seconds
from edgewright.simulator.machine import Machine
from edgewright.simulator.recorder import Recorder
from edgewright.simulator.schema_faults import FaultTable, LifetimeTable
from edgewright.simulator.uptime import UpTime
from edgewright.workloads import Step, Stream

PAIR = Cluster({"a": ideal_device(), "b": ideal_device()}, (), (Connection("lan", ("a", "b"), ideal_link(1.0)),), ())


def breaking(machine, kind, target, up, down, seed=7):
    table = FaultTable.model_validate({"kind": kind, "targets": [target], "every": up, "lasts": down})
    FaultSource(machine, "f", table, [target], [], {}, Stream(seed, "faults.f"), Recorder((0.0, 1.0))).start()


@pytest.mark.parametrize(("law", "shape"), [("exponential", 1.0), ("weibull", 0.7), ("weibull", 3.0), ("fixed", 1.0)])
def test_lifetimes_have_their_mean_and_spread(law, shape):
    """Weibull: variance over squared mean is gamma(1 + 2/k) / gamma(1 + 1/k)^2 - 1; 1 for k = 1. Of 40 000 draws, within 5 deviations."""
    table = LifetimeTable(mean=12.0, law=law, shape=shape)
    draws = np.array([drawn_seconds(table, "fixed", Stream(1, "x"), number) for number in range(40_000)])
    expected = 0.0 if law == "fixed" else gamma(1 + 2 / shape) / gamma(1 + 1 / shape) ** 2 - 1
    assert draws.mean() == pytest.approx(12.0, abs=5 * 12.0 * (expected / 40_000) ** 0.5 + 1e-9)
    assert draws.var() / 144.0 == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("up", [{"mean": 80.0}, {"mean": 80.0, "law": "weibull", "shape": 0.7}])
def test_availability_is_mttf_over_mttf_and_mttr(up):
    """80 / (80 + 20) = 0.8, whatever the laws. Over n = 4000 cycles its deviation is about A (1 - A) sqrt(c / n), c the sum of the squared
    coefficients of variation (1 + 1; Weibull 0.7: 2.14 + 1): 0.0036 and 0.0045; 4 of those."""
    machine, record = Machine(PAIR), UpTime("device")
    machine.signals.availability.subscribe(lambda name, up, kind: record.turn(up, machine.env.now))
    breaking(machine, "crash", "a", up, {"mean": 20.0, "law": "exponential"})
    machine.env.run(until=400_000.0)
    assert record.outages == pytest.approx(4000, rel=0.1)
    assert record.fraction(400_000.0) == pytest.approx(0.8, abs=0.018)
    assert record.repair_s == pytest.approx(20.0, rel=4 / 4000**0.5)


def chain(arrival, service, fail, repair, most=400):
    """Mean jobs in an M/M/1 queue whose server fails at any time and goes on where it stopped: its Markov chain, solved."""
    size = 2 * (most + 1)
    rates = np.zeros((size, size))
    for jobs in range(most + 1):
        up, down = 2 * jobs, 2 * jobs + 1
        rates[up, down], rates[down, up] = fail, repair
        if jobs < most:
            rates[up, up + 2] = rates[down, down + 2] = arrival
        if jobs:
            rates[up, up - 2] = service
    balance = (rates - np.diag(rates.sum(axis=1))).T
    balance[-1] = 1.0
    share = np.linalg.solve(balance, np.append(np.zeros(size - 1), 1.0))
    return float(share @ (np.arange(size) // 2))


def closed_form(arrival, service, fail, repair):
    """White and Christie, Queuing with Preemptive Priorities or with Breakdown, Operations Research 6(1), 1958."""
    both = fail + repair
    return arrival * (both**2 + service * fail) / (both * (repair * (service - arrival) - arrival * fail))


def test_the_closed_form_solves_the_chain():
    assert closed_form(0.4, 1.0, 0.05, 0.2) == pytest.approx(chain(0.4, 1.0, 0.05, 0.2), rel=1e-9)
    assert closed_form(0.6, 1.0, 0.0, 1.0) == pytest.approx(1.5)


def test_a_link_that_breaks_down_is_the_queue_with_breakdowns():
    """Transfers arrive at 0.4 /s for exponential seconds of mean 1 on a link that fails every 20 s and is back after 5 s: they go on
    where they stopped. They share the link, which changes nothing in the number there, as service is exponential. L = 1.8 instead of the
    0.67 of a link that holds; by Little's law each stays L / 0.4 = 4.5 s. Batches of 2000 jobs, 99.9 % interval of 20 batch means."""
    arrival, jobs = 0.4, 42_000
    machine = Machine(PAIR)
    breaking(machine, "link_down", "lan", {"mean": 20.0}, {"mean": 5.0, "law": "exponential"})
    sizes, gaps = (-np.log1p(-Stream(3, name).uniforms(jobs)) for name in ("sizes", "gaps"))
    stays = np.full(jobs, np.nan)

    def arrive(number, now):
        transfer = Transfer("a", "b", float(sizes[number]))
        price = lambda: demand_of(transfer, machine.cluster, Step(), machine.clocks)  # noqa: E731
        machine.run(price, lambda _: stays.__setitem__(number, machine.env.now - now))

    def arrivals():
        for number in range(jobs):
            yield machine.env.timeout(float(gaps[number]) / arrival)
            arrive(number, machine.env.now)

    machine.env.process(arrivals())
    machine.env.run(until=jobs / arrival * 1.05)
    means = stays[2000:42_000].reshape(20, 2000).mean(axis=1)
    half = 3.883 * means.std(ddof=1) / 20**0.5  # Student's t, 19 degrees of freedom, 0.9995
    expected = closed_form(arrival, 1.0, 0.05, 0.2) / arrival
    assert abs(means.mean() - expected) <= half
    assert abs(means.mean() - 1.0 / 0.6) > half
