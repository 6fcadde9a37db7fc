"""ParScale's closed form against the simulator, and against arithmetic."""

import pytest

from edgewright.experiments.reproductions.catalogue import folder_of
from edgewright.experiments.reproductions.parscale.costs import device_of, latency, model_of
from edgewright.hwmodels import price
from edgewright.simulator import Scenario, simulate
from edgewright.workloads import format_named

BF16 = format_named("bf16")


def test_the_scenario_takes_as_long_as_the_prices_say():
    """One user alone: the prompt, then 255 tokens at 257 to 511 cached tokens."""
    result = simulate(Scenario.load(folder_of("parscale") / "scenario.yaml"))
    model, device = model_of("1.6b", 8), device_of("catalogue")
    first = float(price(model.prefill(256, format=BF16), device).seconds)
    rest = sum(float(price(model.decode(1, float(context), format=BF16), device).seconds) for context in range(257, 512))
    assert result.jobs.e2e_s.iloc[0] == pytest.approx(first + rest)


def test_a_token_is_the_weights_over_the_bandwidth():
    """1.6 B parameters outside the embedding and 0.31 B in the head, 2 bytes each, at 0.9 of 2.039 TB/s; 240 tokens in the mean."""
    weights = 2 * (model_of("1.6b").parameters)
    least = 240 * weights / (0.9 * 2.039e12)
    assert least < latency(model_of("1.6b"), device_of("published")) < 1.1 * least
