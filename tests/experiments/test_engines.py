"""Predictions of engines: the structure that is summed, the three levels on invented times, and the errors of the committed rows."""

import json
from dataclasses import replace
from math import log
from statistics import mean, median

import numpy as np
import pytest

from edgewright.experiments.validation.engines import levels, levels_vision
from edgewright.experiments.validation.engines.__main__ import FILES
from edgewright.experiments.validation.engines.cases import (
    FORMATS,
    LLMS,
    VISION,
    Llm,
    LlmCase,
    VisionCase,
    half_of,
    llm_cases,
    vision_cases,
)
from edgewright.experiments.validation.engines.gguf_files import write_gguf
from edgewright.experiments.validation.engines.llama_graph import TIMED_ALONE, Op, operators_of, suite
from edgewright.experiments.validation.engines.records import CROWD, Measured, RowFile, best_rows, read_rows
from edgewright.experiments.validation.engines.report import groups
from edgewright.experiments.validation.engines.vision_nets import VisionOp, program_of
from edgewright.kernels.foreign import CallTime
from edgewright.workloads import from_config
from edgewright.workloads.vision_nets import NETS

TINY = Llm("tiny", "llama", 64, 128, 2, 4, 2, 16, 320, False)


def exact(case, seconds):
    return Measured(case, seconds, seconds, seconds, 7)


def test_every_model_is_in_one_half_and_the_other_can_be_fitted():
    dense = {name: half_of(name) for name, model in LLMS.items() if not model.experts}
    assert dense == {"llama-3.2-1b": 0, "qwen2-0.5b": 1, "smollm-135m": 0, "smollm-360m": 1, "tinyllama-1.1b": 0}
    for names in ([name for name, model in LLMS.items() if model.experts], VISION):
        assert {half_of(name) for name in names} == {0, 1}
    with pytest.raises(ValueError, match="'gpt' is not run: accepted are"):
        half_of("gpt")


@pytest.mark.parametrize("name", sorted(LLMS))
def test_the_products_of_a_step_hold_the_parameters_of_the_model(name):
    """One token passes every matrix of a dense model once: their entries, norms, biases and the embedding are all there is."""
    model = LLMS[name]
    ops = list(operators_of(LlmCase(name, "F16", 1, "decode", 16)))
    plain = sum(op.shape[1] * op.shape[2] for op in ops if op.kind == "mul_mat")
    routed = sum(op.shape[4] * op.shape[5] * model.experts for op in ops if op.kind == "mul_mat_id")
    vectors = sum(op.shape[1] for op in ops if op.kind in ("norm", "bias"))
    table = 0 if model.tied else model.vocab * model.hidden
    assert plain + routed + vectors + table == from_config(model.config).parameters


def test_a_long_prompt_is_two_graphs_and_the_first_ends_without_logits():
    """1024 tokens in micro-batches of 512: all layers twice, but the last feed-forward and the head for one row alone."""
    layers, products = LLMS["smollm-135m"].layers, list(operators_of(LlmCase("smollm-135m", "F16", 1, "prefill", 1024)))
    rows = [op.shape[0] for op in products if op.kind == "mul_mat"]
    assert rows.count(512) == 4 * 2 * layers + 3 * 2 * (layers - 1)
    assert rows.count(1) == 3 + 1
    assert [op.shape[:2] for op in products if op.kind == "attention"][::layers] == [(512, 0), (512, 512)]


def test_all_that_a_case_needs_is_in_the_suite_of_operators():
    known, small = set(suite()), {op.kind for op in suite()}
    for model in LLMS.values():
        for format in FORMATS:
            for case in llm_cases(model, format):
                for op in set(operators_of(case)):
                    assert op in known if op.kind in TIMED_ALONE else op.kind in small


def test_a_step_is_the_sum_of_its_operators():
    """Products take 1 us, attention 10 us, the start of a graph 100 us; small nodes 1 us and 1 ns for each number."""
    case = LlmCase("smollm-135m", "F16", 1, "decode", 16)
    ops = set(operators_of(case))
    times = {"mul_mat": 1e-6, "attention": 1e-5}
    timed = [exact(op, times[op.kind]) for op in ops if op.kind in times]
    timed += [
        exact(Op(op.kind, (size, *op.shape[1:]), op.format, 1), 1e-6 + 1e-9 * size * np.prod(op.shape[1:]))
        for op in ops - {each.case for each in timed}
        for size in (1, 2)
    ]
    timed.append(exact(Op("launch", (), "", 1), 1e-4))
    layers, found = 30, list(operators_of(case))
    small = [op for op in found if op.kind not in times]
    expected = 1e-4 + layers * (7e-6 + 1e-5) + 1e-6 + sum(1e-6 + 1e-9 * np.prod(op.shape) for op in small)
    assert levels.from_operators(timed)(case) == pytest.approx(expected)
    with pytest.raises(KeyError):
        levels.from_operators(timed)(replace(case, batch=2))


