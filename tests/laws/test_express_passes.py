"""Running express equals the general path for models that compute an input in one pass, whatever the batching, the sources and the plan.

Counts and texts are equal; floats to 1e-9 of their value, and times of a run of minutes to the absolute 1e-10, as in `test_express_laws`.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgewright.simulator import Scenario, Simulation
from edgewright.simulator.express_passes import PassExpress

pytestmark = pytest.mark.usefixtures("express_pays")


def camera(rate=20.0, **more):
    return {"service": "detector", "arrivals": {"process": "poisson", "rate": rate}, **more}


def board(workloads=None, batching="continuous", window=6.0, seed=1, drain=20.0, engine=None, **service):
    return {
        "name": "eyes",
        "seed": seed,
        "run": {"warmup": window / 10, "window": window, "drain": drain},
        "record": {"period": "0.5 s"},
        "cluster": {"devices": {"board": {"device": "jetson_orin_nano_8gb"}}},
        "power": {"box": {"devices": ["board"], "supply_efficiency": 0.9}},
        "services": {
            "detector": {
                "model": "yolov8n",
                "format": "fp16",
                "batching": batching,
                "engine": engine or "ideal",
                "replicas": [{"name": "one", "devices": ["board"]}],
                **service,
            }
        },
        "workloads": workloads or {"images": camera()},
    }


FILM = {"process": "periodic", "period": "40 ms"}

CASES = {
    "light": (board(), None),
    "overloaded, with deadlines": (
        board({"images": camera(900.0, deadline="0.1 s", priority=3)}, window=2.0, drain=0.5, batching={"policy": "static", "size": 1}),
        lambda result: result.jobs.missed.any() and (result.jobs.status == "in_flight").any(),
    ),
    "as many as there are": (board({"images": camera(1500.0)}, window=1.0), lambda result: result.steps.prefill_tokens.max() > 2),
    "few at once": (
        board({"images": camera(900.0)}, window=1.0, engine={"preset": "ideal", "max_sequences": 3}),
        lambda result: (result.steps.prefill_tokens == 3).any(),
    ),
    "a full batch": (
        board(batching={"policy": "static", "size": 5, "timeout": "0.2 s"}),
        lambda result: {5} < set(result.steps.prefill_tokens),
    ),
    "a batch in time": (
        board(batching={"policy": "dynamic", "size": 4, "timeout": "60 ms"}),
        lambda result: len(set(result.steps.prefill_tokens)) > 2,
    ),
    "a batch over several steps": (
        board({"images": camera(400.0)}, {"policy": "static", "size": 7}, 2.0, engine={"preset": "vllm", "max_tokens": 3}),
        lambda result: {3, 1} <= set(result.steps.prefill_tokens),
    ),
    "a batch larger than the engine takes": (
        board({"images": camera(400.0)}, {"policy": "dynamic", "size": 9}, 2.0, engine={"preset": "ideal", "max_sequences": 4}),
        lambda result: result.steps.prefill_tokens.max() == 4,
    ),
    "a film": (board({"images": {"service": "detector", "arrivals": FILM}}, {"policy": "dynamic", "size": 3, "timeout": "80 ms"}), None),
    "three cameras in step": (
        board({name: {"service": "detector", "arrivals": FILM, "deadline": f"{40 + 10 * number} ms"} for number, name in enumerate("abc")}),
        lambda result: result.steps.prefill_tokens.max() == 3,
    ),
    "cameras of their own": (
        board({"a": camera(9.0), "b": camera(5.0, thin="40 %", priority=1), "c": {"service": "detector", "arrivals": FILM}}),
        lambda result: set(result.jobs.source) == {"a", "b", "c"},
    ),
    "an engine with overheads": (board(engine={"preset": "vllm", "step_overhead": "3 ms", "sequence_overhead": "1 ms"}), None),
}


@pytest.mark.parametrize(("tables", "covered"), CASES.values(), ids=CASES)
def test_passes_run_express_as_on_the_general_path(ran, require_same, tables, covered):
    fast = ran(tables, PassExpress)
    require_same(fast, ran(tables, None))
    assert not len(fast.itl)
    assert not len(fast.kv)
    assert covered is None or covered(fast)


arrivals = st.one_of(
    st.fixed_dictionaries({"process": st.just("poisson"), "rate": st.floats(1.0, 300.0)}),
    st.fixed_dictionaries({"process": st.just("gamma"), "rate": st.floats(1.0, 200.0), "cv": st.floats(0.3, 4.0)}),
    st.fixed_dictionaries({"process": st.just("periodic"), "period": st.sampled_from([1 / 64, 1 / 32, 1 / 16, 0.25])}),
)
sources = st.fixed_dictionaries(
    {"service": st.just("detector"), "arrivals": arrivals},
    optional={"deadline": st.floats(0.001, 0.5), "priority": st.integers(0, 3), "thin": st.floats(0.1, 1.0)},
)
closing = st.fixed_dictionaries(
    {
        "policy": st.sampled_from(["static", "dynamic"]),
        "size": st.integers(1, 12),
        "timeout": st.sampled_from([0.0, 1 / 64, 1 / 16, 0.03, 0.2]),
    }
)
engines = st.fixed_dictionaries(
    {
        "preset": st.sampled_from(["vllm", "ideal"]),
        "max_sequences": st.integers(1, 16),
        "max_tokens": st.sampled_from([1, 2, 5, 2048]),
        "step_overhead": st.sampled_from([0.0, 0.001]),
    }
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    workloads=st.lists(sources, min_size=1, max_size=3),
    batching=st.just("continuous") | closing,
    engine=engines,
    drain=st.sampled_from([0.01, 5.0]),
    seed=st.integers(0, 1000),
)
def test_passes_run_express_as_on_the_general_path_in_any_scenario(ran, require_same, workloads, batching, engine, drain, seed):
    tables = board({f"w{number}": each for number, each in enumerate(workloads)}, batching, 1.0, seed, drain, engine)
    require_same(ran(tables, PassExpress), ran(tables, None))


def test_two_boards_in_a_row_and_the_link_between_them(ran, require_same):
    tables = board({"images": camera(40.0)}, {"policy": "dynamic", "size": 3, "timeout": "30 ms"})
    tables["cluster"]["devices"]["other"] = {"device": "jetson_agx_orin_64gb"}
    tables["cluster"]["links"] = [{"name": "wire", "link": "eth_1g", "between": ["board", "other"]}]
    parts = {"policy": "pipeline", "lanes": 1}
    tables["services"]["detector"]["replicas"] = [{"name": "one", "devices": ["board", "other"], "partitioning": parts}]
    fast = ran(tables, PassExpress)
    assert fast.links.amount.sum() > 0
    require_same(fast, ran(tables, None))


@pytest.mark.parametrize(
    "change",
    [
        {"batching": {"policy": "chunked_prefill"}},
        {"workloads": {"images": {"service": "detector", "arrivals": {"process": "closed", "users": 2, "think": 0.01}}}},
        {"failure": {"policy": "drop", "timeout": 9}},
    ],
    ids=str,
)
def test_passes_that_could_tell_the_difference_take_the_general_path(change):
    assert Simulation(Scenario.of(board(**change)), express=True).express is None


def test_images_that_travel_take_the_general_path():
    tables = board()
    tables["cluster"] |= {"nodes": ["eye"], "links": [{"name": "wifi", "link": "wifi6", "between": ["eye", "board"]}]}
    tables["workloads"]["images"] |= {"entry": "eye", "bytes": 1e5}
    assert Simulation(Scenario.of(tables), express=True).express is None
