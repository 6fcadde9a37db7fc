"""Plans run by several executors over socket pairs: no root, no network, threads in place of hosts."""

import socket
import threading
import time
from dataclasses import dataclass

import pytest

from edgewright.experiments.testbed.engine import KernelCall, KernelEngine, kernel_calls
from edgewright.experiments.testbed.executor import Executor, check_carried, strand_of
from edgewright.experiments.testbed.mesh import FRAMING, Mesh, Tag
from edgewright.hwmodels import Work
from edgewright.policies.compile import PlanError, compile_plan
from edgewright.policies.plan import Collective, Compute, Delay, Mark, Prev, Transfer, detach, loop, par, seq
from edgewright.workloads import Step
from edgewright.workloads.model_operators import Linear

SMALL = Work.of("gemv", "fp32", 2.0 * 8 * 16, weights=4.0 * 8 * 16, activations=4.0 * (8 + 16))
"""One product of an 8 x 16 matrix with a vector."""


class Counting(Mesh):
    """A mesh that writes down what it sends."""

    def __init__(self, rank, peers):
        super().__init__(rank, peers)
        self.sent = []

    def post(self, messages):
        kept = list(messages)
        self.sent += [(peer, len(body)) for peer, _, body in kept]
        super().post(kept)


@pytest.fixture
def hosts():
    """`hosts(count) -> executors`, joined to each other."""
    made = []

    def make(count):
        ends = {rank: {} for rank in range(count)}
        for low in range(count):
            for high in range(low):
                ends[low][high], ends[high][low] = socket.socketpair()
        names = [f"host{rank}" for rank in range(count)]
        made.extend(Executor(names, Counting(rank, ends[rank]), KernelEngine()) for rank in range(count))
        return made

    yield make
    for each in made:
        each.mesh.close()
        each.engine.close()


def run(executors, program, **options):
    """Run on all at once; the parts of each."""
    found, errors, start = {}, [], time.perf_counter()

    def one(executor):
        try:
            found[executor.me] = executor.run(program() if callable(program) else program, Step(), start, run=1, **options)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(each,)) for each in executors]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20.0)
    if errors:
        raise errors[0]
    assert len(found) == len(executors), "a host did not come to its end"
    return found


def sent(executors):
    return [sorted(each.mesh.sent) for each in executors]


NAMES = ("host0", "host1", "host2")


def test_a_ring_sends_a_third_to_the_next_four_times(hosts):
    """All-reduce of 1 200 B over three: 2 (3 - 1) messages of 400 B each."""
    three = hosts(3)
    run(three, seq(Collective("allreduce", NAMES, 1200.0, "ring"), Mark()))
    assert sent(three) == [[(1, 400)] * 4, [(2, 400)] * 4, [(0, 400)] * 4]


def test_a_star_sends_everything_to_the_root_and_back(hosts):
    three = hosts(3)
    run(three, seq(Collective("allreduce", NAMES, 1200.0, "star"), Mark()))
    assert sent(three) == [[(1, 1200), (2, 1200)], [(0, 1200)], [(0, 1200)]]


def test_an_all_to_all_sends_every_other_a_share(hosts):
    three = hosts(3)
    run(three, Collective("alltoall", NAMES, 1200.0, "ring"))
    assert sent(three) == [[(1, 400), (2, 400)], [(0, 400), (2, 400)], [(0, 400), (1, 400)]]


def test_messages_larger_than_all_buffers_cross_each_other(hosts):
    """Everybody sends 8 MB before anybody receives: more than a socket pair holds."""
    two = hosts(2)
    run(two, Collective("allreduce", NAMES[:2], 16e6, "ring"))
    assert sent(two) == [[(1, 8_000_000)] * 2, [(0, 8_000_000)] * 2]


def test_an_operation_starts_when_what_it_waits_for_has_ended(hosts):
    two = hosts(2)
    found = run(two, seq(Compute("host0", SMALL), Transfer("host0", "host1", 64.0), Compute("host1", SMALL), Mark()))
    ends = {(name, part.kind): part for name, parts in found.items() for part in parts}
    assert ends["host0", "compute"].end <= ends["host0", "transfer"].start
    assert ends["host1", "transfer"].end <= ends["host1", "compute"].start
    assert ends["host0", "compute"].end <= ends["host1", "compute"].start
    assert ("host1", "mark") in ends


