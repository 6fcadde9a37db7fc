"""The engines themselves, where they are installed (extra `engines`): a step, an operator, an inference."""

from math import isfinite

import numpy as np
import pytest

from edgewright.experiments.validation.engines.cases import Llm
from edgewright.experiments.validation.engines.gguf_files import write_gguf
from edgewright.experiments.validation.engines.llama_graph import Op
from edgewright.experiments.validation.engines.vision_nets import Node, program_of

SHAPES = {"llama": ("llama", 0, 0), "qwen2": ("qwen2", 0, 0), "mixture": ("moe", 4, 2)}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("format", ["F16", "Q8_0", "Q4_0"])
def test_a_written_model_runs(name, format, tmp_path):
    """What it says of the next token depends on the context, and neither on how that was computed nor on steps that were taken back."""
    pytest.importorskip("llama_cpp")
    from edgewright.experiments.validation.engines.llama_run import opened

    family, experts, active = SHAPES[name]
    write_gguf(tmp_path / "tiny.gguf", Llm("tiny", family, 64, 128, 2, 4, 2, 16, 320, True, experts, active), format)
    with opened(tmp_path / "tiny.gguf", 2, 64) as engine:
        engine.threads(1)
        said = []
        for prompt in (16, 8):
            engine.prefill(prompt)
            engine.extend(prompt, 16)
            engine.spread(2)
            for _ in range(2):
                engine.step(16, 2)
                said.append(engine.logits(2))
        engine.prefill(8)
        engine.spread(2)
        engine.step(8, 2)
        shorter = engine.logits(2)
    assert np.isfinite(said[0]).all()
    assert min(np.ptp(said[0], axis=1)) > 0.1
    assert np.abs(said[0] - shorter).max() > 0.1
    for again in said[1:]:
        assert np.abs(said[0] - again).max() < 1e-3


@pytest.mark.parametrize(
    ("kind", "shape", "format"),
    [
        ("mul_mat", (3, 64, 32), "Q4_0"),
        ("mul_mat_id", (2, 2, 1, 4, 64, 32), "Q8_0"),
        ("attention", (1, 8, 2, 4, 2, 32), ""),
        ("norm", (2, 64), ""),
        ("rope", (2, 4, 32), ""),
        ("store", (2, 64), ""),
        ("gather", (2, 64), "Q4_0"),
        ("swiglu", (2, 64), ""),
        ("bias", (2, 64), ""),
        ("route", (3, 8, 2), ""),
        ("mix", (3, 2, 64), ""),
        ("launch", (), ""),
    ],
)
def test_an_operator_is_timed_alone(kind, shape, format, monkeypatch):
    pytest.importorskip("llama_cpp")
    from edgewright.experiments.validation.engines import llama_ops

    monkeypatch.setattr(llama_ops, "COLD_BYTES", 2**14)
    assert 0 <= llama_ops.time_operator(Op(kind, shape, format, 1)).seconds < 0.1


def test_an_unknown_operator_is_refused():
    from edgewright.experiments.validation.engines.llama_ops import time_operator

    with pytest.raises(ValueError, match="'conv' is no operator: accepted are mul_mat"):
        time_operator(Op("conv", (), "", 1))


NODES = (
    Node("conv", (8, 14, 14, 16, 3, 2, 1), "relu6"),
    Node("attention", (5, 2, 4)),
    Node("scale", (8, 7, 7)),
    Node("fc", (8, 4), "silu"),
)


def test_networks_run_in_pytorch():
    pytest.importorskip("torch")
    from edgewright.experiments.validation.engines.vision_torch import torch_call, torch_operator

    found = torch_call(program_of("mobilenet-v2"), 1, 1)()
    assert tuple(found.shape) == (1, 1000)
    assert isfinite(float(found.sum()))
    for node in NODES:
        torch_operator(node, 2, 1, 2)()


def test_networks_run_in_onnx_runtime():
    pytest.importorskip("onnxruntime")
    from edgewright.experiments.validation.engines.vision_onnx import onnx_call, onnx_operator

    (found,) = onnx_call(program_of("efficientnet-b0"), 1, 1)()
    assert found.shape == (1, 1000)
    for node in NODES:
        assert len(onnx_operator(node, 2, 1, 2)()) == 2
