"""Attention in storages that compute: what goes where, what it takes, and SparF's bytes."""

from dataclasses import replace

import numpy as np
import pytest

from edgewright.hwmodels import Attachment, Cluster
from edgewright.hwmodels.ideal import ideal_device, ideal_storage
from edgewright.policies.kv import SparF
from edgewright.policies.partitioning import InStorage
from edgewright.policies.plan import Compute
from edgewright.policies.timeline import makespan
from edgewright.policies.views import ReplicaSpec
from edgewright.simulator import Scenario, simulate
from edgewright.simulator.plan_run import run_plan
from edgewright.simulator.stepping import decoded
from edgewright.workloads import Format, Step

BYTE = Format("byte", 8.0, 8.0, 8.0, "fp32", "fp32", vector_bits=8.0)
"""One byte per number."""

INSIDE, OUTSIDE = 8.0, 4.0
"""Bytes per second that a storage's engine reads, and that pass its interface."""


def spec(storages=1):
    """A device that computes at once, and storages that do."""
    engine = next(iter(ideal_device(1e15).engines.values()))
    csd = replace(ideal_storage(OUTSIDE), internal=INSIDE, engine=replace(engine, name="csd", bus="internal"))
    attachments = tuple(Attachment(f"csd{n}", "d0", csd) for n in range(storages))
    return ReplicaSpec("chat.edge", ("d0",), Cluster({"d0": ideal_device(1e15)}, attachments=attachments), BYTE)


@pytest.fixture
def seconds(two_layers):
    """`seconds(policy, replica, step)`: of one step, in the plan's arithmetic and as it is run, which agree."""

    def of(policy, replica, step):
        program = policy.plan(two_layers, replica).program
        found = makespan(program, replica.cluster, step)
        assert run_plan(program, replica.cluster, step=step).tokens == pytest.approx([found], rel=1e-9)
        return found

    return of


def test_a_step_is_writing_handing_over_attention_and_results(seconds):
    """A sequence of 9 tokens: 48 bytes written (keys twice), 16 of queries over, 9 + 1 tokens of 32 bytes inside and queries and results
    again, 16 of results back; two layers of 1 s to hand over."""
    found = seconds(InStorage(exchange=1.0), spec(), Step.of(decode=[9]))
    assert found == pytest.approx(48 / OUTSIDE + 2 * 1.0 + 16 / OUTSIDE + (10 * 32 + 32) / INSIDE + 16 / OUTSIDE, rel=1e-6)


def test_two_storages_have_half_of_the_heads_each(seconds):
    one, two = (seconds(InStorage(exchange=0.0), spec(count), Step.of(decode=[9])) for count in (1, 2))
    assert two == pytest.approx(one / 2, rel=1e-6)


def test_prompts_only_write(seconds):
    """Five tokens of 48 bytes, and nothing is handed over."""
    assert seconds(InStorage(exchange=1.0), spec(), Step.of(prefill=[(0, 5)])) == pytest.approx(5 * 48 / OUTSIDE, rel=1e-6)


def test_sparf_reads_channels_of_all_keys_and_the_groups_of_the_chosen(two_layers):
    """Of 64 tokens an eighth of 16 bytes of keys, half of the groups of 32 bytes, and the new token: 128 + 1024 + 32 bytes, of 2080."""
    policy = SparF(channels=0.125, tokens=0.125, groups=0.5)
    replica = spec()
    program = InStorage(exchange=0.0).plan(policy.refit(two_layers), replica).program
    step = decoded(np.array([[10.0]]), np.array([[64.0]]), (), policy)
    works = [op.work(step) for op in _computes(program) if op.engine == "csd0"]
    assert sum(term.kv for work in works for term in work.terms) == pytest.approx(128 + 1024 + 32)


def _computes(plan):
    return [plan] if isinstance(plan, Compute) else [op for child in getattr(plan, "children", ()) for op in _computes(child)]


def test_storages_that_do_not_compute_and_heads_that_do_not_divide_are_refused(two_layers):
    plain = Cluster({"d0": ideal_device(1e15)}, attachments=(Attachment("disk", "d0", ideal_storage(1.0)),))
    with pytest.raises(ValueError, match="needs storages that compute, and d0 has none"):
        InStorage().plan(two_layers, ReplicaSpec("chat.edge", ("d0",), plain, BYTE))
    with pytest.raises(ValueError, match="do not divide by 3"):
        InStorage().plan(two_layers, spec(3))


def test_fewer_groups_than_tokens_are_refused():
    with pytest.raises(ValueError, match=r"accepted are 0\.5 to 1"):
        SparF(tokens=0.5, groups=0.25)


SCENARIO = Scenario.of(
    {
        "name": "inside",
        "run": {"window": "1 s", "drain": "10 h"},
        "cluster": {"devices": {"gpu": {"device": "rtxa6000", "storage": {"csd": "instcsd"}}}},
        "services": {
            "writer": {"model": "opt-125m", "replicas": [{"name": "one", "devices": ["gpu"], "partitioning": "in_storage"}]},
        },
        "workloads": {
            "offline": {
                "service": "writer",
                "arrivals": {"process": "replay", "at": [0.0] * 4},
                "lengths": {"lengths": "joint", "prompt": {"shape": "fixed", "value": 64}, "output": {"shape": "fixed", "value": 32}},
            }
        },
    }
)
"""Four sequences whose cache is in the storage."""


def test_nothing_of_the_cache_is_on_the_device():
    """31 steps read 64 + i tokens and write one each: 12 layers of 2 x 768 numbers in fp16, four sequences."""
    result = simulate(SCENARIO)
    inside = result.resources.set_index("resource").amount["gpu.csd.internal"]
    attended = sum(64 + step + 1 for step in range(1, 32))
    assert inside >= 4 * attended * 12 * 2 * 768 * 2
    assert not result.memory[result.memory.allocation.str.contains("KV")].peak_bytes.any()
