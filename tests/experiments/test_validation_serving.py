"""Recorded serving runs: what is read of them, the scenario that replays them, and figures beside each other."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edgewright.experiments.validation.readme import README
from edgewright.experiments.validation.serving import compared, main, markdown, statistics
from edgewright.experiments.validation.serving_replay import replayed, scenario_of
from edgewright.experiments.validation.serving_run import Timings, measured, peer, read_run
from edgewright.hwmodels import catalog
from edgewright.hwmodels.software import software
from edgewright.simulator import Scenario, simulate
from edgewright.simulator.errors import ScenarioError

RUNS = Path(__file__).parents[2].parent / "shared" / "serving_runs"
ENGINE = {"max_num_seqs": 2, "max_num_batched_tokens": 512, "dtype": "bfloat16"}
CACHE = {"num_kv_tokens": 4096, "block_size": 16, "gpu_memory_utilization": 0.9, "enable_prefix_caching": False}
QUICK = {"input_toks": 100, "output_toks": 5, "arrival_time": 1000.0, "queued_ts": 10.0, "scheduled_ts": 10.1, "first_token_ts": 10.5}
"""Arrived at 1000.0 on the wall clock, which is 10.0 on the engine's: the two are 990 s apart."""


def recorded(folder: Path, engine=ENGINE, cache=CACHE, name="rtx4090_some", **changed) -> Path:
    run = folder / name
    run.mkdir()
    meta = {"model": "meta-llama/Llama-3.1-8B", "engine_kwargs": engine} | ({"kv_cache": cache} if cache else {})
    (run / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    rows = [
        {**QUICK, "last_token_ts": 12.5},
        {**QUICK, "arrival_time": 1001.0, "queued_ts": 11.25, "first_token_ts": 13.0, "last_token_ts": 14.0},
    ]
    rows[0] |= changed
    (run / "requests.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    series = ["t,prompt_throughput,gen_throughput,running,waiting,kv_cache_pct", "1,100,50,2,0,1", "2,0,80,2,0,1", "3,0,0,0,0,0", ""]
    (run / "timeseries.csv").write_text("\n".join(series), encoding="utf-8")
    return run


def test_times_of_requests_stand_on_one_clock_and_begin_with_the_first_arrival(tmp_path):
    first, second = read_run(recorded(tmp_path)).requests
    assert (first.arrival, first.scheduled, first.first, first.last) == pytest.approx((0.0, 0.1, 0.5, 2.5))
    assert (second.arrival, second.first, second.last) == pytest.approx((1.0, 3.0, 4.0))


def test_what_was_measured(tmp_path):
    found = measured(read_run(recorded(tmp_path)))
    assert found.ttft == pytest.approx([0.5, 2.0])
    assert found.tpot == pytest.approx([2.0 / 4, 1.0 / 4])
    assert found.latency == pytest.approx([2.5, 3.0])
    assert found.prefill[0] == pytest.approx(0.4)
    assert found.step == pytest.approx([2 / 80])  # the second in which prompts were computed does not count, nor the one at rest


def test_a_prediction_of_others_is_read_in_seconds(tmp_path):
    run = recorded(tmp_path)
    assert peer(read_run(run)) is None
    (run / "llmservingsim_prediction.csv").write_text(
        "TTFT,TPOT,latency,queuing_delay\n3000000,2000000,9000000,1000000\n", encoding="utf-8"
    )
    found = peer(read_run(run))
    assert found is not None
    assert [float(each[0]) for each in (found.ttft, found.tpot, found.latency, found.prefill)] == pytest.approx([3e-3, 2e-3, 9e-3, 2e-3])
    assert found.step is None


def test_the_scenario_has_the_limits_of_the_run(tmp_path):
    scenario = scenario_of(read_run(recorded(tmp_path)))
    engine = scenario.services["serving"].engine.built()
    assert (engine.max_sequences, engine.max_tokens, engine.block_size, engine.prefix_caching) == (2, 512, 16, False)
    result = simulate(scenario)
    assert result.replicas["kv_capacity_tokens"].tolist() == [4096]
    assert result.jobs[["prompt_tokens", "output_tokens"]].to_numpy().tolist() == [[100, 5], [100, 5]]


def test_a_cache_that_is_not_stated_is_derived_and_said_to_be(tmp_path):
    stated, words = replayed(read_run(recorded(tmp_path)))
    assert "4096 tokens" in words
    assert "derived" not in words
    derived, words = replayed(read_run(recorded(tmp_path, cache=None, name="rtx4090_other")))
    assert "derived: the run does not state it" in words
    assert len(derived.ttft) == len(stated.ttft) == 2


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"engine": ENGINE | {"max_num_seqs": "many"}}, "engine_kwargs.max_num_seqs: 'many' is no limit"),
        ({"engine": ENGINE | {"dtype": "auto"}}, "engine_kwargs.dtype: 'auto' is not known"),
        ({"engine": ENGINE | {"tensor_parallel_size": 2}}, "engine_kwargs.tensor_parallel_size: is not one device"),
        ({"name": "abacus_some"}, "device 'abacus' is not in the catalogue"),
        ({"output_toks": "many"}, "requests.jsonl:1"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, changes, problem):
    with pytest.raises(ScenarioError, match=problem):
        read_run(recorded(tmp_path, **changes))


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ScenarioError, match="cannot be read"):
        read_run(tmp_path)


