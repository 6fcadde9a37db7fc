"""What each family of Hugging Face architectures means by its configuration keys.

Each reader builds the shape from a `Config`. Sources: the published configurations and the papers of the models. Differences between
families that the keys do not show (biases, extra norms, default of tying) are stated in the reader.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgewright.workloads.hf_config import BadConfig, Config
from edgewright.workloads.model import Model
from edgewright.workloads.moe import MoeShape
from edgewright.workloads.seq2seq import Seq2SeqShape, decoder, encoder
from edgewright.workloads.ssm import MambaShape, mamba
from edgewright.workloads.transformer import AttentionShape, FfnShape, LatentShape, LayerShape, TransformerShape, transformer

__all__ = ["READERS"]


def _hidden(one: Config) -> int:
    return one.number("hidden_size", "n_embed", "d_model")


def _layers(one: Config) -> int:
    return one.number("num_hidden_layers", "n_layer", "n_layers")


def _heads(one: Config) -> int:
    return one.number("num_attention_heads", "n_head", "n_heads")


def _attention(
    one: Config, *, bias: bool = False, out_bias: bool = False, norm: str = "none", window: int | None = None, rope: bool = True
) -> AttentionShape:
    """Grouped attention; `head_dim` is hidden/heads unless given, key-value heads are all heads unless given.

    `norm`: queries and keys are normed per `head` (one vector of head_dim each), over their `full` width, or not.
    """
    heads = _heads(one)
    kv_heads = one.number_or(heads, "num_key_value_heads")
    width = one.number_or(_hidden(one) // heads, "head_dim")
    if heads % kv_heads:
        raise BadConfig(f"{one.name}: num_key_value_heads is {kv_heads}; accepted are divisors of the {heads} heads")
    normed = {"none": 0, "head": 2 * width, "full": (heads + kv_heads) * width}[norm]
    return AttentionShape(
        heads=heads, kv_heads=kv_heads, head_dim=width, window=window, bias=bias, out_bias=out_bias, qk_norm=normed, rope=rope
    )


def _dense(one: Config, attention: AttentionShape, ffn: FfnShape | MoeShape, *, tied: bool = False, norms: int = 1) -> Model:
    """A decoder of equal layers; `norms` is the number of parameters of a norm over the hidden width."""
    return _decoder(one, (LayerShape(attention, ffn),) * _layers(one), tied=tied, norms=norms)


def _decoder(
    one: Config,
    layers: tuple[LayerShape, ...],
    *,
    tied: bool = False,
    norms: int = 1,
    sandwich: bool = False,
    positions: int = 0,
    embed_norm: bool = False,
    head_bias: bool = False,
) -> Model:
    hidden = _hidden(one)
    return transformer(
        TransformerShape(
            name=one.name,
            hidden=hidden,
            vocab=one.number("vocab_size"),
            layers=layers,
            tied=one.flag("tie_word_embeddings", tied),
            norm=norms * hidden,
            sandwich=sandwich,
            positions=positions,
            embed_norm=norms * hidden if embed_norm else 0,
            head_bias=head_bias,
        )
    )


def _gated(one: Config) -> FfnShape:
    return FfnShape(width=one.number("intermediate_size"), bias=one.flag("mlp_bias"))


def _llama(one: Config) -> Model:
    bias = one.flag("attention_bias")
    return _dense(one, _attention(one, bias=bias, out_bias=bias), _gated(one))


def _mistral(one: Config) -> Model:
    return _dense(one, _attention(one, window=_window(one)), _gated(one))


def _qwen2(one: Config) -> Model:
    """Biases on queries, keys and values only, whatever the configuration says."""
    return _qwen(one, bias=True, norm="none")


def _qwen3(one: Config) -> Model:
    return _qwen(one, bias=one.flag("attention_bias"), norm="head")


def _qwen(one: Config, *, bias: bool, norm: str) -> Model:
    """Windows are off unless switched on, and then on the layers from number `max_window_layers` on, which counts from 0."""
    window, first = _switched_window(one), one.count_or(28, "max_window_layers")
    local = _local(one, tuple(index >= first for index in range(_layers(one))))
    shapes = [_attention(one, bias=bias, norm=norm, window=width) for width in (None, window)]
    return _decoder(one, tuple(LayerShape(shapes[each], _gated(one)) for each in local))


def _switched_window(one: Config) -> int | None:
    """The window of families that leave it off unless `use_sliding_window` says otherwise; where nothing is said of its width, 4096."""
    if not one.flag("use_sliding_window"):
        return None
    return _window(one) if "sliding_window" in one.data else 4096


def _window(one: Config) -> int | None:
    return one.number("sliding_window") if one.data.get("sliding_window") is not None else None


def _local(one: Config, default: tuple[bool, ...]) -> tuple[bool, ...]:
    """Which layers have a window: all that `layer_types` does not call `full_attention`, or the default where it is missing."""
    kinds = one.items("layer_types")
    if not kinds:
        return default
    if len(kinds) != _layers(one):
        raise BadConfig(f"{one.name}: layer_types has {len(kinds)} entries; accepted is one for each of the {_layers(one)} layers")
    return tuple(kind != "full_attention" for kind in kinds)


def _phi3(one: Config) -> Model:
    return _dense(one, _attention(one, window=_window(one)), _gated(one))


def _mixtral(one: Config) -> Model:
    """Experts as `num_local_experts`, their width as `intermediate_size`."""
    moe = MoeShape(width=one.number("intermediate_size"), count=one.number("num_local_experts"), top_k=one.number("num_experts_per_tok"))
    return _dense(one, _attention(one, window=_window(one)), moe)


def _phimoe(one: Config) -> Model:
    """Layer norms with offsets, biases on attention and head as the configuration says."""
    bias = one.flag("attention_bias")
    moe = MoeShape(width=one.number("intermediate_size"), count=one.number("num_local_experts"), top_k=one.number("num_experts_per_tok"))
    layer = LayerShape(_attention(one, bias=bias, out_bias=bias, window=_window(one)), moe)
    return _decoder(one, (layer,) * _layers(one), norms=2, head_bias=one.flag("lm_head_bias"))


def _olmoe(one: Config) -> Model:
    """Experts as `num_experts`, their width as `intermediate_size`; queries and keys normed over their full width."""
    moe = MoeShape(width=one.number("intermediate_size"), count=one.number("num_experts"), top_k=one.number("num_experts_per_tok"))
    return _dense(one, _attention(one, norm="full"), moe)


def _qwen3_moe(one: Config) -> Model:
    """Experts as `num_experts`, their width as `moe_intermediate_size`; layers may stay dense, and a window is on all of them."""
    moe = MoeShape(width=one.number("moe_intermediate_size"), count=one.number("num_experts"), top_k=one.number("num_experts_per_tok"))
    attention = _attention(one, bias=one.flag("attention_bias"), norm="head", window=_switched_window(one))
    every = one.number_or(1, "decoder_sparse_step")
    dense = {index for index in range(_layers(one)) if index in one.items("mlp_only_layers") or (index + 1) % every}
    return _decoder(one, tuple(LayerShape(attention, _gated(one) if index in dense else moe) for index in range(_layers(one))))


def _deepseek(one: Config) -> Model:
    """Latent attention; experts as `n_routed_experts`; the first layers dense. V3's router has a correction bias per expert."""
    attention = LatentShape(
        heads=_heads(one),
        q_rank=one.number("q_lora_rank") if one.data.get("q_lora_rank") is not None else None,
        kv_rank=one.number("kv_lora_rank"),
        nope=one.number("qk_nope_head_dim"),
        rope=one.number("qk_rope_head_dim"),
        value=one.number("v_head_dim"),
    )
    width, count, shared = one.number("moe_intermediate_size"), one.number("n_routed_experts"), one.count_or(0, "n_shared_experts")
    moe = MoeShape(
        width=width,
        count=count,
        top_k=one.number("num_experts_per_tok"),
        shared=shared,
        shared_width=shared * width,
        router_bias=count if one.data.get("topk_method") == "noaux_tc" else 0,
    )
    first = one.count_or(0, "first_k_dense_replace")
    return _decoder(one, tuple(LayerShape(attention, _gated(one) if index < first else moe) for index in range(_layers(one))))


