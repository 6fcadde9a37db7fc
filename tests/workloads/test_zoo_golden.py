"""Shapes against published figures: parameters to the last one, active parameters, cache per token."""

import pytest

from edgewright.workloads import Step, format_named, zoo

FP16 = format_named("fp16")

PUBLISHED = {  # parameters of the published checkpoints (their safetensors indices), tied tensors once
    "bloom-176b": 176_247_271_424,
    "deepseek-v2-lite": 15_706_484_224,
    "deepseek-v3": 671_026_419_200,  # without the multi-token-prediction module
    "gemma-2-2b": 2_614_341_888,
    "gemma-2-9b": 9_241_705_984,
    "gemma-2b": 2_506_172_416,
    "gemma-3-1b": 999_885_952,
    "gemma-3-4b": 3_880_263_168,  # the language model
    "llama-2-13b": 13_015_864_320,
    "llama-2-70b": 68_976_648_192,
    "llama-2-7b": 6_738_415_616,
    "llama-3.1-405b": 405_853_388_800,
    "llama-3.1-70b": 70_553_706_496,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.2-1b": 1_235_814_400,
    "llama-3.2-3b": 3_212_749_824,
    "mamba-130m": 129_135_360,
    "mamba-2.8b": 2_768_345_600,
    "mistral-7b": 7_241_732_096,
    "mixtral-8x7b": 46_702_792_704,
    "olmoe-1b-7b": 6_919_161_856,
    "opt-125m": 125_239_296,
    "phi-3-mini": 3_821_079_552,
    "phi-3.5-moe": 41_873_153_344,
    "pythia-160m": 162_322_944,
    "qwen2-0.5b": 494_032_768,
    "qwen2.5-1.5b": 1_543_714_304,
    "qwen2.5-7b": 7_615_616_512,
    "qwen3-0.6b": 596_049_920,
    "qwen3-30b-a3b": 30_532_122_624,
    "qwen3-32b": 32_762_123_264,
    "qwen3-4b": 4_022_468_096,
    "qwen3-8b": 8_190_735_360,
    "smollm-135m": 134_515_008,
    "smollm-360m": 361_821_120,
    "smollm2-1.7b": 1_711_376_384,
    "tinyllama-1.1b": 1_100_048_384,
}

ACTIVE = {  # billions per token, as the model cards say
    "deepseek-v3": 37.0,
    "mixtral-8x7b": 12.9,
    "olmoe-1b-7b": 1.3,
    "phi-3.5-moe": 6.6,
    "qwen3-30b-a3b": 3.3,
}

CACHED = {  # numbers per token, by hand
    "deepseek-v3": 61 * (512 + 64),
    "gemma-2-2b": 26 * 2 * 4 * 256,
    "llama-2-7b": 32 * 2 * 32 * 128,
    "llama-3.1-8b": 32 * 2 * 8 * 128,
    "mamba-130m": 0,
    "olmoe-1b-7b": 16 * 2 * 16 * 128,
    "qwen3-30b-a3b": 48 * 2 * 4 * 128,
}


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_parameters_equal_the_checkpoint(name):
    assert zoo.model(name).parameters == PUBLISHED[name]


@pytest.mark.parametrize("name", sorted(ACTIVE))
def test_active_parameters_agree_with_the_model_card(name):
    assert zoo.model(name).active_parameters / 1e9 == pytest.approx(ACTIVE[name], rel=0.02)


@pytest.mark.parametrize("name", sorted(CACHED))
def test_cache_per_token(name):
    assert zoo.model(name).kv_bytes_per_token(FP16) == 2 * CACHED[name]


def test_every_language_model_of_the_zoo_is_golden():
    assert {name for name in zoo.names() if zoo.model(name).generates} == set(PUBLISHED)


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_token_costs_two_flops_per_active_parameter(name):
    """At no context the FLOPs of a token are 2 N, less the table it only looks up, plus what is elementwise (under 3 %)."""
    model = zoo.model(name)
    work = model.work(Step.of(decode=[0], windows=model.windows), FP16)
    looked_up = 0 if model.tied else model.vocab * model.hidden
    assert sum(work.flops.values()) == pytest.approx(2 * (model.active_parameters - looked_up), rel=0.03)


def test_an_unknown_model_names_the_nearest():
    with pytest.raises(zoo.UnknownModel, match=r"'llama-3\.1-8b'\?"):
        zoo.model("llama-3.1-8B-instruct")
    with pytest.raises(zoo.UnknownModel, match="accepted are bloom-176b, deepseek"):
        zoo.model("")


def test_a_model_is_built_once_and_case_does_not_matter():
    assert zoo.model("Llama-3.1-8B") == zoo.model("llama-3.1-8b")
    assert zoo.model("llama-3.1-8b") is zoo.model("llama-3.1-8b")
