"""Predictions beside measurements: rows are read, asked, answered and judged; what cannot be is counted with its reason."""

import csv
import json
from dataclasses import replace
from math import log
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgewright.experiments.cli import main
from edgewright.experiments.validation.answering import answer, parts_of
from edgewright.experiments.validation.asking import Ask, Unpredictable, ask, software_of
from edgewright.experiments.validation.asking_cluster import traffic
from edgewright.experiments.validation.flat import Flat
from edgewright.experiments.validation.report import groups_of, judge, quantile
from edgewright.experiments.validation.rows import Row, read_rows
from edgewright.experiments.validation.tuner import Case, Tuner
from edgewright.hwmodels import Work, catalog
from edgewright.hwmodels.software import Effect, Figures, figures_of, software, tuned
from edgewright.simulator.errors import ScenarioError
from edgewright.workloads import zoo

HEADER = "device_id,engine,model,params_B,dtype,phase,prompt_tokens,context,batch,threads_or_gpus,metric,value,unit,notes"
LLAMA = "rtx4090,llama.cpp,LLaMA-3-8B,8.03,Q4_K_M,decode,0,0..512,1,1,throughput,130,tokens/s,"


def write(folder: Path, *rows: str, name: str = "some.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([HEADER, *rows, ""]), encoding="utf-8")
    return path


def row(text: str) -> Row:
    cells = dict(zip(HEADER.split(","), next(csv.reader([text])), strict=True))
    return Row("some", 2, float(cells["value"]), cells)


def test_a_row_of_decoding_is_one_step_at_the_mean_context():
    asked = ask(row(LLAMA))
    decode = zoo.model("llama-3.1-8b").decode(1, 256.0)
    assert asked.software == "llama.cpp"
    assert asked.work.flops["int8"] == pytest.approx(decode.flops["fp16"] - asked.work.flops.get("fp16", 0.0), rel=0.01)
    assert (asked.reading, asked.factor, asked.steps) == ("rate", 1.0, 1.0)


def test_an_answer_is_the_price_on_the_tuned_device_and_the_steps_of_the_host():
    asked = ask(row(LLAMA))
    parts = parts_of(asked)
    assert parts.seconds == pytest.approx(float(parts.price.seconds) + parts.software.step_s + parts.software.sequence_s)
    found = answer(asked)
    assert found.value == pytest.approx(1.0 / parts.seconds)
    assert found.low < found.value < found.high


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (LLAMA.replace("rtx4090", "abacus"), "device 'abacus' is not in the catalogue"),
        (LLAMA.replace("LLaMA-3-8B,8.03", "Enigma,"), "the model is not known"),
        (LLAMA.replace("Q4_K_M", "Q99"), "number format 'Q99' is not known"),
        (LLAMA.replace(",130,", ",0,"), "the measured value is not positive"),
        (LLAMA.replace("throughput", "beauty"), "metric 'beauty' of a decode is not known"),
    ],
)
def test_what_cannot_be_predicted_says_why(text, reason):
    with pytest.raises(Unpredictable, match=reason):
        ask(row(text))


def test_groups_count_what_was_predicted_and_why_the_rest_was_not():
    rows = [row(LLAMA), row(LLAMA.replace("130", "260")), row(LLAMA.replace("rtx4090", "abacus"))]
    (group,) = groups_of(judge(rows))
    assert len(group.errors) == 2
    assert group.errors[0] - group.errors[1] == pytest.approx(log(2.0))
    assert group.bias == pytest.approx(sum(group.errors) / 2)
    assert dict(group.reasons) == {"device 'abacus' is not in the catalogue": 1}


def test_quantiles_are_linear_between_values():
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([0.0, 10.0], 0.9) == pytest.approx(9.0)
    assert quantile([], 0.5) is None


@pytest.mark.parametrize(
    ("model", "count", "number", "new", "sent", "received"),
    [
        ("llama-2-7b", 2, 4.0, False, 2224, 1968),
        ("llama-2-7b", 8, 4.0, False, 19180, 3444),
        ("llama-2-70b", 4, 34 / 32, False, 11475, 3442),
        ("llama-3.1-8b", 4, 34 / 32, True, 816, 816),
    ],
)
def test_the_traffic_of_distributed_llama_is_what_the_program_prints(model, count, number, new, sent, received):
    found = traffic(zoo.model(model), count, number, new)
    assert found[0] / 1024 == pytest.approx(sent, rel=0.01)
    assert found[1] / 1024 == pytest.approx(received, rel=0.01)


def questions() -> list[Ask]:
    texts = [
        LLAMA,
        LLAMA.replace("decode,0,0..512", "prefill,512,0..512"),
        "rpi5_8gb,ncnn,resnet18,,int8,inference,,,1,2,latency,40,ms,",
        "stm32l4r5,X-CUBE-AI,kws: DS-CNN,,int8,inference,,,1,1,latency,40,ms,clock=80 MHz",
    ]
    return [ask(row(text)) for text in texts]


