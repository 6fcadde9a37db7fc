"""Queues in time agree with queueing theory: M/M/1, M/D/1, M/G/1, M/M/c and processor sharing.

A law is tested against a 99.9 % confidence interval of its own run, by batch means (Law, Simulation Modeling and Analysis, 5th ed.,
section 9.5.3): consecutive jobs in 21 batches, the first left out because the run begins empty, Student's t with 19 degrees of freedom.
A right simulator fails one seed in a thousand, and seeds are fixed. What makes the batches all but independent is their length: 400 jobs
and more, where a queue at the load of these tests, 0.6, forgets its past with a time constant of 1 / (1 - sqrt(0.6))^2 = 20 services, or
12 jobs. An interval that is too wide proves nothing, so each test shows, too, that its interval excludes the value of the formula it
could be taken for.

Formulas: Kleinrock, Queueing Systems, vol. 1, 1975 (M/M/1, M/M/c, Pollaczek-Khinchine) and vol. 2, 1976 (processor sharing).
"""

from functools import partial
from math import factorial

import numpy as np
import pytest
from scipy.stats import t as student

from edgewright.hwmodels import Cluster, Connection, Demand
from edgewright.hwmodels.ideal import ideal_device, ideal_link
from edgewright.simulator import Scenario, simulate
from edgewright.simulator.engines import MemoryPool
from edgewright.simulator.machine import Machine
from edgewright.workloads import Stream

LOAD = 0.6
BATCHES = 20


def interval(values, level=0.999):
    """`(low, high)` of the mean, from means of `BATCHES` batches behind a first one that is left out."""
    size = len(values) // (BATCHES + 1)
    means = np.array(values[size : size * (BATCHES + 1)]).reshape(BATCHES, size).mean(axis=1)
    half = student.ppf(0.5 + level / 2.0, BATCHES - 1) * means.std(ddof=1) / BATCHES**0.5
    return means.mean() - half, means.mean() + half


def agrees(values, expected, unlike=()):
    """The run's interval holds the expected mean, and none of the others."""
    low, high = interval(values)
    assert low <= expected <= high, f"expected {expected:g}, the run says {low:g} to {high:g}"
    assert not [each for each in unlike if low <= each <= high], f"{low:g} to {high:g} is too wide to tell {expected:g} from {unlike}"


def exponential(name, mean, count):
    return -mean * np.log1p(-Stream(7, name).uniforms(count))


def test_the_interval_is_what_it_says():
    """Of 400 seeded runs of independent draws, a 90 % interval misses the mean about 40 times: 40 +- 4 binomial deviations of 6."""
    missed = 0
    for number in range(400):
        low, high = interval(Stream(number, "uniform").uniforms(42 * (BATCHES + 1)), level=0.9)
        missed += not low <= 0.5 <= high
    assert 16 <= missed <= 64


# -- on a machine ------------------------------------------------------------------------------------------------------------------------


def served(cluster, price, seconds):
    """Jobs arrive at rate `LOAD`; job n is the operation `price(seconds[n])`.

    Returns seconds before each began, and seconds before it ended, in order of arrival.
    """
    machine = Machine(cluster)
    waits, stays = np.full(len(seconds), np.nan), np.full(len(seconds), np.nan)

    def arrive(number, now):
        demand = price(seconds[number])

        def ended(operation):
            waits[number], stays[number] = operation.started - now, machine.env.now - now

        machine.run(lambda: demand, ended)

    def arrivals():
        for number, gap in enumerate(exponential("gaps", 1.0 / LOAD, len(seconds))):
            yield machine.env.timeout(gap)
            arrive(number, machine.env.now)

    machine.env.process(arrivals())
    machine.env.run()
    return waits, stays


ALONE = Cluster({"d": ideal_device()}, (), (), ())
PAIR = Cluster({"a": ideal_device(), "b": ideal_device()}, (), (Connection("lan", ("a", "b"), ideal_link(1.0)),), ())


def busy(seconds):
    return Demand(seconds=seconds, engine="d.cpu")


MM1 = LOAD / (1.0 - LOAD)
"""Mean wait at a mean service of 1 s: 1.5 s."""
MD1 = MM1 / 2.0
"""With constant service: half of it, 0.75 s."""


def test_an_engine_with_exponential_service_is_m_m_1():
    """Wait rho / (mu - lambda) = 0.6 / 0.4 = 1.5 s; in the system 1 / (mu - lambda) = 2.5 s."""
    waits, stays = served(ALONE, busy, exponential("service", 1.0, 126_000))
    agrees(waits, MM1, unlike=[MD1])
    agrees(stays, 1.0 / (1.0 - LOAD), unlike=[1.0 + MD1])