def _gemma(one: Config) -> Model:
    return _dense(one, _attention(one), _gated(one), tied=True)


def _gemma2(one: Config) -> Model:
    """Norms before and behind each block; every second layer is local (the first is)."""
    return _alternating(one, 2, "none")


def _gemma3(one: Config) -> Model:
    """As Gemma 2, with normed queries and keys; five local layers before each global one.

    Published configurations leave out what equals the family's defaults.
    """
    given = {key: value for key, value in one.data.items() if value is not None}
    whole = Config({**_GEMMA3, **given}, one.name)
    return _alternating(whole, whole.number("sliding_window_pattern"), "head")


def _alternating(one: Config, period: int, norm: str) -> Model:
    """Layers are local unless `layer_types` says `full_attention`, or, where it is missing, each `period`-th is global."""
    local = _local(one, tuple((index + 1) % period != 0 for index in range(_layers(one))))
    shapes = [_attention(one, norm=norm, window=width) for width in (None, one.number("sliding_window"))]
    return _decoder(one, tuple(LayerShape(shapes[each], _gated(one)) for each in local), tied=True, sandwich=True)


def _bloom(one: Config) -> Model:
    """Biases everywhere, norms with offsets, a norm behind the embedding, no positions but ALiBi, two-matrix FFN of four times the
    width."""
    layer = LayerShape(
        _attention(one, bias=True, out_bias=True, rope=False),
        FfnShape(width=4 * _hidden(one), gated=False, bias=True),
    )
    return _decoder(one, (layer,) * _layers(one), tied=True, norms=2, embed_norm=True)