@pytest.mark.parametrize("index", range(4))
def test_the_formula_of_the_fit_is_the_price_of_the_simulator(index):
    asked = questions()[index]
    flat = Flat([asked])
    figures, effect, _ = figures_of(asked.device, asked.engine, asked.software)
    made = software(asked.device, asked.engine, asked.software)
    logs = [log(figures.launch), log(made.figures.step_s), log(made.figures.sync_s), log(figures.core), log(figures.overlap)]
    logs.append(log(figures.sequence_s))
    tuned_unit = tuned(asked.device, asked.engine, asked.software, figures, Effect()).engines[asked.engine]
    for pick in ("compute", "memory", "ramp"):
        logs += [log(getattr(tuned_unit.efficiency[key], pick)) for key in flat.keys]
    from edgewright.hwmodels.software import bus_share

    count = len(flat.keys)
    share = log(bus_share(asked.device.engines[asked.engine]))
    logs[6 + count : 6 + 2 * count] = [value - share for value in logs[6 + count : 6 + 2 * count]]
    import numpy as np

    found = flat.seconds(np.array(logs), np.array([[effect.compute, effect.memory, effect.overhead]]))
    assert float(found[0]) == pytest.approx(parts_of(asked).seconds, rel=1e-6)


def test_slopes_are_derivatives():
    import numpy as np

    asks = questions()[:2]
    flat = Flat(asks)
    effects = np.full((1, 3), 0.05)
    slopes = flat.slopes(flat.start, effects)
    for column in range(len(flat.start)):
        moved = flat.start.copy()
        moved[column] += 1e-6
        expected = (flat.seconds(moved, effects) - flat.seconds(flat.start, effects)) / 1e-6
        assert slopes[:, column] == pytest.approx(expected, rel=1e-2, abs=1e-9)


def test_the_estimator_finds_the_figures_behind_made_up_measurements():
    truth = Figures({"gemv.fp16": 0.5}, {"gemv.fp16": 0.6}, launch=2.0, step_s=1e-3, overlap=4.0)
    cases = []
    for name in ("rtx3090", "rtx4090", "rtx3060"):
        device = catalog.device(name)
        made = tuned(device, "gpu", "made-up", truth)
        for size in (1e7, 1e8, 1e9, 1e10):
            from edgewright.hwmodels import price

            work = Work.of("gemv", "fp16", size, weights=size, launches=100.0)
            seconds = float(price(work, made, "gpu").seconds) + truth.step_s
            cases.append(Case(Ask(device, "gpu", "made-up", work), log(seconds)))
    tuner = Tuner().fit(cases)
    (family,) = tuner.families_.values()
    assert max(abs(family.residuals(tuner.offsets(family)))) < 0.03
    left = tuner.without(device="rtx4090")
    assert max(abs(miss) for misses in left.values() for miss in misses if miss == miss) < 0.1
    entry = tuner.document({})["software"]["made-up"]["cuda"]
    assert entry["memory"]["gemv.fp16"] == pytest.approx(0.6, rel=0.05)


def test_software_that_is_not_known_is_the_pool_and_an_unseen_device_has_a_wider_interval():
    device = catalog.device("rtx4090")
    seen, other = software(device, "gpu", "llama.cpp"), software(catalog.device("rtx4000ada"), "gpu", "llama.cpp")
    assert seen.seen
    assert not other.seen
    assert software_of(row(LLAMA.replace("llama.cpp", "abacus 1.0"))) == "other"
    assert software(device, "gpu", "no such software").figures.rows > 100
    with pytest.raises(ValueError, match="no engine 'npu'"):
        software(device, "npu", "llama.cpp")


def test_fewer_threads_are_slower_and_never_faster_than_their_share():
    device = catalog.device("rpi5_8gb")
    work = Work.of("conv", "fp32", 1e10, weights=1e6, activations=1e6)
    asks = [Ask(device, "cpu", "ncnn", work, threads=threads) for threads in (1.0, 2.0, 4.0)]
    one, two, four = (parts_of(each).seconds for each in asks)
    assert one > two > four
    assert one < 4.2 * four


def test_the_command_prints_groups_and_writes_the_rows(tmp_path):
    path = write(tmp_path, LLAMA, LLAMA.replace("rtx4090", "abacus"))
    result = CliRunner().invoke(
        main, ["validate", str(path), "--json", "--out", str(tmp_path / "out.csv"), "--plot", str(tmp_path / "p.svg")]
    )
    assert result.exit_code == 0, result.output
    (group,) = json.loads(result.stdout)
    assert (group["n"], group["unpredictable"], group["file"]) == (1, 1, "some")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert float(first["predicted_low"]) < float(first["predicted"]) < float(first["predicted_high"])
    assert second["predicted"] == ""
    assert "abacus" in second["reason"]
    assert "<circle" in (tmp_path / "p.svg").read_text(encoding="utf-8")