def test_an_engine_with_constant_service_is_m_d_1():
    waits, _ = served(ALONE, busy, np.ones(63_000))
    agrees(waits, MD1, unlike=[MM1])


def test_an_engine_serves_in_the_order_of_arrival():
    """Lindley's recursion, job by job: a job begins when it has arrived and the one before has ended. The same sums: to 1e-9 s.

    (The absolute bound: clocks stand at up to 2000 s, where a rounding is 2e-13 s, and the two sums differ by some hundred of them.)
    """
    seconds = exponential("service", 1.0, 1000)
    waits, _ = served(ALONE, busy, seconds)
    gaps, wait = exponential("gaps", 1.0 / LOAD, 1000), 0.0
    for number in range(1000):
        assert waits[number] == pytest.approx(wait, abs=1e-9)
        wait = max(0.0, wait + seconds[number] - gaps[(number + 1) % 1000])


@pytest.mark.parametrize("kind", ["exponential", "constant"])
def test_a_link_shares_its_processor(kind):
    """Flows on one link share it alike. The mean stay is 1 / (1 - rho) = 2.5 s for every distribution of sizes (insensitivity).

    In order of arrival, constant sizes would stay for 1 + 0.75 s.
    """
    sizes = exponential("service", 1.0, 42_000) if kind == "exponential" else np.ones(21_000)
    _, stays = served(PAIR, lambda nbytes: PAIR.transfer("a", "b", nbytes), sizes)
    agrees(stays, 1.0 / (1.0 - LOAD), unlike=[1.0 + MD1])


def test_a_link_shares_its_processor_whatever_the_sizes():
    """M/G/1-PS: 2.5 s too for hyperexponential sizes, 9 of 10 of 0.5 s and one of 5.5 s on average (squared variation 5.5).

    In order of arrival, they would stay for 1 + 0.6 * 6.5 / (2 * 0.4) = 5.875 s.
    """
    means = np.where(Stream(7, "which").uniforms(84_000) < 0.9, 0.5, 5.5)
    _, stays = served(PAIR, lambda nbytes: PAIR.transfer("a", "b", nbytes), means * exponential("service", 1.0, 84_000))
    agrees(stays, 1.0 / (1.0 - LOAD), unlike=[5.875])


def test_a_class_above_knows_nothing_of_the_one_below():
    """Two classes of load 0.3 on one link. The upper one stays for 1 / (1 - 0.3) = 1.43 s; flows in all are 0.6 / (1 - 0.6) = 1.5, as
    exponential sizes forget which of them are served; so the lower one has 1.5 - 0.3 / 0.7 there and, by Little's law, stays for 3.57 s."""
    upper = Stream(7, "which").uniforms(63_000) < 0.5
    classes = iter(upper)
    price = lambda nbytes: PAIR.transfer("a", "b", nbytes).among(1.0, int(next(classes)))  # noqa: E731
    _, stays = served(PAIR, price, exponential("service", 1.0, 63_000))
    agrees(stays[upper], 1.0 / 0.7, unlike=[1.0 / (1.0 - LOAD)])
    agrees(stays[~upper], (1.5 - 0.3 / 0.7) / 0.3, unlike=[1.0 / (1.0 - LOAD)])


def test_shared_flows_are_slowed_in_proportion_to_their_size():
    """Processor sharing is fair: given its size x, a flow stays x / (1 - rho). Small flows (0.25 s) as much as large ones (1.75 s)."""
    sizes = np.where(Stream(7, "which").uniforms(42_000) < 0.5, 0.25, 1.75)
    _, stays = served(PAIR, lambda nbytes: PAIR.transfer("a", "b", nbytes), sizes)
    for size in (0.25, 1.75):
        agrees(stays[sizes == size], size / (1.0 - LOAD), unlike=[size + MM1, size + MD1])


def erlang_c(servers, erlangs):
    """The probability that a job waits: M/M/c at that many erlangs of load."""
    queue = erlangs**servers / factorial(servers) * servers / (servers - erlangs)
    return queue / (sum(erlangs**n / factorial(n) for n in range(servers)) + queue)


@pytest.mark.parametrize("servers", [2, 3])
def test_a_pool_of_slots_is_m_m_c(servers):
    """A bounded pool is c servers behind one queue: a job takes a slot, keeps it for its service, gives it back.

    Jobs arrive at 0.6 c per second: the wait is C(c, 0.6 c) / (c - 0.6 c). With a queue of its own, each server would make them wait as
    M/M/1 does, and one server c times as fast 1 / c of that. Erlang's C for one server is its load.
    """
    count, offered = 210_000, LOAD * servers
    assert erlang_c(1, LOAD) == pytest.approx(LOAD)
    arrivals = np.cumsum(exponential("gaps", 1.0 / offered, count))
    granted = _granted(servers, arrivals, exponential("service", 1.0, count))
    pooled = erlang_c(servers, offered) / (servers - offered)
    agrees(granted - arrivals, pooled, unlike=[MM1, MM1 / servers])


