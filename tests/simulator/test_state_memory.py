"""Recurrent state takes memory, too: a model without a growing cache serves as many sequences at once as its memory holds states."""

import pytest

from edgewright.simulator import Scenario, ScenarioError, Simulation

STATE = 24 * (1536 * 16 + 1536 * 4) * 2
"""Bytes of one sequence of mamba-130m in fp16: 24 layers, an inner width of 1536 with 16 states and a convolution of 4 per channel."""


def served(memory):
    """Sixteen questions at once to a Pi that has so many bytes for states."""
    changes = {
        "services.chat.model": "mamba-130m",
        "services.chat.format": "fp16",
        "services.chat.engine": "ideal",
        "services.chat.replicas.only.kv_capacity": memory,
        "workloads.questions.arrivals": {"process": "replay", "at": [float(20 + number / 1e3) for number in range(16)]},
    }
    return Scenario.load("hello").override(changes)


@pytest.mark.parametrize(("states", "most"), [(4.5, 4), (100.0, 16)])
def test_no_more_sequences_run_than_states_fit(states, most):
    simulation = Simulation(served(states * STATE))
    simulation.run_until(simulation.end)
    assert simulation.replicas["chat.only"].capacity.sequences == int(states)
    result = simulation.result()
    assert result.queue.running.max() == most
    assert (result.jobs.status == "completed").all()


def test_memory_for_no_state_is_refused_before_the_clock_starts():
    with pytest.raises(ScenarioError, match="one sequence takes"):
        Simulation(served(0.5 * STATE))
