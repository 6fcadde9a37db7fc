"""CE-CoLLM's scenario in closed form."""

import pytest

from edgewright.experiments.reproductions.catalogue import folder_of
from edgewright.simulator import Scenario, simulate
from edgewright.simulator.errors import ScenarioError

CASE = Scenario.load(folder_of("ce-collm") / "scenario.yaml").override({"run.window": "100 s"})


def answered(service, **changes):
    """Seconds of the one answer, and what every resource moved."""
    result = simulate(CASE.override({"workloads.user.service": service, **changes}))
    return result, float(result.jobs[result.jobs.source == "user"].e2e_s.iloc[0])


def exits(*weights):
    return {"services.answer.outcomes.exit.weights": list(weights)}


def sent(result):
    return float(result.resources.set_index("resource").amount["wan>"])


def test_bytes_are_a_sum_over_positions():
    """Prompt 20, 98 tokens: states of 117 positions once, 8192 B each; of 20, 21, ... 117 positions, 16384 B each."""
    assert sent(answered("answer", **exits(1, 0, 0))[0]) == pytest.approx(117 * 8192)
    assert sent(answered("naive")[0]) == pytest.approx(sum(range(20, 118)) * 16384)


def test_a_token_of_the_cloud_costs_a_round_trip():
    """98 of them; 20 ms more each. Without any, the link's latency does not matter."""
    for weights, trips in (((0, 0, 1), 98), ((1, 0, 0), 0)):
        near, far = (answered("answer", **exits(*weights), **{"cluster.links.wan.latency": f"{way} ms"})[1] for way in (10, 20))
        assert far - near == pytest.approx(trips * 0.020, rel=0.02, abs=1e-9)


def test_exits_cost_what_their_layers_do():
    """All at the first: 8 layers and a head; all at the second: as many again."""
    first, second = (answered("answer", **exits(*weights))[1] for weights in ((1, 0, 0), (0, 1, 0)))
    assert second / first == pytest.approx(2.0, rel=0.1)


def test_devices_of_an_orchestration_are_checked():
    with pytest.raises(ScenarioError, match=r"services.answer.orchestration.*nowhere"):
        CASE.override({"services.answer.orchestration.gateway": "nowhere"})


def test_layers_that_a_model_does_not_have_are_refused():
    with pytest.raises(ScenarioError, match=r"services.first.model.change.*some of the 32"):
        simulate(CASE.override({"services.first.model.change.last": 40}))


def test_without_the_cloud_the_edge_goes_on_alone():
    """The cloud crashes after one second and stays away: the answer is ended at the edge, with all of its tokens."""
    faults = {"outage": {"kind": "crash", "targets": ["cloud"], "at": [1.0], "lasts": 1000}}
    scenario = Scenario.of({**CASE.tables(), "faults": faults})
    result = simulate(scenario.override({f"services.{name}.startup.weights": 10 for name in ("rest", "whole")}))
    (job,) = result.jobs[result.jobs.source == "user"].itertuples()
    assert (job.status, job.output_tokens, job.interruptions) == ("completed", 98, 1)
