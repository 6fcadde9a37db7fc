"""C4D as a scenario (c4_faults.yaml): what faults cost a synchronous training job when they are found after hours, and after a minute."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from edgewright.simulator import Scenario, simulate

C4D = Scenario.load(Path(__file__).with_name("c4_faults.yaml"))
WINDOW, RESTART, RETRY = 25920.0, 3.0, 0.1
HOUR, MINUTE = 36.0, 0.6


@dataclass(frozen=True)
class Month:
    """Faults; seconds between them and their ends; seconds that were not work which counted; seconds of work between two checkpoints."""

    faults: int
    outages: float
    down: float
    interval: float


def month(detect):
    result = simulate(C4D.override({"faults.crashes.lasts": detect}))
    faults = result.frame("faults")
    done = result.jobs[result.jobs.status == "completed"]
    interval = done.e2e_s.min()
    outages = (faults.end_s.fillna(WINDOW).clip(upper=WINDOW) - faults.start_s).sum()
    return Month(len(faults), outages, WINDOW - len(done) * interval, interval)


@pytest.fixture(scope="module")
def months():
    return {detect: month(detect) for detect in (MINUTE, 4 * HOUR)}


@pytest.mark.parametrize("detect", [MINUTE, 4 * HOUR])
def test_downtime_is_faults_times_detection_restart_and_lost_work(months, detect):
    """Each fault costs detection, restart, and what has been done since the checkpoint: uniform on the interval, as faults come at any time
    alike, so half of it in the mean, within four deviations (interval / sqrt(12 n)). Asking again takes up to 0.1 s; what the window cuts
    off is one restart at most, and one interval."""
    ran = months[detect]
    lost = (ran.down - ran.outages) / ran.faults - RESTART
    spread = 4 * ran.interval / (12 * ran.faults) ** 0.5
    assert ran.outages == pytest.approx(ran.faults * detect, abs=detect)
    assert lost >= ran.interval / 2 - spread - RESTART / ran.faults
    assert lost <= ran.interval / 2 + spread + RETRY + ran.interval / ran.faults


def test_early_detection_takes_downtime_from_a_fifth_to_a_hundredth(months):
    """Up for 18 h in the mean: with four hours to the diagnosis 4.2 of 22.2 h are lost, 19 %; with a minute 11 of 1091 min, 1.0 %. Of n
    faults, within four deviations of a Poisson number (4 / sqrt(n), of about 35 and 44)."""
    shares = {detect: ran.down / WINDOW for detect, ran in months.items()}
    for detect, ran in months.items():
        cost = detect + RESTART + ran.interval / 2
        assert shares[detect] == pytest.approx(cost / (648.0 + cost), rel=4 / ran.faults**0.5)
    assert shares[MINUTE] < shares[4 * HOUR] / 10