def _mpt(one: Config) -> Model:
    """No biases unless `no_bias` is off, norms with a scale alone then, no positions but ALiBi, two-matrix FFN."""
    bias = not one.flag("no_bias", True)
    ffn = FfnShape(width=one.number_or(4, "expansion_ratio") * _hidden(one), gated=False, bias=bias)
    layer = LayerShape(_attention(one, bias=bias, out_bias=bias, rope=False), ffn)
    return _decoder(one, (layer,) * _layers(one), tied=True, norms=2 if bias else 1)


def _opt(one: Config) -> Model:
    """Biases everywhere, norms with offsets, learned positions with two spare rows, two-matrix FFN. Projected embeddings are refused."""
    if one.number_or(_hidden(one), "word_embed_proj_dim") != _hidden(one):
        raise BadConfig(f"{one.name}: word_embed_proj_dim differs from hidden_size; accepted are equal widths")
    layer = LayerShape(_attention(one, bias=True, out_bias=True, rope=False), FfnShape(width=one.number("ffn_dim"), gated=False, bias=True))
    return _decoder(one, (layer,) * _layers(one), tied=True, norms=2, positions=one.number("max_position_embeddings") + 2)


def _gpt_neox(one: Config) -> Model:
    """Biases everywhere, norms with offsets, rotary positions, two-matrix FFN."""
    layer = LayerShape(_attention(one, bias=True, out_bias=True), FfnShape(width=one.number("intermediate_size"), gated=False, bias=True))
    return _decoder(one, (layer,) * _layers(one), norms=2)


def _megatron_moe(one: Config) -> Model:
    """A GPT of Megatron-DeepSpeed, by the names of its arguments: every `expert_interval`-th layer has experts of two matrices, whose
    biases are left out; biases elsewhere, norms with offsets, learned positions, tied."""
    moe = MoeShape(width=one.number("ffn_hidden_size"), count=one.number("num_experts"), top_k=one.number_or(1, "topk"), gated=False)
    attention = _attention(one, bias=True, out_bias=True, rope=False)
    dense, sparse = LayerShape(attention, FfnShape(width=moe.width, gated=False, bias=True)), LayerShape(attention, moe)
    period = one.number_or(2, "expert_interval")
    layers = tuple(sparse if index % period == period - 1 else dense for index in range(one.number("num_layers")))
    return _decoder(one, layers, tied=True, norms=2, positions=one.number("max_position_embeddings"))


