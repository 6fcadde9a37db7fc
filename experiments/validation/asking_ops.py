"""Rows of single operators, of instruction peaks, and of encoder-decoder transformers, from the shapes that the rows state."""

from __future__ import annotations

import re
from dataclasses import replace

from edgewright.experiments.validation.asking import Ask, Unpredictable, cores_of, device_of, format_of, known, software_of, table
from edgewright.experiments.validation.rows import Row
from edgewright.hwmodels import Term, Work
from edgewright.workloads import Attended, Format, Step, format_named
from edgewright.workloads.model_operators import Elementwise, Linear, Operator
from edgewright.workloads.transformer import CausalAttention
from edgewright.workloads.vision_transformer import BidirectionalAttention

__all__ = ["ask_bert", "ask_op", "ask_peak", "ask_seq2seq", "ask_whisper", "decoder_work", "encoder_work"]

_QUERIES, _KEYS = 128, 64
_WHISPER_PROMPT = 256
_MS = {"ms": 1e3, "us": 1e6, "s": 1.0}


def ask_op(row: Row) -> Ask:
    """What a row of one matrix product, one attention or one operator of a decoder layer asks."""
    device, format = device_of(row), format_of(row)
    base = Ask(device, device.main_engine.name, software_of(row), factor=_per_second(row), model=row.text("model").split(" ")[0])
    product = re.match(r"GEMM m=(\d+) n=(\d+) k=(\d+)", row.text("model"))
    if product:
        m, n, k = (int(each) for each in product.groups())
        return replace(base, work=_of(Linear("gemm", k, n), Step(prefill=m), format), model=f"gemm {n}x{k}")
    if row.text("model").startswith("attention"):
        return replace(base, work=_attention(row, format), model=row.text("model"))
    if "num_tokens" in row.text("notes"):
        return replace(base, work=_layer_operator(row, format), model=row.text("model").split(" ")[0])
    raise Unpredictable(f"operator {row.text('model')!r} is not known")


def _attention(row: Row, format: Format) -> Work:
    shape = [int(each) for each in re.findall(r"=(\d+)", row.text("model"))]
    isl, step = (int(each) for each in re.findall(r"(?:isl|step)=(\d+)", row.text("notes")))
    batch, operator = int(row.number("batch") or 1), CausalAttention(*shape)
    if row.text("phase") == "decode":
        return _resident(_of(operator, Step.of(decode=[isl + step] * batch), format))
    whole = Step.of(prefill=[(step, isl)] * batch)
    tiles = replace(whole, full=whole.full._replace(pairs=float(batch * _tiled_pairs(step, isl))))
    return _resident(_of(operator, tiles, format))


