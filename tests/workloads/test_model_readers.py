"""GGUF and ONNX files, written here and read back."""

import numpy as np
import pytest

from edgewright.workloads import BadConfig, Format, Step, from_config
from edgewright.workloads.gguf_reader import from_gguf
from edgewright.workloads.onnx_reader import from_onnx

F, STEP = Format("fp16", 16.0), Step(items=1)
HIDDEN, WIDTH, VOCAB = 64, 96, 32


def write_gguf(path, *, architecture="llama", q8=True, tied=False, extra=()):
    gguf = pytest.importorskip("gguf")
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(1)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    matrices = {"attn_q": (64, 64), "attn_k": (32, 64), "attn_v": (32, 64), "attn_output": (64, 64)}
    matrices |= {"ffn_gate": (WIDTH, 64), "ffn_up": (WIDTH, 64), "ffn_down": (64, WIDTH)}
    for name, shape in matrices.items():
        weights = np.zeros(shape, np.float32)
        if q8:
            packed = gguf.quants.quantize(weights, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(f"blk.0.{name}.weight", packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(f"blk.0.{name}.weight", weights.astype(np.float16))
    for name in ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"):
        writer.add_tensor(f"{name}.weight", np.zeros(HIDDEN, np.float32))
    for name in ("token_embd",) if tied else ("token_embd", "output"):
        writer.add_tensor(f"{name}.weight", np.zeros((VOCAB, HIDDEN), np.float16))
    for name, shape in extra:
        writer.add_tensor(name, np.zeros(shape, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("tied", [True, False])
def test_a_gguf_file_is_the_model_of_its_configuration(tmp_path, tied):
    model, format = from_gguf(write_gguf(tmp_path / "tiny.gguf", tied=tied))
    config = {"model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": WIDTH, "num_hidden_layers": 1, "vocab_size": VOCAB}
    same = from_config({**config, "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": tied}, "tiny")
    assert model == same
    assert (format.name, format.weight_bits, format.embedding_bits, format.head_bits, format.vector_bits) == ("gguf:tiny", 8.5, 16, 16, 32)
    assert (format.dtype, format.activation_bits) == ("int8", 32.0)


def test_weight_bytes_equal_the_tensors_of_the_file(tmp_path):
    model, format = from_gguf(write_gguf(tmp_path / "tiny.gguf"))
    matrices = 2 * 64 * 64 + 2 * 32 * 64 + 3 * 64 * WIDTH
    assert model.weight_bytes(format) == matrices * 34 / 32 + 2 * VOCAB * HIDDEN * 2 + 3 * HIDDEN * 4


def test_a_half_precision_file_computes_in_half_precision(tmp_path):
    _, format = from_gguf(write_gguf(tmp_path / "half.gguf", q8=False))
    assert (format.weight_bits, format.dtype) == (16.0, "fp16")


def test_rotary_tables_are_no_parameters(tmp_path):
    model, _ = from_gguf(write_gguf(tmp_path / "rope.gguf", extra=[("rope_freqs.weight", (4096,))]))
    assert model.blocks == from_gguf(write_gguf(tmp_path / "plain.gguf"))[0].blocks


def write_metadata(path, architecture, keys, model):
    """A file that holds a model's parameters in three tensors: table, head, and all the rest."""
    gguf = pytest.importorskip("gguf")
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in keys.items():
        writer.add_uint32(f"{architecture}.{key}", value)
    tables = {"token_embd.weight": VOCAB * HIDDEN} if model.tied else {"token_embd.weight": VOCAB * HIDDEN, "output.weight": VOCAB * HIDDEN}
    for name in tables:
        writer.add_tensor(name, np.zeros((VOCAB, HIDDEN), np.float16))
    writer.add_tensor("blk.0.rest.weight", np.zeros((1, model.parameters - sum(tables.values())), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


SHAPE = {"hidden_size": HIDDEN, "intermediate_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": VOCAB}
KEYS = {"embedding_length": HIDDEN, "feed_forward_length": WIDTH, "block_count": 2, "attention.head_count": 4}
LATENT = {"kv_lora_rank": 16, "qk_nope_head_dim": 12, "qk_rope_head_dim": 4, "v_head_dim": 12, "n_routed_experts": 8}
FILES = {
    "mixtral": (
        "llama",
        {"model_type": "mixtral", "num_key_value_heads": 2, "num_local_experts": 8, "num_experts_per_tok": 2},
        {"attention.head_count_kv": 2, "expert_count": 8, "expert_used_count": 2},
    ),
    "deepseek": (
        "deepseek2",
        {"model_type": "deepseek_v2", **LATENT, "n_shared_experts": 1, "num_experts_per_tok": 2, "first_k_dense_replace": 1}
        | {"moe_intermediate_size": 32},
        {"attention.kv_lora_rank": 16, "attention.key_length": 16, "attention.value_length": 12, "rope.dimension_count": 4}
        | {"expert_count": 8, "expert_shared_count": 1, "expert_used_count": 2, "expert_feed_forward_length": 32}
        | {"leading_dense_block_count": 1},
    ),
    "mamba": (
        "mamba",
        {"model_type": "mamba", "intermediate_size": 2 * HIDDEN, "state_size": 16, "conv_kernel": 4, "time_step_rank": 4},
        {"ssm.conv_kernel": 4, "ssm.inner_size": 2 * HIDDEN, "ssm.state_size": 16, "ssm.time_step_rank": 4}
        | {"attention.head_count": 0, "feed_forward_length": 0},
    ),
}


@pytest.mark.parametrize("name", sorted(FILES))
def test_metadata_of_other_architectures(tmp_path, name):
    architecture, config, keys = FILES[name]
    expected = from_config({**SHAPE, **config}, name)
    model, _ = from_gguf(write_metadata(tmp_path / f"{name}.gguf", architecture, KEYS | keys, expected))
    assert model == expected


def test_unusable_gguf_files_are_refused(tmp_path):
    with pytest.raises(BadConfig, match="architecture 'other' is unknown; accepted are deepseek2"):
        from_gguf(write_gguf(tmp_path / "other.gguf", architecture="other"))
    with pytest.raises(BadConfig, match=r"tensors hold .* parameters, but its metadata describe"):
        from_gguf(write_gguf(tmp_path / "more.gguf", extra=[("blk.0.surprise.weight", (64, 64))]))
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"no gguf at all, but long enough to be looked at")
    with pytest.raises(BadConfig, match="not a readable GGUF file"):
        from_gguf(broken)
    with pytest.raises(BadConfig, match="not a readable GGUF file"):
        from_gguf(tmp_path / "missing.gguf")


def write_onnx(path, *, size=8, side=8):
    """conv (3 -> 4, 3 x 3) -> relu -> depthwise + conv output -> mean -> flatten -> fc (4 -> 5)."""
    onnx = pytest.importorskip("onnx")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT

    def weight(name, *shape):
        return helper.make_tensor(name, floats, shape, np.zeros(shape, np.float32).ravel())

    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Conv", ["r", "w2"], ["d"], name="dw", group=4, pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["r", "d"], ["s"], name="sum"),
        helper.make_node("GlobalAveragePool", ["s"], ["g"], name="mean"),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["y"], name="fc", transB=1),
    ]
    entering = helper.make_tensor_value_info("x", floats, ["N", 3, size, side])
    leaving = helper.make_tensor_value_info("y", floats, ["N", 5])
    held = [weight("w1", 4, 3, 3, 3), weight("b1", 4), weight("w2", 4, 1, 3, 3), weight("w3", 5, 4), weight("b3", 5)]
    graph = helper.make_graph(nodes, "tiny", [entering], [leaving], held)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), str(path))
    return path


def test_an_onnx_graph(tmp_path):
    model = from_onnx(write_onnx(tmp_path / "tiny.onnx"))
    assert [block.name for block in model.blocks] == ["0.conv", "1.dw", "2.sum", "3.mean", "4.fc"]
    assert model.parameters == (108 + 4) + 36 + (20 + 5)
    flops = [sum(block.work(STEP, F).flops.values()) for block in model.blocks]
    assert flops[0] == 2 * 108 * 64
    assert flops[1] == 2 * 36 * 64
    assert flops[4] == 2 * 20
    assert [term.kernel for term in model.infer()] == ["conv", "conv_depthwise", "elementwise", "elementwise", "gemv"]
    assert model.boundary_bytes(2, STEP, F) == 2 * (256 + 256)  # the skip connection crosses too
    assert (model.input_bytes, model.result_bytes, model.generates) == (3 * 64, 4 * 5, False)


def write_attention(path):
    """Five tokens of 4 numbers: query product, scores against the transposed input, softmax."""
    onnx = pytest.importorskip("onnx")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["q"], name="q"),
        helper.make_node("Transpose", ["x"], ["t"], name="t", perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "t"], ["s"], name="scores"),
        helper.make_node("Softmax", ["s"], ["y"], name="softmax"),
    ]
    entering, leaving = (helper.make_tensor_value_info(name, floats, [1, 5, width]) for name, width in (("x", 4), ("y", 5)))
    held = [helper.make_tensor("w", floats, (4, 4), np.zeros(16, np.float32))]
    graph = helper.make_graph(nodes, "attention", [entering], [leaving], held)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), str(path))
    return path


def test_products_of_activations_in_an_onnx_graph(tmp_path):
    model = from_onnx(write_attention(tmp_path / "attention.onnx"))
    kernels = {block.name: [(term.kernel, term.flops) for term in block.work(STEP, F)] for block in model.blocks}
    assert kernels["0.q"] == [("gemm", 2 * 5 * 16)]
    assert kernels["2.scores"] == [("attention", 2 * 5 * 5 * 4)]


def test_unusable_onnx_files_are_refused(tmp_path):
    with pytest.raises(BadConfig, match=r"the shape of 'x' is \(0, 3, 0, 8\); accepted are known sizes"):
        from_onnx(write_onnx(tmp_path / "open.onnx", size="height"))
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"\xff\xff\xff")
    for path in (broken, tmp_path / "missing.onnx"):
        with pytest.raises(BadConfig, match="not a readable ONNX file"):
            from_onnx(path)


@pytest.mark.parametrize(("reader", "package"), [(from_gguf, "gguf"), (from_onnx, "onnx")])
def test_a_missing_package_says_what_to_install(monkeypatch, tmp_path, reader, package):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(ModuleNotFoundError, match=rf"needs the {package} package: pip install 'edgewright\[formats\]'"):
        reader(tmp_path / "any")
