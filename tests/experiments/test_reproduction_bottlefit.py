"""BottleFit's scenario in closed form."""

import pytest

from edgewright.experiments.reproductions.catalogue import folder_of
from edgewright.simulator import Scenario, simulate

CASE = Scenario.load(folder_of("bottlefit") / "scenario.yaml")


def seconds(service, **changes):
    jobs = simulate(CASE.override({"workloads.camera.service": service, **changes})).jobs
    return float(jobs[jobs.status == "completed"].e2e_s.mean())


def rate(megabits):
    return {"cluster.links.radio.bandwidth": f"{megabits} Mbit/s"}


@pytest.mark.parametrize(("service", "nbytes"), [("split", 12 * 841 + 4000), ("offload", 37300 + 4000), ("deep", 12 * 841 + 4000)])
def test_a_slower_link_costs_the_bytes_that_are_sent(service, nbytes):
    """At 1 and 2 Mbit/s. 1000 class scores of 4 B come back."""
    assert seconds(service, **rate(1)) - seconds(service, **rate(2)) == pytest.approx(nbytes * 8 / 2e6, rel=0.02)


def test_the_policies_cross_where_the_page_says():
    """Nano: split against local at 1.2 Mbit/s. Raspberry Pi: split against offloading at 23 Mbit/s."""
    local = seconds("local")
    assert seconds("split", **rate(1.1)) > local > seconds("split", **rate(1.3))
    board = {"cluster.devices.board.device": "rpi4_4gb"}
    for link, faster in ((20, "split"), (26, "offload")):
        times = {service: seconds(service, **board, **rate(link)) for service in ("split", "offload")}
        assert min(times, key=times.get) == faster


@pytest.mark.parametrize(
    ("board", "link", "way"),
    [
        ("jetson_nano", 1.1, "local"),
        ("jetson_nano", 1.3, "split"),
        ("jetson_nano", 400, "offload"),
        ("rpi4_4gb", 1, "split"),
        ("rpi4_4gb", 26, "offload"),
    ],
)
def test_the_way_that_is_predicted_to_be_fastest_is_taken(board, link, way):
    """The choice rule: `predicted_latency` over three replicas, the ways of image and result included."""
    changes = {"workloads.camera.service": "adaptive", "cluster.devices.board.device": board, **rate(link)}
    assert set(simulate(CASE.override(changes)).jobs.replica) == {f"adaptive.{way}"}