def _gptj(one: Config) -> Model:
    """No biases in attention, biases in a two-matrix FFN and in the head, norms with offsets, rotary positions.

    GPT-J norms once per layer, in front of both blocks side by side; here each block has a norm of its own (0.004 % of its parameters).
    """
    names = {"hidden_size": "n_embd", "num_hidden_layers": "n_layer", "num_attention_heads": "n_head"}
    named = Config({**one.data, **{name: one.number(own) for name, own in names.items()}}, one.name)
    layer = LayerShape(_attention(named), FfnShape(width=4 * _hidden(named), gated=False, bias=True))
    return _decoder(named, (layer,) * _layers(named), norms=2, head_bias=True)


def _read_me(one: Config) -> Model:
    """A Llama whose feed-forwards are cut into experts of `expert_width`, chosen once for all layers unless `layerwise_router`;
    `permanent`: whether every token passes one more of them."""
    width = one.number("expert_width")
    moe = MoeShape(
        width=width,
        count=one.number("num_experts"),
        top_k=one.number("num_experts_per_tok"),
        shared=1 if one.flag("permanent") else 0,
        shared_width=width if one.flag("permanent") else 0,
        routers=one.flag("layerwise_router"),
    )
    return _dense(one, _attention(one), moe)


def _mamba(one: Config) -> Model:
    hidden = _hidden(one)
    inner = one.number_or(one.number_or(2, "expand") * hidden, "intermediate_size")
    shape = MambaShape(
        name=one.name,
        hidden=hidden,
        inner=inner,
        state=one.number("state_size"),
        kernel=one.number("conv_kernel"),
        rank=one.number_or(-(-hidden // 16), "time_step_rank"),
        layers=_layers(one),
        vocab=one.number("vocab_size"),
        tied=one.flag("tie_word_embeddings", True),
    )
    return mamba(shape)


def _switch(one: Config) -> Model:
    """One half of a Switch Transformer, as `is_decoder` says: a scenario runs encoder and decoder as two services. A decoder looks back at
    `n_positions` tokens. Heads may be narrower together than the hidden width; experts have two matrices without biases."""
    if one.flag("is_encoder_decoder") or "is_decoder" not in one.data:
        raise BadConfig(
            f"{one.name}: an encoder-decoder is two models; accepted is `is_decoder`, true or false, without `is_encoder_decoder`"
        )
    half = "decoder" if one.flag("is_decoder") else "encoder"
    layers = one.number("num_decoder_layers" if half == "decoder" else "num_layers")
    sparse = one.count_or(3, f"num_sparse_{half}_layers")
    moe = MoeShape(width=one.number("d_ff"), count=one.number("num_experts"), top_k=1, gated=False)
    shape = Seq2SeqShape(
        name=one.name,
        hidden=_hidden(one),
        heads=one.number("num_heads"),
        head_dim=one.number("d_kv"),
        width=one.number("d_ff"),
        vocab=one.number("vocab_size"),
        layers=layers,
        experts=moe if sparse else None,
        period=layers // sparse if sparse else layers,
        buckets=one.number_or(32, "relative_attention_num_buckets"),
        source=one.number_or(512, "n_positions"),
    )
    return decoder(shape) if half == "decoder" else encoder(shape)


_GEMMA3 = {
    "head_dim": 256,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "sliding_window": 4096,
    "sliding_window_pattern": 6,
    "vocab_size": 262208,
}

READERS: Mapping[str, Callable[[Config], Model]] = {
    "bloom": _bloom,
    "deepseek_v2": _deepseek,
    "deepseek_v3": _deepseek,
    "gemma": _gemma,
    "gemma2": _gemma2,
    "gemma3_text": _gemma3,
    "gpt_neox": _gpt_neox,
    "gptj": _gptj,
    "llama": _llama,
    "mamba": _mamba,
    "megatron_moe": _megatron_moe,
    "mistral": _mistral,
    "mixtral": _mixtral,
    "mpt": _mpt,
    "olmoe": _olmoe,
    "opt": _opt,
    "phi3": _phi3,
    "phimoe": _phimoe,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "qwen3_moe": _qwen3_moe,
    "read_me": _read_me,
    "switch_transformers": _switch,
}
"""Readers by `model_type`."""
