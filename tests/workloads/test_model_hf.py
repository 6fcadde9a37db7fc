"""Configurations: the traps, and the errors."""

import json

import pytest

from edgewright.workloads import BadConfig, Format, Step, from_config
from edgewright.workloads.hf import accepted_types

F = Format("fp16", 16.0)
BASE = {
    "model_type": "llama",
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 10,
}
MOE = {**BASE, "num_experts_per_tok": 2}


def test_key_value_heads_default_to_all_heads():
    assert from_config(BASE).kv_bytes_per_token(F) == 2 * 2 * 8 * 2


def test_head_dim_may_differ_from_hidden_over_heads():
    model = from_config({**BASE, "head_dim": 5})
    assert model.kv_bytes_per_token(F) == 2 * 2 * (4 * 5) * 2
    assert model.parameters - from_config(BASE).parameters == 2 * 4 * 8 * (4 * 5 - 8)


def test_a_null_counts_as_missing():
    assert from_config({**BASE, "head_dim": None, "num_key_value_heads": None}) == from_config(BASE)


@pytest.mark.parametrize(("kind", "tied"), [("llama", False), ("mistral", False), ("qwen2", False), ("gemma", True)])
def test_the_default_of_tying_differs_by_family(kind, tied):
    assert from_config({**BASE, "model_type": kind}).tied is tied
    assert from_config({**BASE, "model_type": kind, "tie_word_embeddings": not tied}).tied is not tied


@pytest.mark.parametrize(
    ("kind", "keys", "width"),
    [
        ("mixtral", {"num_local_experts": 4}, 12),
        ("olmoe", {"num_experts": 4}, 12),
        ("qwen3_moe", {"num_experts": 4, "moe_intermediate_size": 5}, 5),
    ],
)
def test_experts_are_named_three_ways(kind, keys, width):
    experts = from_config({**MOE, "model_type": kind, **keys}).experts
    assert (experts.count, experts.top_k, experts.parameters) == (4, 2, 3 * 8 * width)


def test_qwen2_has_biases_that_its_configuration_does_not_show():
    assert from_config({**BASE, "model_type": "qwen2"}).parameters - from_config(BASE).parameters == 2 * 3 * 8


def windows_of(config):
    """The window of each layer, in order."""
    return [each.window for block in from_config(config).blocks for each in block.operators if each.kv_numbers()]


@pytest.mark.parametrize("kind", ["qwen2", "qwen3"])
def test_qwen_uses_its_window_only_when_switched_on_and_in_its_last_layers(kind):
    """The first `max_window_layers` layers attend to everything; 28 is the families' default, as 4096 is for the window."""
    off = {**BASE, "model_type": kind, "num_hidden_layers": 30, "sliding_window": 32, "max_window_layers": 10}
    assert windows_of(off) == windows_of({**off, "use_sliding_window": False}) == [None] * 30
    on = {**off, "use_sliding_window": True}
    assert windows_of(on) == [None] * 10 + [32] * 20
    assert windows_of({**on, "max_window_layers": 0}) == [32] * 30
    assert windows_of({**on, "max_window_layers": 40}) == [None] * 30
    assert windows_of({**on, "max_window_layers": None}) == [None] * 28 + [32] * 2
    assert windows_of({**on, "layer_types": ["sliding_attention", *["full_attention"] * 29]}) == [32] + [None] * 29
    del on["sliding_window"]
    assert windows_of(on) == [None] * 10 + [4096] * 20


def test_a_mixture_of_qwen3_uses_its_window_in_every_layer():
    config = {**MOE, "model_type": "qwen3_moe", "num_experts": 4, "moe_intermediate_size": 5, "sliding_window": 16}
    assert windows_of(config) == [None, None]
    assert windows_of({**config, "use_sliding_window": True, "max_window_layers": 1}) == [16, 16]


def test_gemma_alternates_local_and_global_layers():
    config = {**BASE, "model_type": "gemma2", "num_hidden_layers": 4, "sliding_window": 16}
    assert windows_of(config) == [16, None, 16, None]
    assert windows_of({**config, "layer_types": ["full_attention", *["sliding_attention"] * 3]}) == [None, 16, 16, 16]


def test_a_text_model_inside_a_multimodal_configuration():
    text = {**BASE, "sliding_window": 16}
    inside = from_config({"model_type": "gemma3", "text_config": text}, "g")
    assert inside == from_config({**text, "model_type": "gemma3_text"}, "g")


