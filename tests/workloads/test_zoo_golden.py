"""Shapes against published figures: parameters to the last one, active parameters, cache per token.

Every figure stands beside its source. `index`: the total of the safetensors index of that checkpoint, which its model card shows rounded;
`card`, `paper`: printed there. All of these were recalled, none was fetched: a figure that our count meets to the last parameter is hardly
recalled wrong, and a rounded one is only as good as its rounding. `arithmetic`: from the configuration, by hand, in this file.
"""

import pytest

from edgewright.workloads import Step, format_named, zoo

FP16 = format_named("fp16")

PUBLISHED = {  # parameters, tied tensors once
    "bloom-176b": (176_247_271_424, "card of bigscience/bloom; recalled"),
    "deepseek-v2-lite": (15_706_484_224, "index of deepseek-ai/DeepSeek-V2-Lite; recalled"),
    "deepseek-v3": (
        671_026_419_200,
        "arithmetic below; the paper (DeepSeek-V3, 2024; recalled) rounds to 671 B without multi-token prediction",
    ),
    "gemma-2-2b": (2_614_341_888, "index of google/gemma-2-2b; recalled"),
    "gemma-2-9b": (9_241_705_984, "index of google/gemma-2-9b; recalled"),
    "gemma-2b": (2_506_172_416, "index of google/gemma-2b; recalled"),
    "gemma-3-1b": (999_885_952, "index of google/gemma-3-1b-pt; recalled"),
    "gemma-3-4b": (3_880_263_168, "index of google/gemma-3-4b-pt, its language model alone; recalled"),
    "gpt-j-6b": (
        6_050_882_784 + 28 * 2 * 4096,
        "index of EleutherAI/gpt-j-6b, recalled, and a second norm per layer, which the model here has and GPT-J has not",
    ),
    "gpt-neox-20b": (20_554_567_680, "index of EleutherAI/gpt-neox-20b; recalled"),
    **{
        f"gpt-350m-moe-{experts}{suffix}": (
            50304 * 1024
            + 2048 * 1024
            + 2 * 1024  # table, positions, last norm
            + 24 * (4 * 1024 * 1025 + 4 * 1024)  # attention with biases, two norms with offsets
            + dense * (8 * 1024 * 1024 + 5 * 1024)
            + (24 - dense) * (experts * 8 * 1024 * 1024 + experts * 1024),
            "arithmetic; sizes of GPT-3 350M (Brown et al., 2020)",
        )
        for experts in (16, 32, 64)
        for suffix, dense in (("", 0), ("-alternating", 12))
    },
    **{
        name: (2_409_893_888 + 32 * (experts * 3 * 4096 * 5504 + routers), "arithmetic: Llama-2-7B less its feed-forwards, and experts")
        for name, experts, routers in (("read-me", 8, 0), ("read-me-layerwise", 8, 8 * 4096), ("read-me-permanent", 9, 0))
    },
    "llama-2-13b": (13_015_864_320, "index of meta-llama/Llama-2-13b-hf; recalled"),
    "llama-2-70b": (68_976_648_192, "index of meta-llama/Llama-2-70b-hf; recalled"),
    "llama-2-7b": (6_738_415_616, "index of meta-llama/Llama-2-7b-hf; recalled"),
    "llama-30b": (32_528_943_616, "index of huggyllama/llama-30b; recalled"),
    "llama-65b": (65_285_660_672, "index of huggyllama/llama-65b; recalled"),
    "llama-3.1-405b": (405_853_388_800, "index of meta-llama/Llama-3.1-405B; recalled"),
    "llama-3.1-70b": (70_553_706_496, "index of meta-llama/Llama-3.1-70B; recalled"),
    "llama-3.1-8b": (8_030_261_248, "index of meta-llama/Llama-3.1-8B; recalled; arithmetic below"),
    "llama-3.2-1b": (1_235_814_400, "index of meta-llama/Llama-3.2-1B; recalled"),
    "llama-3.2-3b": (3_212_749_824, "index of meta-llama/Llama-3.2-3B; recalled"),
    "mamba-130m": (129_135_360, "index of state-spaces/mamba-130m-hf; recalled"),
    "mamba-2.8b": (2_768_345_600, "index of state-spaces/mamba-2.8b-hf; recalled"),
    "mistral-7b": (7_241_732_096, "index of mistralai/Mistral-7B-v0.1; recalled"),
    "mixtral-8x7b": (46_702_792_704, "index of mistralai/Mixtral-8x7B-v0.1; recalled"),
    "mpt-7b": (6_649_286_656, "card of mosaicml/mpt-7b (6.7 B); arithmetic: 50432 x 4096 + 32 x (12 x 4096^2 + 2 x 4096) + 4096"),
    "olmoe-1b-7b": (6_919_161_856, "index of allenai/OLMoE-1B-7B-0924; recalled"),
    "open-llama-3b": (3_426_473_600, "index of openlm-research/open_llama_3b; recalled"),
    "opt-30b": (29_974_540_288, "index of facebook/opt-30b; recalled"),
    "opt-125m": (125_239_296, "checkpoint facebook/opt-125m; recalled"),
    "opt-13b": (12_853_473_280, "checkpoint facebook/opt-13b; recalled"),
    "opt-6.7b": (6_658_473_984, "checkpoint facebook/opt-6.7b; recalled"),
    "opt-66b": (65_719_701_504, "arithmetic: (50272 + 2050) x 9216 + 64 x (12 x 9216^2 + 13 x 9216) + 2 x 9216"),
    "phi-3-mini": (3_821_079_552, "index of microsoft/Phi-3-mini-4k-instruct; recalled"),
    "phi-3.5-moe": (41_873_153_344, "index of microsoft/Phi-3.5-MoE-instruct; recalled"),
    "pythia-160m": (162_322_944, "paper (Biderman et al., Pythia, ICML 2023); recalled"),
    "qwen2-0.5b": (494_032_768, "index of Qwen/Qwen2-0.5B; recalled"),
    "qwen2.5-1.5b": (1_543_714_304, "index of Qwen/Qwen2.5-1.5B; recalled"),
    "qwen2.5-7b": (7_615_616_512, "index of Qwen/Qwen2.5-7B; recalled"),
    "qwen3-0.6b": (596_049_920, "index of Qwen/Qwen3-0.6B, its tied head once; recalled"),
    "qwen3-30b-a3b": (30_532_122_624, "index of Qwen/Qwen3-30B-A3B; recalled; arithmetic below"),
    "qwen3-32b": (32_762_123_264, "index of Qwen/Qwen3-32B; recalled"),
    "qwen3-4b": (4_022_468_096, "index of Qwen/Qwen3-4B; recalled"),
    "qwen3-8b": (8_190_735_360, "index of Qwen/Qwen3-8B; recalled"),
    "smollm-135m": (134_515_008, "index of HuggingFaceTB/SmolLM-135M; recalled"),
    "smollm-360m": (361_821_120, "index of HuggingFaceTB/SmolLM-360M; recalled"),
    "smollm2-1.7b": (1_711_376_384, "index of HuggingFaceTB/SmolLM2-1.7B; recalled"),
    "tinyllama-1.1b": (1_100_048_384, "index of TinyLlama/TinyLlama-1.1B-Chat-v1.0; recalled"),
    "yi-34b": (34_388_917_248, "index of 01-ai/Yi-34B; recalled"),
}