def test_coefficients_of_one_half_predict_the_other():
    """An engine that follows the structure exactly: 20 GB/s of F16 weights, 10 ns for every output, 5 us for every layer."""
    cases = [case for model in LLMS.values() for case in llm_cases(model, "F16") if case.phase == "decode"]

    def true(case):
        model = LLMS[case.model]
        dense = model.layers * model.hidden * model.head_dim * 2 * (model.heads + model.kv_heads) + model.hidden * model.vocab
        inner = 3 * model.hidden * model.inner * model.layers
        outputs = model.layers * (
            2 * model.hidden + model.head_dim * (model.heads + 2 * model.kv_heads) + 3 * max(model.active, 1) * model.inner
        )
        passed = dense * (1 + 0.5 * (case.batch - 1)) + inner * (model.active * case.batch if model.experts else 1 + 0.5 * (case.batch - 1))
        return passed * 1e-10 + outputs * case.batch * 1e-8 + model.layers * 5e-6

    predict = levels.from_models([exact(case, true(case)) for case in cases])
    assert max(abs(log(predict(case) / true(case))) for case in cases) < 0.01


@pytest.mark.parametrize("name", VISION)
def test_the_nodes_of_a_vision_model_compute_what_the_zoo_counts(name):
    """Multiply-accumulates of the products against the zoo's own operations, which have pools and sums besides."""
    macs = 0.0
    for node, _ in program_of(name):
        extents = levels_vision.product_of(node, 1)
        if extents is not None:
            macs += float(np.prod(extents))
        elif node.kind == "conv":
            side = -(-node.shape[1] // node.shape[5])
            macs += node.shape[3] * side**2 * node.shape[4] ** 2
    counted = sum(
        float(term.flops) for term in NETS[name]().infer() if term.kernel in ("conv", "conv_depthwise", "gemm", "gemv", "attention")
    )
    assert 2 * macs == pytest.approx(counted, rel=0.002)


def test_an_inference_is_the_sum_of_its_nodes():
    case = VisionCase("torch", "vgg-11", 1, 1)
    nodes = [node for node, _ in program_of("vgg-11")]
    timed = [exact(VisionOp("torch", node.kind, node.shape, node.act, 1, 1), 1e-3) for node in set(nodes)]
    assert levels_vision.from_operators(timed)(case) == pytest.approx(1e-3 * len(nodes))
    with pytest.raises(KeyError):
        levels_vision.from_operators(timed)(replace(case, batch=4))


def test_rows_go_on_where_they_stopped_and_the_least_disturbed_counts(tmp_path):
    path, case, other = tmp_path / "rows.jsonl", VisionCase("torch", "vgg-11", 1, 1), VisionCase("torch", "vgg-11", 2, 1)
    rows = RowFile(path, VisionCase, {"cpu": "invented"})
    rows.keep(case, CallTime(2.0, 1.0, 3.0, 7, 1, ("the median is known to 50.0% only",)))
    with path.open("a") as file:
        file.write('{"engine": "to')  # a crash in the middle of a line
    again = RowFile(path, VisionCase, {"cpu": "invented"})
    assert again.missing([case, other]) == [other]
    assert again.missing([case, other], tries=2) == [case, other]
    again.keep(case, CallTime(1.0, 1.0, 1.0, 7, 1, ("other processes worked 40.0% of the time",)))
    again.keep(case, CallTime(1.1, 1.1, 1.1, 7, 1, ()))
    assert [row.seconds for row in best_rows(read_rows(path, VisionCase)[1])] == [1.1]
    assert [row.crowd for row in again.rows] == [0.0, 0.4, 0.0]
    with pytest.raises(ValueError, match="another machine: cpu is 'invented' there, here it is 'real'"):
        RowFile(path, VisionCase, {"cpu": "real"})


def test_groups_count_what_a_level_could_not_predict():
    cases = list(vision_cases())[:2]
    found = list(groups([exact(case, 1.0) for case in cases], {"half": lambda case: {cases[0]: 2.0}[case]}))
    assert [(each.key[3], each.count, list(each.sizes["half"])) for each in found] == [
        ("1", 1, [log(2)]),
        ("1", 1, []),
        ("all", 2, [log(2)]),
    ]


def test_a_file_has_the_tensors_of_its_model(tmp_path):
    gguf = pytest.importorskip("gguf")
    write_gguf(tmp_path / "tiny.gguf", TINY, "Q8_0")
    tensors = gguf.GGUFReader(tmp_path / "tiny.gguf").tensors
    assert sum(int(np.prod(each.shape)) for each in tensors) == from_config(TINY.config).parameters
    kinds = {each.name: each.tensor_type.name for each in tensors}
    assert (kinds["token_embd.weight"], kinds["output_norm.weight"]) == ("Q8_0", "F32")


def test_the_committed_rows_hold_on_one_thread():
    """The sum of llama.cpp's operators against its steps on one thread: medians within 5 %, means within 8 % (mixtures: 12 %)."""
    predict = levels.from_operators(best_rows(read_rows(FILES["llm_operators"], Op)[1]))
    rows = [row for row in best_rows(read_rows(FILES["llm_rows"], LlmCase)[1]) if not row.disturbed and row.crowd <= CROWD]
    for mixture, aim in ((False, 0.08), (True, 0.12)):
        own = [row for row in rows if row.case.threads == 1 and bool(LLMS[row.case.model].experts) == mixture]
        misses = [abs(log(predict(row.case) / row.seconds)) for row in own]
        assert median(misses) < 0.05
        assert mean(misses) < aim
    machine = json.loads(FILES["llm_rows"].read_text().partition("\n")[0])["machine"]
    assert machine["versions"][0].startswith("0.3.36")
