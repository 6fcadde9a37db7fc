"""A learner as a policy: gymnasium's own checks, and that a learner that decides as a built-in does gets that policy's run."""

import pytest

gymnasium = pytest.importorskip("gymnasium")

from gymnasium.utils.env_checker import check_env  # noqa: E402

from edgewright.experiments.learning import BatchingTask, PowerTask, RoutingTask, environment  # noqa: E402
from edgewright.policies.registry import policies_of  # noqa: E402
from edgewright.simulator import Scenario, simulate  # noqa: E402


def small(**changes):
    """Two boards behind a switch answer short questions for half a minute, under one budget."""
    return Scenario.of(
        {
            "name": "small",
            "run": {"window": "30 s", "drain": "10 s"},
            "slo": {"ttft": "1 s"},
            "cluster": {
                "devices": {"pi": {"device": "rpi5_8gb", "count": 2}},
                "nodes": ["user"],
                "switches": ["lan"],
                "links": [
                    {"name": "pis", "link": "eth_1g", "between": ["lan", "pi"]},
                    {"name": "up", "link": "eth_1g", "between": ["user", "lan"]},
                ],
            },
            "power": {"desk": {"devices": ["pi"], "budget": "12 W", "policy": "none", "telemetry": {"period": "5 s"}}},
            "services": {
                "chat": {"model": "smollm-135m", "format": "q8_0", "engine": "llama.cpp", "replicas": [{"name": "pi", "each": "pi"}]}
            },
            "workloads": {
                "asked": {
                    "service": "chat",
                    "entry": "user",
                    "arrivals": {"process": "poisson", "rate": 1.0},
                    "lengths": {"lengths": "joint", "prompt": {"shape": "fixed", "value": 32}, "output": {"shape": "fixed", "value": 16}},
                }
            },
        }
    ).override(changes)


TASKS = [RoutingTask("chat"), PowerTask("desk"), BatchingTask("chat", "pi0")]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.family)
def test_environments_pass_gymnasiums_own_checks(task):
    made = environment(small(), task)
    try:
        check_env(made, skip_render_check=True)
    finally:
        made.close()


def played(made, seed, act):
    """Observations, and the sum of rewards, of one episode."""
    observation, _ = made.reset(seed=seed)
    seen, total, over = [observation.tolist()], 0.0, False
    while not over:
        observation, reward, over, truncated, _ = made.step(act(observation))
        assert not truncated
        seen.append(observation.tolist())
        total += reward
    return seen, total


def test_an_episode_is_the_same_again_with_the_same_seed_and_decisions():
    made = environment(small(), RoutingTask("chat"))
    first, second = played(made, 3, lambda seen: 0), played(made, 3, lambda seen: 0)
    other = played(made, 4, lambda seen: 0)
    made.close()
    assert first == second
    assert first != other


def test_a_learner_that_takes_the_first_server_gets_the_run_of_first_fit():
    scenario = small(**{"seed": 3, "services.chat.engine": {"preset": "llama.cpp", "max_sequences": 64}})
    made = environment(scenario, RoutingTask("chat"), reward=lambda progress: progress.joules)
    _, joules = played(made, 3, lambda seen: 0)
    made.close()
    result = simulate(scenario.override({"services.chat.routing": "first_fit"}))
    spent = sum(value for name, value in result.row(detail=True).items() if name.startswith("run_"))
    assert joules == pytest.approx(spent, rel=0.2)  # the environment runs to the end of the drain, the run until it is drained


def test_rewards_count_jobs_by_their_objectives():
    made = environment(small(), RoutingTask("chat"))
    seen, met = played(made, 3, lambda seen: len(seen) % 2)
    made.close()
    strict = environment(small(**{"slo.ttft": "1 ms"}), RoutingTask("chat"))
    _, missed = played(strict, 3, lambda seen: len(seen) % 2)
    strict.close()
    assert met == len(seen) - 1  # one decision per job, each met
    assert missed == -met


def test_a_lower_clock_spends_less_power_and_more_time():
    made = environment(small(), PowerTask("desk", levels=(0.4, 1.0)), reward=lambda progress: progress.joules)
    slow, fast = played(made, 3, lambda seen: 0)[1], played(made, 3, lambda seen: 1)[1]
    made.close()
    assert slow < fast


def test_the_learners_name_is_gone_after_close():
    before = set(policies_of("routing"))
    made = environment(small(), RoutingTask("chat"))
    assert set(policies_of("routing")) != before
    made.reset(seed=1)
    made.close()
    assert set(policies_of("routing")) == before


NOWHERE = [(RoutingTask("chad"), "chad"), (PowerTask("dusk"), "dusk"), (BatchingTask("chat", "pi9"), "pi9")]


@pytest.mark.parametrize(("task", "said"), NOWHERE)
def test_a_task_without_a_place_is_refused(task, said):
    with pytest.raises(ValueError, match=said):
        environment(small(), task)


def test_what_the_run_raises_reaches_the_learner():
    made = environment(small(), RoutingTask("chat"))
    made.reset(seed=1)
    with pytest.raises(IndexError):
        made.step(7)
    made.close()