ACTIVE = {  # billions per token
    "deepseek-v3": (37.0, "paper (DeepSeek-V3, 2024); recalled"),
    "mixtral-8x7b": (12.9, "announcement by its authors, December 2023 (the paper rounds to 13); recalled"),
    "olmoe-1b-7b": (1.3, "paper (Muennighoff et al., OLMoE, 2024); recalled"),
    "phi-3.5-moe": (6.6, "card of microsoft/Phi-3.5-MoE-instruct; recalled"),
    "qwen3-30b-a3b": (3.3, "card of Qwen/Qwen3-30B-A3B; recalled"),
}

HALVES = {  # Fedus et al., Switch Transformers, JMLR 2022: width, width of the feed-forward, heads of 64, layers, experts of every second
    f"switch-{size}-{experts}-{half}": (*shape, experts)
    for size, shape, counts in (("base", (768, 3072, 12, 12), (8, 16, 32, 64, 128)), ("large", (1024, 4096, 16, 24), (128,)))
    for experts in counts
    for half in ("encoder", "decoder")
}

CACHED = {  # numbers per token: arithmetic, layers x (keys and values) x key-value heads x numbers per head
    "deepseek-v3": 61 * (512 + 64),  # the latent and the shared rotary key, instead of heads
    "gemma-2-2b": 26 * 2 * 4 * 256,
    "llama-2-7b": 32 * 2 * 32 * 128,
    "llama-3.1-8b": 32 * 2 * 8 * 128,
    "mamba-130m": 0,
    "olmoe-1b-7b": 16 * 2 * 16 * 128,
    "qwen3-30b-a3b": 48 * 2 * 4 * 128,
}


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_parameters_equal_the_checkpoint(name):
    parameters, source = PUBLISHED[name]
    assert zoo.model(name).parameters == parameters, source