def test_lanes_let_a_pipeline_overlap_and_one_lane_does_not(hosts):
    """The first host may be a step ahead with two lanes; each stage takes its steps in order."""
    plan = loop(
        seq(
            Compute("host0", SMALL, name="a", after=(Prev("a", 1),)),
            Transfer("host0", "host1", 64.0),
            Compute("host1", SMALL, name="b", after=(Prev("b", 1),)),
            Transfer("host1", "host0", 4.0),
            Mark(),
        )
    )
    two = hosts(2)
    found = run(two, plan, steps=5, lanes=1)
    first = [part for part in found["host0"] if part.name == "a"]
    backs = [part for part in found["host0"] if part.kind == "transfer" and part.node > 2]
    assert [part.iteration for part in first] == [0, 1, 2, 3, 4]
    assert all(before.end <= after.start for before, after in zip(backs, first[1:], strict=False))
    again = run(two, plan, steps=5, lanes=5)
    assert [part.iteration for part in again["host1"] if part.name == "b"] == [0, 1, 2, 3, 4]


@dataclass
class Script:
    """A transfer follows where the outcome says so."""

    count: int = 0

    def step(self, step):
        name = f"sure {self.count}"
        self.count += 1
        outcome = yield Compute("host0", SMALL, reveals=name)
        if not outcome.revealed[name]:
            yield seq(Transfer("host0", "host1", 64.0), Transfer("host1", "host0", 4.0))


def test_a_script_follows_its_outcomes_on_every_host(hosts):
    two = hosts(2)
    run(two, Script, steps=4, outcomes=lambda name: name in ("sure 0", "sure 3"))
    assert sent(two) == [[(1, 64)] * 2, [(0, 4)] * 2]


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (seq(Compute("host0", SMALL), Compute("host1", SMALL)), "no message tells host1"),
        (seq(Transfer("host0", "host1", 4.0), Compute("host0", SMALL)), "no message tells host0"),
        (seq(par(*(Compute(name, SMALL) for name in NAMES)), Compute("host0", SMALL)), "no message tells host0"),
        (seq(Compute("host0", SMALL), Delay(1.0)), "not Delay"),
        (seq(detach(Compute("host0", SMALL), "x"), Mark()), "nothing detached"),
    ],
)
def test_what_real_hosts_cannot_know_is_refused(plan, message):
    with pytest.raises(PlanError, match=message):
        strand_of(plan)


def test_what_messages_carry_is_accepted():
    """Each compute waits for the all-reduce, in which its host has a part, though barriers stand between."""
    plan = seq(par(*(Compute(n, SMALL) for n in NAMES)), Collective("allreduce", NAMES, 8.0), par(*(Compute(n, SMALL) for n in NAMES)))
    strand = compile_plan(plan).strands[0]
    check_carried(strand)
    assert sum(isinstance(op, Compute) for op in strand.ops) == 2 * len(NAMES), "there was nothing to accept"


@pytest.mark.parametrize(("rows", "name", "shape"), [(1, "gemv", (16, 64)), (5, "gemm", (5, 16, 64))])
def test_the_shape_of_a_product_is_read_back_from_its_work(rows, name, shape):
    from edgewright.workloads import format_named

    terms = Linear("m", 64, 16, "items").terms(Step(items=rows), format_named("fp32"), 1, (0, 1, 2))
    assert kernel_calls(Work(terms)) == (KernelCall(name, shape, 3),)


def test_work_without_a_kernel_is_refused():
    with pytest.raises(ValueError, match="products of fp32"):
        kernel_calls(Work.of("attention", "fp32", 100.0, weights=4.0, activations=8.0))


def test_an_engine_of_a_tenth_works_for_a_tenth_of_the_time():
    """By time on a core, so that it holds on a busy machine too; what this thread does meanwhile is in the bound's slack."""
    engine = KernelEngine()
    work = 20 * Work.of("gemv", "fp32", 2.0 * 2048 * 2048, weights=4.0 * 2048 * 2048, activations=4.0 * 4096)
    engine.prepare(work)
    engine.share = 0.1
    used = time.process_time()
    engine.submit(work, "it")
    while not (done := engine.finished()):
        time.sleep(1e-3)
    ((ticket, start, end),) = done
    assert ticket == "it"
    assert end - start >= 6 * (time.process_time() - used)
    engine.close()


def test_a_message_is_taken_once_and_by_its_tag():
    left, right = socket.socketpair()
    a, b = Mesh(0, {1: left}), Mesh(1, {0: right})
    a.post([(1, Tag(1, number=2), b"two!"), (1, Tag(1, number=1), b"one!")])
    while (first := b.take(0, Tag(1, number=1))) is None:
        b.wait(5.0)
    assert bytes(first) == b"one!"
    assert bytes(b.take(0, Tag(1, number=2))) == b"two!"
    assert b.take(0, Tag(1, number=2)) is None
    assert FRAMING == 28
    a.close()
    b.close()


def test_silence_is_an_error():
    left, right = socket.socketpair()
    with left, right, pytest.raises(TimeoutError, match="nothing arrived"):
        Mesh(0, {1: left}).wait(0.01)
