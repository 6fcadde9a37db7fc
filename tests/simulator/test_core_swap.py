"""KV memory of 28 blocks of 16 tokens that runs out: jobs are computed again, swapped to a slower tier, or refused."""

import pytest

from edgewright.simulator.assemble_memory import kv_bytes_per_token
from edgewright.simulator.availability import Cause
from edgewright.simulator.errors import ScenarioError

SMALL = {"kv_capacity": "10.4 MB"}
DISK = {"storage": {"disk": {"read": "2 MB/s", "write": "1 MB/s", "latency": "0 s"}}}
SWAP = {"preemption": "swap", "swap_to": "disk", "swap_space": "100 MB"}


@pytest.fixture
def crowded(boards, ask):
    """`crowded(engine, device=DISK) -> (simulation, first, second)`: two jobs of 64 prompt tokens that want 22 blocks each in the end."""

    def run(engine, device=DISK):
        simulation = boards(1, SMALL, engine=engine, device=device)
        return simulation, *(ask(simulation, number, 64, 280) for number in range(2))

    return run


def test_a_swapped_job_loses_no_token_and_pays_for_its_bytes(crowded):
    """Both jobs hold 14 blocks when the 15th is wanted, at 224 cached tokens. The second leaves with its 14 blocks, and waits for the first
    to end; every token of it is computed once."""
    simulation, first, second = crowded(SWAP)
    replica = simulation.replicas["chat.only"]
    assert replica.kv.capacity == 28
    while not second.swapped and simulation.now < 60:
        simulation.run_until(simulation.now + 0.25)
    assert (second.swapped, replica.swap.used, second.tokens, first.swapped) == (224, 14, 0, 0)
    assert replica.waiting[0] is second
    simulation.run_until(60.0)
    assert [(job.status, job.generated, job.preemptions) for job in (first, second)] == [("completed", 280, 0), ("completed", 280, 1)]
    block = 16 * kv_bytes_per_token(replica.setup)["pi0"]
    assert (replica.swap.out_bytes, replica.swap.in_bytes) == (14 * block, 14 * block)
    assert (replica.swap.used, replica.swap.peak, replica.kv.used) == (0, 14, 0)
    run = simulation.result()
    assert run.steps.prefill_tokens.sum() == 128
    row = run.replicas.iloc[0]
    assert (row.swapped_out_bytes, row.swapped_in_bytes) == (14 * block, 14 * block)
    moved = run.frame("resources").set_index("resource").amount
    assert (moved["pi0.disk.write"], moved["pi0.disk.read"]) == pytest.approx((14 * block, 14 * block))


def test_the_step_waits_for_the_bytes_to_be_out(crowded):
    """14 blocks at 1 MB/s: the first job's tokens pause for that long, and as long again never."""
    simulation, *_ = crowded(SWAP)
    simulation.run_until(60.0)
    block = 16 * sum(kv_bytes_per_token(simulation.replicas["chat.only"].setup).values())
    gaps = simulation.result().steps
    pauses = (gaps.start_s.shift(-1) - gaps.end_s).dropna()
    assert pauses.nlargest(2).tolist() == pytest.approx([14 * block / 1e6, 14 * block / 2e6], rel=1e-6)


def test_swaps_stand_among_other_flows_as_their_service_does(boards, ask):
    """A write of somebody else's takes the disk while the job is swapped out; of a higher class, the job is out as if it were alone."""
    pauses = []
    for priority in (0, 1):
        service = {"model": "smollm-135m", "format": "q8_0", "traffic": {"priority": priority}, "engine": SWAP | {"block_size": 16}}
        only = {"name": "only", "devices": ["pi0"], "kv_capacity": "10.4 MB"}
        simulation = boards(1, device=DISK, services={"chat": service | {"replicas": [only]}})
        for number in range(2):
            ask(simulation, number, 64, 280)
        machine = simulation.machine
        machine.run(lambda machine=machine: machine.cluster.store("pi0", 1e9, "disk"), lambda _: None)
        simulation.run_until(60.0)
        steps = simulation.result().steps
        pauses.append((steps.start_s.shift(-1) - steps.end_s).max())
    assert pauses[0] == pytest.approx(2 * pauses[1], rel=1e-6)


def test_without_room_in_the_swap_space_a_job_is_computed_again(crowded):
    simulation, _, second = crowded(SWAP | {"swap_space": "1 MB"})
    simulation.run_until(60.0)
    assert (second.status, second.preemptions, simulation.replicas["chat.only"].swap.out_bytes) == ("completed", 1, 0.0)
    assert simulation.result().steps.prefill_tokens.sum() > 128