@pytest.mark.parametrize("name", sorted(ACTIVE))
def test_active_parameters_agree_with_what_is_printed(name):
    billions, source = ACTIVE[name]
    assert zoo.model(name).active_parameters / 1e9 == pytest.approx(billions, rel=0.02), source


@pytest.mark.parametrize("name", sorted(CACHED))
def test_cache_per_token(name):
    assert zoo.model(name).kv_bytes_per_token(FP16) == 2 * CACHED[name]


def test_llama_by_hand():
    """Llama-3.1-8B: 32 layers of width 4096, 32 query heads on 8 key-value heads of 128, SwiGLU of 14336, 128256 rows, untied."""
    attention = 4096 * (32 + 8 + 8) * 128 + 32 * 128 * 4096
    layer = attention + 3 * 4096 * 14336 + 2 * 4096
    by_hand = 2 * 128256 * 4096 + 32 * layer + 4096
    model = zoo.model("llama-3.1-8b")
    assert model.parameters == by_hand == PUBLISHED["llama-3.1-8b"][0]
    assert model.kv_bytes_per_token(FP16) == 32 * (8 + 8) * 128 * 2 == 128 * 1024


def test_qwen_mixture_by_hand():
    """Qwen3-30B-A3B: 48 layers of width 2048, 32 query heads on 4 of 128 with normed queries and keys, 8 of 128 experts of 768."""
    attention = 2048 * (32 + 4 + 4) * 128 + 32 * 128 * 2048 + 2 * 128
    router, expert = 2048 * 128, 3 * 2048 * 768
    rest = 2 * 151936 * 2048 + 2048 + 48 * (attention + router + 2 * 2048)
    model = zoo.model("qwen3-30b-a3b")
    assert model.parameters == rest + 48 * 128 * expert == PUBLISHED["qwen3-30b-a3b"][0]
    assert model.active_parameters == rest + 48 * 8 * expert
    assert model.kv_bytes_per_token(FP16) == 48 * (4 + 4) * 128 * 2 == 96 * 1024


def test_latent_mixture_by_hand():
    """DeepSeek-V3: 61 layers of width 7168; latent of 512 and rotary key of 64, queries through rank 1536, 128 heads of 128 + 64 and 128.

    Three layers are dense with 18432; 58 have 8 of 256 experts of 2048, a shared one, and a router with a correction per expert.
    """
    queries = 7168 * 1536 + 1536 + 1536 * 128 * (128 + 64)
    latents = 7168 * (512 + 64) + 512 + 512 * 128 * (128 + 128)
    layer = queries + latents + 128 * 128 * 7168 + 2 * 7168
    expert, router = 3 * 7168 * 2048, 7168 * 256 + 256
    rest = 2 * 129280 * 7168 + 7168 + 61 * layer + 3 * (3 * 7168 * 18432) + 58 * (router + expert)
    model = zoo.model("deepseek-v3")
    assert model.parameters == rest + 58 * 256 * expert == PUBLISHED["deepseek-v3"][0]
    assert model.active_parameters == rest + 58 * 8 * expert
    assert model.blocks[1].kv_numbers_per_token == 512 + 64 == 576
    assert model.kv_bytes_per_token(FP16) == 61 * 576 * 2 == 70_272


@pytest.mark.parametrize("name", sorted(HALVES))
def test_half_of_an_encoder_decoder_by_hand(name):
    """Table and position biases; per layer attention (a decoder's twice), feed-forward of two matrices or, in every second layer, experts
    of two and a router, each with a norm; the last norm. The head is the table."""
    hidden, width, heads, layers, experts = HALVES[name]
    attentions = 2 if name.endswith("decoder") else 1
    ffn = 2 * hidden * width
    by_hand = 32128 * hidden + 32 * heads + layers * (attentions * (4 * hidden * heads * 64 + hidden) + hidden) + hidden
    by_hand += layers // 2 * ffn + layers // 2 * (experts * ffn + hidden * experts)
    assert zoo.model(name).parameters == by_hand


def test_every_language_model_of_the_zoo_is_golden():
    assert {name for name in zoo.names() if zoo.model(name).generates} == {*PUBLISHED, *HALVES}


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
