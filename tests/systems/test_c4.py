"""C4P as a scenario (c4.yaml): heavy flows of a ring all-reduce over the spines of a Clos, hashed (ECMP) or planned."""

from collections import Counter
from math import comb, factorial
from pathlib import Path

import numpy as np
import pytest

from edgewright.simulator import Scenario, simulate
from edgewright.workloads import Stream

C4 = Scenario.load(Path(__file__).with_name("c4.yaml"))
NICS, SPINES = 16, 8
SUBBLOCKS, BUFFER, RATE = 64, 4096 * 4096 * 2.0, 200e9 / 8
"""Two all-reduces in each of 32 layers, of 4096 tokens of 4096 numbers of 2 B; bytes per second of a NIC and of an uplink."""


def step_s(spines):
    """Seconds of the step when the flow of NIC i goes over the spine `spines[i]`."""
    ends = {f"cluster.links.nic{nic}.between": [f"gpu{nic}", f"{'ab'[nic % 2]}{spine}"] for nic, spine in enumerate(spines)}
    return simulate(C4.override(ends)).jobs.ttft_s.iloc[0]


def most(spines):
    """Flows on the fullest uplink: NICs share those of their own segment."""
    return max(Counter((nic % 2, spine) for nic, spine in enumerate(spines)).values())


def hashed(seed):
    """A spine for each flow, each as likely, whatever the others have."""
    return tuple(int(draw * SPINES) for draw in Stream(seed, "ecmp").uniforms(NICS))


PLANNED = tuple(nic // 2 for nic in range(NICS))


@pytest.fixture(scope="module")
def planned_s():
    return step_s(PLANNED)


def test_the_plan_gives_every_flow_an_uplink(planned_s):
    """64 all-reduces at 2 (N - 1) / N of the buffer over the NIC's rate: 0.161 s; compute and latency on top are less than a fifth."""
    reduction = SUBBLOCKS * 2 * (NICS - 1) / NICS * BUFFER / RATE
    assert most(PLANNED) == 1
    assert reduction < planned_s < 1.2 * reduction


@pytest.mark.parametrize("seed", range(4))
def test_a_ring_runs_at_the_speed_of_its_slowest_flow(planned_s, seed):
    """n flows on the fullest uplink: each has 1/n of it, and so all of the ring. The broadcast of the embedded tokens, half an all-reduce,
    slows down at most as much."""
    paths = hashed(seed)
    one = 2 * (NICS - 1) / NICS * BUFFER / RATE
    extra = step_s(paths) - planned_s
    slower = most(paths) - 1
    assert slower >= 1
    assert slower * SUBBLOCKS * one * (1 - 1e-6) <= extra <= slower * (SUBBLOCKS + 1) * one


def test_one_collision_halves_the_ring(planned_s):
    """Fifteen flows alone on their uplinks do not help the two that share one."""
    paths = (1, *PLANNED[1:])
    even = tuple(2 * (spine // 2) for spine in PLANNED)
    assert most(paths) == most(even) == 2
    assert step_s(paths) == pytest.approx(step_s(even), rel=0.01)
    assert step_s(paths) > 1.8 * planned_s


def test_hashing_rarely_finds_a_plan():
    """Eight flows of a segment into eight uplinks: k of them with two flows and 8 - 2k with one in C(8, k) C(8 - k, 8 - 2k) 8! / 2^k of 8^8
    ways. All apart in both segments with chance 5.8e-6, at most two together with 0.25. Of 4000 draws, within four deviations."""
    ways = [comb(8, k) * comb(8 - k, 8 - 2 * k) * factorial(8) / 2**k for k in range(5)]
    chance = (sum(ways) / 8**8) ** 2
    fullest = np.array([most(hashed(seed)) for seed in range(4000)])
    assert fullest.min() >= 2
    assert (fullest == 2).mean() == pytest.approx(chance, abs=4 * (chance * (1 - chance) / 4000) ** 0.5)