def _tiled_pairs(past: int, new: int) -> int:
    """Query-key pairs that a kernel computes in tiles of 128 queries and 64 keys (Dao, FlashAttention-2, 2023): whole tiles only."""
    tiles = -(-new // _QUERIES)
    return sum(_QUERIES * -(-min(past + new, past + (index + 1) * _QUERIES) // _KEYS) * _KEYS for index in range(tiles))


def _resident(work: Work) -> Work:
    """The work of a benchmark that repeats an operator on the same cache, which then stays on the chip if it fits there."""
    return Work(tuple(replace(term, activations=term.activations + term.kv, kv=0.0) for term in work))


def _layer_operator(row: Row, format: Format) -> Work:
    """An operator of a decoder layer, one of TP shards (Agrawal et al., Vidur, MLSys 2024)."""
    notes = dict(re.findall(r"(\w+)=(\d+)", row.text("notes")))
    tokens, shards, hidden, ffn, heads, kv = (int(notes[name]) for name in ("num_tokens", "TP", "n_embd", "ffn", "heads", "kv"))
    head = hidden // heads
    wide, up = (heads + 2 * max(kv, shards)) * head // shards, ffn // shards
    norm = Elementwise("norm", 3 * hidden, kernels=2)  # a pass for the mean square, and one that scales
    operators: dict[str, Operator] = {
        "attn_pre_proj": Linear("qkv", hidden, wide),
        "attn_post_proj": Linear("o", hidden // shards, hidden),
        "mlp_up_proj": Linear("up", hidden, 2 * up),
        "mlp_down_proj": Linear("down", up, hidden),
        "input_layernorm": norm,
        "post_attention_layernorm": norm,
        "mlp_act": Elementwise("act", 3 * up),
        "attn_rope": Elementwise("rope", 2 * (heads + kv) * head // shards),
        "add": Elementwise("add", 3 * hidden),
    }
    name = row.text("model").split(" ")[-1]
    if name not in operators:
        raise Unpredictable(f"operator {name!r} of a decoder layer is not known")
    return _of(operators[name], Step(prefill=tokens), format)


def ask_peak(row: Row) -> Ask:
    """Instruction peaks: so many times the fp32 multiply-add peak of the cores in use.

    A vector instruction of w bits on elements of b bits does w / b multiply-adds; dot products of four bytes do four times as many as fp32,
    matrix products of bytes (i8mm, VNNI) eight times, of bf16 four times; a separate multiply and add half as many.
    """
    device = device_of(row)
    engine = device.main_engine
    if engine.kind != "cpu" or "fp32" not in engine.peaks:
        raise Unpredictable("the peak of an instruction is of CPUs with an fp32 peak")
    ratios: dict[str, float] = table("peaks")["ratios"]
    found = known(ratios, f"{row.text('engine')} {row.text('model')}")
    cores = cores_of(device, engine.name)
    if found is None or cores is None:
        raise Unpredictable(f"instruction {row.text('model')!r} or the number of cores is not known")
    threads = min(row.number("threads_or_gpus") or cores, cores)
    if cores != int(cores) and threads < int(cores):
        raise Unpredictable("which of the CPU's unlike cores ran is not stated")
    peak = engine.peaks["fp32"] * ratios[found] * threads / cores
    return Ask(device, engine.name, "cpufp", reading="constant", factor=peak, model=row.text("model"))


def ask_bert(row: Row) -> Ask:
    """BERT-like encoders whose shape the model's name states, at a sequence length."""
    device, format = device_of(row), format_of(row)
    shape = re.search(r"\((\d+) layers, (\d+) heads, (\d+)\)", row.text("model"))
    tokens, batch = row.number("prompt_tokens"), int(row.number("batch") or 1)
    if not shape or not tokens:
        raise Unpredictable("the shape or the sequence length is not stated")
    layers, heads, head = (int(each) for each in shape.groups())
    share = 0.5 if "half of max" in row.text("notes") else 1.0
    work = encoder_work(layers, heads * head, heads, 4 * heads * head, max(1, round(tokens * share)), batch, format)
    return Ask(device, device.main_engine.name, software_of(row), work, factor=_per_second(row), model="bert")


def ask_whisper(row: Row) -> Ask:
    """Whisper (Radford et al., 2022): 1500 encoder positions, and a decoder that attends to them."""
    shapes: dict[str, list[int]] = table("peaks")["whisper"]
    name = row.text("model")
    if name not in shapes:
        raise Unpredictable("the model is not known")
    layers, hidden, heads = shapes[name]
    device, format = device_of(row), format_of(row)
    base = Ask(device, device.main_engine.name, software_of(row), factor=_per_second(row), model=name)
    metric = row.text("metric")
    if metric == "encoder_latency":
        return replace(base, work=encoder_work(layers, hidden, heads, 4 * hidden, 1500, 1, format))
    if metric == "prompt_per_token":
        work = decoder_work(layers, hidden, heads, 4 * hidden, 1500, 0, 1, format, vocab=51865, new=_WHISPER_PROMPT)
        return replace(base, work=work, factor=base.factor / _WHISPER_PROMPT)
    batch = {"decoder_latency_per_token": 1, "batch5_decode_per_token": 5}.get(metric)
    if batch is None:
        raise Unpredictable(f"metric {metric!r} of Whisper is not known")
    work = decoder_work(layers, hidden, heads, 4 * hidden, 1500, 128, batch, format, vocab=51865)
    return replace(base, work=work, factor=base.factor / batch)


def ask_seq2seq(row: Row) -> Ask:
    """Encoder-decoder transformers of HAT (Wang et al., ACL 2020), whose mean layer sizes the name states."""
    shape = re.match(
        r"Transformer enc d(\d+) L(\d+) ffn(\d+) h([\d.]+); dec d(\d+) L(\d+) ffn(\d+) h([\d.]+) xh([\d.]+)(?: arb([\d.]+))?",
        row.text("model"),
    )
    if not shape:
        raise Unpredictable("the shape is not stated")
    device, format = device_of(row), format_named("fp32")
    figures = [float(each or 1.0) for each in shape.groups()]
    tokens, batch = int(row.number("prompt_tokens") or 30), int(row.number("batch") or 1)
    engine = device.main_engine
    threads = row.number("threads_or_gpus") if engine.kind == "cpu" else None
    base = Ask(device, engine.name, software_of(row), threads=threads, factor=_per_second(row), model="hat")
    inner = 512
    if row.text("phase") == "encode":
        return replace(base, work=encoder_work(int(figures[1]), int(figures[0]), 8, int(figures[2]), tokens, batch, format, inner=inner))
    hidden, layers, ffn = int(figures[4]), int(figures[5]), int(figures[6])
    step = decoder_work(layers, hidden, 8, ffn, tokens, tokens // 2, batch, format, vocab=32000, inner=inner)
    return replace(base, work=float(tokens) * step, steps=float(tokens))


def encoder_work(layers: int, hidden: int, heads: int, ffn: int, tokens: int, batch: int, format: Format, inner: int | None = None) -> Work:
    """Bidirectional layers over `batch` sequences; `inner` is the width of queries, keys and values (None: `hidden`)."""
    width = inner or hidden
    operators: tuple[Operator, ...] = (
        Elementwise("norms", 8 * hidden, per="items", each=tokens, kernels=2),
        Linear("qkv", hidden, 3 * width, "items", tokens),
        BidirectionalAttention(tokens, heads, width // heads),
        Linear("o", width, hidden, "items", tokens),
        Linear("up", hidden, ffn, "items", tokens),
        Elementwise("act", 0, 2 * ffn, per="items", each=tokens),
        Linear("down", ffn, hidden, "items", tokens),
    )
    return _layers(operators, layers, Step(items=batch), format)


def decoder_work(
    layers: int,
    hidden: int,
    heads: int,
    ffn: int,
    memory: int,
    past: int,
    batch: int,
    format: Format,
    vocab: int,
    inner: int | None = None,
    new: int = 0,
) -> Work:
    """One step of `batch` sequences through layers that attend to their past and to `memory` encoder positions; one vocabulary row each.

    With `new`, the step of a prompt of so many tokens instead of one token.
    """
    width = inner or hidden
    operators: tuple[Operator, ...] = (
        Elementwise("norms", 12 * hidden, per="tokens", kernels=3),
        Linear("qkv", hidden, 3 * width),
        CausalAttention(heads, heads, width // heads),
        Linear("o", width, hidden),
        Linear("xq", hidden, width),
        CausalAttention(heads, heads, width // heads, memory),
        Linear("xo", width, hidden),
        Linear("up", hidden, ffn),
        Linear("down", ffn, hidden),
    )
    step = Step.of(prefill=[(past, new)] * batch) if new else Step.of(decode=[past] * batch)
    across = float(memory * batch)
    step = replace(step, windowed={memory: Attended(0.0, across * new, across) if new else Attended(across)})
    return _layers(operators, layers, step, format) + _of(Linear("head", hidden, vocab, "emits"), step, format)


def _layers(operators: tuple[Operator, ...], layers: int, step: Step, format: Format) -> Work:
    terms: list[Term] = []
    for each in operators:
        terms += each.terms(step, format, 1, tuple(range(layers)))
    return Work(tuple(terms))


def _of(operator: Operator, step: Step, format: Format) -> Work:
    return Work(operator.terms(step, format, 1, (0,)))


def _per_second(row: Row) -> float:
    found = _MS.get(row.text("unit"))
    if found is None or not row.text("metric").endswith(("latency", "_per_token")):
        raise Unpredictable(f"metric {row.text('metric')!r} in {row.text('unit')!r} is not known")
    return found