def test_gemma3_leaves_out_its_defaults():
    """The published configuration of the 4B model says no more of its text model than this."""
    text = {"model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34, "sliding_window": 1024}
    model = from_config({"model_type": "gemma3", "text_config": text})
    assert (model.parameters, model.windows) == (3_880_263_168, (1024,))


def test_latent_attention():
    """Compressed queries (6), latent 4 with a rotary key of 2 shared by all heads; keys 3 + 2 and values 3 per head."""
    config = {**BASE, "model_type": "deepseek_v3", "q_lora_rank": 6, "kv_lora_rank": 4, "qk_nope_head_dim": 3, "qk_rope_head_dim": 2}
    config |= {"v_head_dim": 3, "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 5}
    model = from_config({**config, "first_k_dense_replace": 1})
    attention = (8 * 6 + 6) + 6 * 4 * 5 + 8 * (4 + 2) + 4 + 4 * 4 * (3 + 3) + 4 * 3 * 8
    assert model.blocks[1].parameters == attention + 8
    assert [block.kind for block in model.blocks[2:5:2]] == ["ffn", "moe"]
    assert model.blocks[4].parameters == 8 + 4 * 8 + 5 * 3 * 8 * 5
    assert model.kv_bytes_per_token(F) == 2 * (4 + 2) * 2
    decode, wide = model.decode(1, 100.0), model.decode(1, 200.0)
    assert wide.flops["fp16"] - decode.flops["fp16"] == 2 * 2 * 100 * 4 * (2 * 4 + 2)  # absorbed: latents are attended
    assert model.part(F, 1, 2, shards=2).kv_bytes_per_token == model.part(F, 1, 2).kv_bytes_per_token  # every shard caches the latent
    chunk = model.work(Step.of(prefill=[(10, 2)], emits=0), F)
    pairs = 2 * 10 + 3
    (term,) = [term for term in chunk if term.kernel == "attention"]
    assert term.flops == 2 * 2 * 4 * (pairs * (3 + 2 + 3) + 10 * 4 * (3 + 3))  # ten cached latents are expanded again


def test_a_path_names_the_model_after_its_folder(tmp_path):
    folder = tmp_path / "my-model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(BASE), encoding="utf-8")
    assert from_config(folder / "config.json").name == "my-model"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "resnet"}, "model_type 'resnet' is unknown; accepted are bloom, deepseek_v2"),
        ({"hidden_size": None}, "hidden_size or n_embed or d_model is missing"),
        ({"hidden_size": "8"}, "hidden_size is '8'; accepted is a positive integer"),
        ({"num_hidden_layers": -1}, "num_hidden_layers is -1; accepted is a positive integer"),
        ({"vocab_size": True}, "vocab_size is True; accepted is a positive integer"),
        ({"num_key_value_heads": 3}, "num_key_value_heads is 3; accepted are divisors of the 4 heads"),
        ({"tie_word_embeddings": "no"}, "tie_word_embeddings is 'no'; accepted is true or false"),
        ({"model_type": "gemma2", "sliding_window": 4, "layer_types": ["full_attention"]}, "layer_types has 1 entries"),
        ({"model_type": "qwen2", "use_sliding_window": True, "layer_types": ["full_attention"]}, "layer_types has 1 entries"),
        ({"model_type": "qwen2", "use_sliding_window": True, "max_window_layers": -1}, "max_window_layers is -1; accepted is 0 or more"),
        ({"model_type": "qwen3_moe", "num_experts": 4, "moe_intermediate_size": 4}, "num_experts_per_tok is missing"),
    ],
)
def test_bad_configurations_are_refused(change, message):
    with pytest.raises(BadConfig, match=message):
        from_config({**BASE, **change}, "bad")


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_file_that_is_no_configuration(tmp_path, text):
    path = tmp_path / "config.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadConfig, match=r"config\.json: not a"):
        from_config(path)
    with pytest.raises(BadConfig, match="not a readable"):
        from_config(tmp_path / "missing.json")


def test_every_accepted_type_is_in_the_message():
    with pytest.raises(BadConfig) as caught:
        from_config({"model_type": "?"})
    assert all(kind in str(caught.value) for kind in accepted_types())
