"""Batches by expert: who decodes, who waits, and that a step without the others leaves them as they were."""

from edgewright.policies.batching import ExpertAware
from edgewright.policies.conformance.fakes import FakeReplica, FakeRunning, FakeWaiting
from edgewright.simulator import Scenario, simulate
from edgewright.workloads import Stream


def decided(view, budget):
    return ExpertAware(budget=budget).start("s", Stream(1, "test")).next_batch(view)


def running(count):
    """Jobs at context 0: the next expert of job i is 7 i mod 4, so 0, 3, 2, 1, 0, 3, ..."""
    return [FakeRunning(number, 0, 1, 0) for number in range(count)]


def test_the_longest_queue_decodes():
    """Nine jobs: 0, 4 and 8 want expert 0, the others two each; of five, the three and the pair of expert 1 (3 and 7)."""
    batch = decided(FakeReplica(running=running(9), max_sequences=9), 5)
    assert batch.decode == frozenset({0, 4, 8, 3, 7})
    assert [batch.decodes(job) for job in (0, 1)] == [True, False]


def test_everyone_decodes_where_all_fit_and_prompts_go_beside():
    assert decided(FakeReplica(running=running(4)), 4).decode is True
    batch = decided(FakeReplica(running=running(6), waiting=[FakeWaiting(9, 0.0, 5, 0)]), 4)
    assert (batch.decode, batch.prefill) == (frozenset({0, 4, 1, 5}), ((9, 5),))


SCENARIO = Scenario.of(
    {
        "name": "ahead",
        "run": {"window": "1 s", "drain": "1 h"},
        "cluster": {"devices": {"gpu": {"device": "a100_80gb_sxm"}}},
        "services": {
            "chat": {
                "model": "read-me",
                "experts_routing": {"ahead": True},
                "batching": {"policy": "expert_aware", "budget": 4},
                "replicas": [{"name": "one", "devices": ["gpu"]}],
            }
        },
        "workloads": {
            "users": {
                "service": "chat",
                "arrivals": {"process": "replay", "at": [0.0] * 12},
                "lengths": {"lengths": "joint", "prompt": {"shape": "fixed", "value": 8}, "output": {"shape": "fixed", "value": 9}},
            }
        },
    }
)
"""Twelve requests of nine tokens, of which four decode in a step."""


def test_every_request_ends_with_all_its_tokens():
    """8 tokens each after the first: 96, and no step decodes more than four."""
    result = simulate(SCENARIO)
    assert (result.jobs.status == "completed").all()
    assert (result.jobs.output_tokens == 9).all()
    decoding = result.steps.decode
    assert (decoding * result.steps.iterations).sum() == 12 * 8
    assert decoding.max() == 4


def test_batches_by_expert_touch_fewer_experts():
    """The same budget in order of arrival touches more: 4 tokens of even choice 3.3 of 8, drained queues fewer."""
    every = simulate(SCENARIO.override({"services.chat.batching": "continuous", "services.chat.engine": {"max_sequences": 4}}))
    chosen = simulate(SCENARIO)
    touched = [result.replicas.expert_hits.sum() for result in (chosen, every)]
    assert touched[0] < touched[1]


def test_without_such_a_router_all_decode():
    """Known layer by layer only: nothing is chosen."""
    result = simulate(SCENARIO.override({"services.chat.experts_routing.ahead": False}))
    decoding = result.steps.decode
    assert decoding.max() == 12