def test_the_command_prints_every_figure_beside_what_was_measured(tmp_path):
    found = CliRunner().invoke(main, [str(recorded(tmp_path))])
    assert found.exit_code == 0, found.output
    assert "time to first token       mean       1.25" in found.stdout  # (0.5 + 2.0) / 2
    assert "4096 tokens of KV cache, set in the scenario" in found.stderr


def test_statistics_leave_out_what_is_not_known():
    ones = np.ones(3)
    found = statistics(Timings(ones, ones, 2 * ones, ones, None))
    assert found["latency", "p99"] == 2.0
    assert not any(figure == "step" for figure, _ in found)
    assert statistics(None) == {}


def hosted(**engine: object) -> Scenario:
    return Scenario.of(
        {
            "name": "hosted",
            "description": "a prompt of one token and an answer of one",
            "seed": 1,
            "run": {"window": 1.0, "drain": 10.0},
            "cluster": {"devices": {"gpu": {"device": "rtx4090", "software": "vllm"}}},
            "services": {"chat": {"model": "llama-3.1-8b", "engine": engine, "replicas": [{"name": "one", "devices": ["gpu"]}]}},
            "workloads": {
                "one": {
                    "service": "chat",
                    "arrivals": {"process": "replay", "at": [0.0]},
                    "lengths": {"lengths": "recorded", "rows": [{"prompt": 1, "output": 1}]},
                }
            },
        }
    )


def test_software_brings_its_host_time_unless_the_scenario_sets_it():
    host = software(catalog.device("rtx4090"), "gpu", "vllm")
    bare = simulate(hosted(step_overhead=0.0, sequence_overhead=0.0)).jobs["e2e_s"].item()
    assert simulate(hosted()).jobs["e2e_s"].item() == pytest.approx(bare + host.step_s + host.sequence_s)
    assert simulate(hosted(step_overhead=0.5)).jobs["e2e_s"].item() == pytest.approx(bare + 0.5 + host.sequence_s)


@pytest.mark.skipif(not RUNS.exists(), reason="the recorded serving runs are not here")
def test_the_page_has_what_the_replay_gives_today():
    folders = sorted(folder for folder in RUNS.iterdir() if folder.is_dir())
    rows = [row for folder in folders for row in compared(read_run(folder))[0]]
    assert markdown(rows) in README.read_text(encoding="utf-8")