def _granted(servers, arrivals, seconds):
    """When each job got its slot."""
    machine, pool = Machine(ALONE), MemoryPool("slots", float(servers))
    begun = np.full(len(arrivals), np.nan)

    def grant(number):
        begun[number] = machine.env.now
        machine.after(seconds[number], lambda: pool.give(1.0))

    def source():
        for number, time in enumerate(arrivals):
            yield machine.env.timeout(time - machine.env.now)
            pool.take(1.0, partial(grant, number))

    machine.env.process(source())
    machine.env.run()
    return begun


# -- in scenarios ------------------------------------------------------------------------------------------------------------------------


def waits_of(rate, window, **service):
    """`(result, waits)` of one board that serves one job at a time, under Poisson arrivals, until all are served."""
    lengths = {"lengths": service.pop("lengths")} if "lengths" in service else {}
    engine = {"preset": "ideal", "max_sequences": 1}
    replica = {"name": "only", "devices": ["board"]}
    result = simulate(
        Scenario.of(
            {
                "name": "queue",
                "seed": 3,
                "run": {"window": window, "drain": window},
                "record": {"period": window, "operations": 0},
                "cluster": {"devices": {"board": {"device": "rpi5_8gb"}}},
                "services": {"only": {"engine": engine, "replicas": [replica], **service}},
                "workloads": {"jobs": {"service": "only", "arrivals": {"process": "poisson", "rate": rate}, **lengths}},
            }
        )
    )
    assert set(result.tables["jobs"]["status"]) == {"completed"}
    return result, result.tables["jobs"]["queue_s"]


def step_seconds(result):
    """Seconds of prefill (or one-shot) steps, and of decode steps: each all alike, or the services below would not be what they say."""
    steps = result.tables["steps"]
    each = (steps["end_s"] - steps["start_s"]) / steps["iterations"]
    first, later = each[steps["prefill_tokens"] > 0], each[steps["prefill_tokens"] == 0]
    for alike in (first, later):
        assert alike == pytest.approx(alike[:1].repeat(len(alike)), rel=1e-6)
    return first[0], later[0] if len(later) else None


@pytest.mark.parametrize("batching", [{"policy": "static", "size": 1}, "continuous"])
def test_a_service_of_constant_work_is_m_d_1(batching):
    """One-shot jobs, one at a time, for s seconds each: a wait of rho s / (2 (1 - rho)) at rho = 0.6."""
    probe, _ = waits_of(1.0, 10.0, model="resnet-8", format="int8", batching=batching)
    seconds, _ = step_seconds(probe)
    rate = LOAD / seconds
    result, waits = waits_of(rate, 12_000 / rate, model="resnet-8", format="int8", batching=batching)
    assert step_seconds(result)[0] == pytest.approx(seconds, rel=1e-6)
    agrees(waits, MD1 * seconds, unlike=[MM1 * seconds])


def test_a_service_of_geometric_answers_is_m_g_1():
    """Pollaczek-Khinchine: a wait of lambda E[S^2] / (2 (1 - rho)), for S = prefill + (L - 1) decode and L geometric of mean 5.

    Affine without remainder because the model is a state-space model: no step depends on the tokens before it. Moments of S:
    E[L - 1] = 4, Var[L] = (1 - p) / p^2 = 0.8 / 0.04 = 20. Its squared coefficient of variation is about 0.8, as prefill and decode of one
    token take about as long: near M/M/1's value, and half as much again over that of constant work.
    """
    chance, count = 0.2, 9000
    draws = Stream(3, "answers").uniforms(count)
    rows = [[1, 1 + int(each)] for each in np.log1p(-draws) // np.log1p(-chance)]
    service = {"model": "mamba-130m", "format": "q8_0", "lengths": {"lengths": "recorded", "rows": rows}}
    prefill, decode = step_seconds(waits_of(1.0, 20.0, **service)[0])
    mean, variance = prefill + (1 / chance - 1) * decode, (1 - chance) / chance**2 * decode**2
    rate = LOAD / mean
    result, waits = waits_of(rate, 8400 / rate, **service)
    assert step_seconds(result) == pytest.approx((prefill, decode), rel=1e-6)
    expected = rate * (variance + mean**2) / (2 * (1 - LOAD))
    agrees(waits, expected, unlike=[MD1 * mean])