def test_an_engine_may_refuse_instead(crowded):
    simulation, first, second = crowded({"preemption": "reject"})
    simulation.run_until(60.0)
    assert (first.status, second.status, second.reason) == ("completed", "failed", "KV cache full")


def test_swapped_jobs_return_before_new_ones_are_admitted(crowded, ask):
    """A question of one block could begin at once when the first job ends, and is admitted with the swapped one or after it."""
    simulation, _, second = crowded(SWAP)
    while not second.swapped:
        simulation.run_until(simulation.now + 0.25)
    small = ask(simulation, 9, 200, 4)
    simulation.run_until(60.0)
    assert small.status == second.status == "completed"
    assert small.scheduled is not None
    assert small.scheduled >= second.queued
    order = simulation.result().steps
    returned = order[(order.prefill_tokens == 0) & (order.decode >= 1)].start_s
    assert small.scheduled >= returned.min()


def test_a_card_swaps_to_the_memory_of_its_host(boards, ask):
    """Over PCIe 4.0 x16, out and in: the link carries both ways."""
    simulation = boards(1, SMALL, engine={"preemption": "swap"}, device={"device": "rtx4090"})
    jobs = [ask(simulation, number, 64, 280) for number in range(2)]
    simulation.run_until(60.0)
    assert [job.status for job in jobs] == ["completed"] * 2
    moved = simulation.result().frame("resources").set_index("resource").amount
    travelled = simulation.replicas["chat.only"].swap.out_bytes
    assert travelled > 0
    assert (moved["pi0.host<"], moved["pi0.host>"]) == pytest.approx((travelled, travelled))


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ({"preemption": "swap"}, "swap_to: 'host' is no place to swap to: device 'pi0' has no memory of a host"),
        ({"preemption": "swap", "swap_to": "tape"}, "swap_to: is no place to swap to: device 'pi0' has no storage 'tape'"),
        (SWAP | {"swap_space": "1 kB"}, "swap_space: 1000.0 B hold no block of 368640 B on pi0"),
    ],
)
def test_a_place_that_is_not_there_is_refused(boards, engine, message):
    with pytest.raises(ScenarioError) as refused:
        boards(1, SMALL, engine=engine, device=DISK)
    assert message in str(refused.value)


def test_more_swap_space_than_the_storage_holds_is_refused(boards):
    disk = {"storage": {"disk": {**DISK["storage"]["disk"], "capacity": "1 MB"}}}
    with pytest.raises(ScenarioError, match="swap_space"):
        boards(1, SMALL, engine=SWAP, device=disk)


@pytest.mark.parametrize("space", ["1 GB", "2 MB"])
def test_every_question_is_answered_whole_however_little_is_swapped(boards, space):
    """Half as many tokens of cache as the questions want: with room to swap for all of them or for one, all are answered."""
    arrivals = {"process": "poisson", "rate": "20 /min"}
    disk = {"storage": {"disk": {"read": "20 MB/s", "write": "10 MB/s", "latency": "0 s"}}}
    simulation = boards(1, {"kv_capacity": "5 MB"}, arrivals, output=120, engine=SWAP | {"swap_space": space}, device=disk)
    simulation.run_until(simulation.end)
    jobs, swap = simulation.result().jobs, simulation.replicas["chat.only"].swap
    assert set(jobs.status) == {"completed"}
    assert set(jobs.output_tokens) == {120}
    assert jobs.preemptions.sum() > 5
    assert 0 < swap.peak <= swap.capacity
    assert swap.used == 0


@pytest.mark.parametrize("inward", [False, True])
def test_what_a_crashed_replica_swaps_travels_no_further(crowded, inward):
    """A crash in the middle of a copy, out or in: no byte moves after it, and none is counted that has not moved."""
    simulation, *_ = crowded(SWAP)
    swap, name = simulation.replicas["chat.only"].swap, "pi0.disk.read" if inward else "pi0.disk.write"
    channel = simulation.machine.resources[name]
    while not channel.activities and simulation.now < 60:
        simulation.run_until(simulation.now + 0.05)
    simulation.run_until(simulation.now + 0.5)
    simulation.machine.up.hold("pi0", Cause("crashed", "test"))
    simulation.machine.settle()
    moved = channel.moved
    assert 0 < moved < 14 * 16 * kv_bytes_per_token(simulation.replicas["chat.only"].setup)["pi0"]
    assert (swap.in_bytes if inward else swap.out_bytes) == pytest.approx(moved)
    simulation.run_until(simulation.now + 20)
    simulation.machine.settle()
    assert channel.moved == pytest.approx(moved)
    assert swap.used == 0
