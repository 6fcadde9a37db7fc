"""Keys of a storage in a scenario: each is a figure of the storage, and what is read and written by them costs time and energy."""

import pytest

from edgewright.hwmodels import Storage

FIGURES = {
    "read": "40 MB/s",
    "write": "10 MB/s",
    "random_read": "8 MB/s",
    "random_write": "2 MB/s",
    "latency": "1 ms",
    "write_latency": "2 ms",
    "queue_depth": 4,
    "duplex": "half",
    "active": "3 W",
    "active_write": "5 W",
    "idle": "1 W",
    "capacity": "1 GB",
}


def reading(boards, policy, figures, **replica):
    """A board that keeps 100 of its 143 MB of weights in memory and reads the rest under the policy, for one question of two tokens."""
    placed = {"weight_budget": "100 MB", "kv_capacity": "50 MB", "residency": policy} | replica
    return boards(1, placed, device={"storage": {"disk": figures}})


def test_every_key_is_a_figure_of_the_storage(boards):
    found = reading(boards, "lru", FIGURES).machine.cluster.storage_of("pi0").storage
    stated = (4e7, 1e7, 1e-3, 8e6, 2e6, 2e-3, 4, "half", 3.0, 5.0, 1.0, 1e9)
    assert found == Storage("disk", "disk", *stated, provenance=found.provenance)
    assert {each.source for each in found.provenance.values()} == {"set in the scenario"}


def test_reading_draws_the_active_power_while_it_lasts(boards, ask):
    """Every step reads all weights at 40 MB/s in one go: 3 W for as long as the disk is busy, and the idle 1 W all the time."""
    simulation = reading(boards, "lru", FIGURES)
    asked = ask(simulation, 0, 8, 2)
    simulation.run_until(60.0)
    assert asked.status == "completed"
    run = simulation.result()
    energy = run.energy.set_index(["owner", "part"]).joules
    moved = run.frame("resources").set_index("resource").amount["pi0.disk.read"]
    assert moved == pytest.approx(2 * sum(part.weight_bytes for part in simulation.replicas["chat.only"].placement.parts["pi0"]))
    assert energy["pi0.disk", "dynamic"] == pytest.approx(3.0 * moved / 40e6)
    assert energy["pi0.disk", "idle"] == pytest.approx(60.0)


def test_a_deeper_queue_reads_mapped_pages_sooner(boards, ask):
    """Two requests of 1 MB in flight, 50 ms + 1 MB / 40 MB/s each: nearly twice as fast as where one is taken at a time."""
    ends = []
    for depth in (1, 2):
        mapped = {"policy": "mmap", "depth": 2, "readahead": "1 MB"}
        simulation = reading(boards, mapped, FIGURES | {"queue_depth": depth, "latency": "50 ms"})
        asked = ask(simulation, 0, 8, 2)
        simulation.run_until(60.0)
        ends.append(asked.finished)
    assert 1.5 < ends[0] / ends[1] < 2.0