def test_a_device_of_a_profile_stands_before_the_catalogue(tmp_path):
    profile = tmp_path / "mine.yaml"
    profile.write_text(
        "devices:\n  abacus:\n    title: abacus\n    kind: gpu_discrete\n    memory: {pool: vram, capacity: 8 GiB, bandwidth: 100 GB/s}\n"
        "    idle_W: 1\n    tdp_W: 10\n    engines: {gpu: {kind: gpu, peaks: {fp16: 1.0e+12, fp32: 1.0e+12, int8: 1.0e+12}}}\n",
        encoding="utf-8",
    )
    path = write(tmp_path, LLAMA.replace("rtx4090", "abacus"))
    result = CliRunner().invoke(main, ["validate", str(path), "--json", "--profile", str(profile)])
    assert json.loads(result.stdout)[0]["n"] == 1


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("", "device_id"),
        ("a,b\n1,2\n", "device_id"),
        (HEADER + "\n1,2,3\n", "more or fewer cells"),
        (HEADER + "\n" + LLAMA.replace("130", "fast") + "\n", "'fast' is no number"),
    ],
)
def test_a_bad_file_is_one_clear_error(tmp_path, text, about):
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError, match=about):
        list(read_rows(path))
    result = CliRunner().invoke(main, ["validate", str(path)])
    assert result.exit_code == 2


def test_files_that_are_not_there_and_plots_that_nobody_draws_are_refused(tmp_path):
    assert CliRunner().invoke(main, ["validate", str(tmp_path / "none.csv")]).exit_code == 2
    assert CliRunner().invoke(main, ["validate", str(write(tmp_path, LLAMA)), "--plot", "x.bmp"]).exit_code == 2


def test_a_scenario_may_name_the_software_of_its_devices():
    from edgewright.simulator.assemble_devices import device_of
    from edgewright.simulator.schema_cluster import DeviceGroup

    plain, made = (device_of(DeviceGroup(device="rtx4090", software=name)) for name in (None, "llama.cpp"))
    assert made.engines["gpu"].efficiency["gemv.int8"].memory > 0.5
    assert made.engines["gpu"].launch_overhead != plain.engines["gpu"].launch_overhead
    assert made.provenance["gpu.efficiency"].kind == "measured"
    with pytest.raises(ValueError, match=r"llama\.cpp"):
        DeviceGroup(device="rtx4090", software="lama.cpp")


def test_a_collective_is_priced_at_the_costs_of_its_system():
    text = 'a100_80gb_sxm,NCCL 2.27.3,all_reduce,,fp16,network,,,,8,latency,0.5,ms,"message_size=16777216 elements (fp16)"'
    found = answer(ask(row(text)))
    assert 0.1 < found.value < 1.0  # 32 MiB over 300 GB/s twice, and a little
    assert found.low < found.value < found.high


SHARED = Path(__file__).parents[2] / ".." / "shared" / "measurements"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the published measurements are not beside this checkout")
@pytest.mark.parametrize(
    ("file", "median"), [("llm_xiongjie_llamacpp_gpus", 0.12), ("llm_edgereasoning_agx_orin", 0.12), ("llm_llamacpp_apple_4167", 0.12)]
)
def test_the_measurements_that_are_here_are_met(file, median):
    groups = groups_of(judge(read_rows(SHARED / f"{file}.csv")))
    assert all(group.median <= median for group in groups if group.median is not None and "energy" not in group.key[2])


SPLIT = "h100_sxm,vLLM,Qwen/Qwen3-8B,8.0,bfloat16,decode,,,8,2,median_itl,9,ms,TP=2"


def test_shards_reduce_over_the_link_that_the_catalogue_gives_their_board():
    asked, model = ask(row(SPLIT)), zoo.model("qwen3-8b")
    reduced = sum(1 for block in model.blocks if block.reduces)
    sent = 8 * model.hidden * 2  # eight rows of bf16; a ring of two sends 2 x 1/2 of them
    assert asked.links_s == pytest.approx(reduced * sent / catalog.link("nvlink4").bandwidth)
    cards = ask(row(SPLIT.replace("h100_sxm", "rtx4090")))
    assert cards.links_s == pytest.approx(reduced * sent / catalog.link("pcie_gen4_x16").bandwidth)


def test_an_engine_is_drawn_to_the_timings_of_its_kernels_but_for_its_host():
    kernels = [Case(replace(ask(row(SPLIT)), software="vllm-kernels", steps=0.0, links_s=0.0, syncs=0.0, sequences=0.0), -5.0)]
    whole = [Case(ask(row(SPLIT)), -4.0)]
    found = Tuner().fit([*kernels, *whole]).families_
    engine, alone = found["vllm", "cuda"], found["vllm-kernels", "cuda"]
    at = engine.flat.names.index
    assert engine.flat.start[at("memory gemm.bf16")] == alone.logs[alone.flat.names.index("memory gemm.bf16")]
    assert engine.logs[at("memory gemm.bf16")] == pytest.approx(alone.logs[alone.flat.names.index("memory gemm.bf16")], abs=0.1)
    assert engine.logs[at("step_s")] > alone.logs[alone.flat.names.index("step_s")]  # what is slower than its kernels is the host
