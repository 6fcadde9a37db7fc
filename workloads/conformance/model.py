"""The suite of a model: of the zoo, of a configuration, a GGUF or ONNX file, or built of blocks in Python."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from itertools import pairwise
from math import inf

import numpy as np

from edgewright.hwmodels import KERNELS, Quantity, Work
from edgewright.hwmodels.conformance import Suite, require
from edgewright.workloads.formats import format_named
from edgewright.workloads.model import Model
from edgewright.workloads.step import Step

__all__ = ["MODEL", "check_model"]

_FORMATS = ("fp32", "fp16", "q8_0", "q4_0")
"""From wide to narrow."""

_CLOSE = 1e-9


def check_model(model: Model) -> None:
    """Require of a model all that `MODEL` checks; raises `AssertionError` that names the checks that fail."""
    MODEL.require(model, model.name)


def _names(model: Model) -> None:
    """It has a name and blocks, whose names differ; what a block reads is the model's input or an earlier block."""
    require(model.name, "its name is empty")
    require(model.blocks, "it has no block")
    seen: set[str] = set()
    for index, block in enumerate(model.blocks):
        require(block.name not in seen, f"two blocks are called {block.name!r}")
        seen.add(block.name)
        for source in block.inputs or ():
            require(-1 <= source < index, f"block {index}, {block.name}, reads block {source}")


def _cuts(model: Model) -> None:
    """Cuts are block indices in ascending order, and something crosses each of them."""
    require(list(model.cuts) == sorted(set(model.cuts)), f"its cuts are {model.cuts}")
    for cut in model.cuts:
        require(0 < cut < len(model.blocks), f"it may be cut before block {cut} of {len(model.blocks)}")
        crossing = float(np.max(model.boundary_bytes(cut, _steps(model)[0], format_named("fp16"))))
        require(0 < crossing < inf, f"{crossing} bytes cross its cut before block {cut}")


def _parameters(model: Model) -> None:
    """It has parameters; those of its blocks add up to them (a tied head counts once), and a token passes no more than all."""
    whole, blocks = model.parameters, sum(block.parameters for block in model.blocks)
    require(whole > 0, f"it has {whole} parameters")
    require(blocks == whole if not model.tied else blocks > whole, f"its blocks have {blocks} parameters, it has {whole}")
    require(0 < model.active_parameters <= whole, f"{model.active_parameters} parameters are active, of {whole}")


def _weights(model: Model) -> None:
    """In a narrower format its weights take no more bytes; the parts beside a cut hold what the whole does (a tied head twice)."""
    taken = [model.weight_bytes(format_named(name)) for name in _FORMATS]
    require(min(taken) > 0, f"its weights take {min(taken)} bytes")
    said = ", ".join(f"{nbytes:g} in {name}" for nbytes, name in zip(taken, _FORMATS, strict=True))
    require(taken == sorted(taken, reverse=True), f"bytes of its weights: {said}")
    form = format_named("fp16")
    for cut in model.cuts:
        parts = model.part(form, 0, cut).weight_bytes + model.part(form, cut).weight_bytes
        whole = model.weight_bytes(form)
        require(parts >= whole * (1 - _CLOSE), f"cut before block {cut} its parts hold {parts:g} bytes, the whole {whole:g}")
        require(model.tied or parts <= whole * (1 + _CLOSE), f"cut before block {cut} its parts hold {parts:g} bytes, the whole {whole:g}")


def _work(model: Model) -> None:
    """Every step asks for finite work in kernel classes that are known, and nothing in it is negative."""
    for step in _steps(model):
        work = model.work(step, format_named("fp16"))
        require(work, f"a step of {_said(step)} asks for nothing")
        for term in work:
            require(term.kernel in KERNELS, f"it asks for the kernel class {term.kernel!r}; known are {', '.join(KERNELS)}")
            for figure in ("flops", "weights", "activations", "kv", "launches"):
                amount = np.asarray(getattr(term, figure), dtype=float)
                require(np.all((amount >= 0) & (amount < inf)), f"{figure} of a {term.kernel} in a step of {_said(step)} are {amount}")


def _parts(model: Model) -> None:
    """The work on both sides of a cut is the work of the whole."""
    form = format_named("fp16")
    for step in _steps(model):
        whole = _totals(model.work(step, form))
        for cut in model.cuts:
            parts = _totals(model.part(form, 0, cut)(step) + model.part(form, cut)(step))
            require(np.allclose(parts, whole, rtol=_CLOSE), f"cut before block {cut} a step of {_said(step)} is {parts}, whole {whole}")


def _shards(model: Model) -> None:
    """As one of two equal shards a part holds and computes no less than half, and no more than all, of what it does alone."""
    form = format_named("fp16")
    alone, half = model.part(form), model.part(form, shards=2)
    held, all_of_it = half.weight_bytes, alone.weight_bytes
    require(all_of_it / 2 * (1 - _CLOSE) <= held <= all_of_it * (1 + _CLOSE), f"it holds {held:g} of {all_of_it:g} bytes")
    for step in _steps(model):
        whole, shard = _totals(alone(step))[0], _totals(half(step))[0]
        require(whole / 2 * (1 - _CLOSE) <= shard <= whole * (1 + _CLOSE), f"{shard:g} of {whole:g} operations in a step of {_said(step)}")


def _more(model: Model) -> None:
    """Twice the rows ask for at least as much of everything, and for no more than twice."""
    form = format_named("fp16")
    for few, many in _doubled(model):
        once, twice = _totals(model.work(few, form)), _totals(model.work(many, form))
        ordered = all(a * (1 - _CLOSE) <= b <= 2 * a * (1 + _CLOSE) for a, b in zip(once, twice, strict=True))
        require(ordered, f"{_said(few)} ask for {once}, {_said(many)} for {twice} (operations; bytes of weights, activations, cache)")


def _together(model: Model) -> None:
    """Many points in one call are each point alone; a longer context asks for no less, and caches no less."""
    if not model.generates:
        return
    form, contexts = format_named("fp16"), np.array([1.0, 64.0, 4096.0, 100_000.0])
    many = [np.broadcast_to(amount, contexts.shape) for amount in _amounts(model.decode(3, contexts, format=form))]
    each = [_totals(model.decode(3, context, format=form)) for context in contexts.tolist()]
    for index, alone in enumerate(each):
        found = [float(amount[index]) for amount in many]
        require(np.allclose(found, alone, rtol=_CLOSE), f"at {contexts[index]:g} tokens {found} in one call, {alone} alone")
    for shorter, longer in pairwise(each):
        for name, before, after in zip(_FIGURES, shorter, longer, strict=True):
            require(after >= before * (1 - _CLOSE), f"{name} of a decode step fall from {before:g} to {after:g} as its context grows")
    held = np.asarray(model.part(form).kv_bytes(contexts))
    require(np.all(np.diff(np.broadcast_to(held, contexts.shape)) >= 0), f"contexts of {contexts} tokens cache {held} bytes")


def _value(model: Model) -> None:
    """It is a value: it survives the way to another process, also when it has been used."""
    part = model.part(format_named("fp16"))
    part.affine_work((1, 0, 1, 0))
    for whole in (model, part):
        again = pickle.loads(pickle.dumps(whole))
        require(again == whole and hash(again) == hash(whole), "another model comes back from pickle")


_FIGURES = ("operations", "bytes of weights", "bytes of activations", "bytes of cache")


def _amounts(work: Work) -> list[Quantity]:
    return [sum((getattr(term, figure) for term in work), 0.0) for figure in ("flops", "weights", "activations", "kv")]


def _totals(work: Work) -> list[float]:
    return [float(np.max(np.asarray(amount, dtype=float))) for amount in _amounts(work)]


def _steps(model: Model) -> list[Step]:
    """A prompt, decoding sequences, and both; or two items."""
    if not model.generates:
        return [Step(items=2)]
    windows = model.windows
    return [
        Step.of(prefill=[(0, 48)], windows=windows),
        Step.of(decode=[17, 900, 5000], windows=windows),
        Step.of(decode=[33], prefill=[(64, 20)], windows=windows),
    ]


def _doubled(model: Model) -> Iterator[tuple[Step, Step]]:
    """Steps, and steps of twice their sequences."""
    if not model.generates:
        yield Step(items=2), Step(items=4)
        return
    for decode, prefill in (([100], []), ([], [(0, 30)]), ([100, 4000], [(0, 30)])):
        few, many = (Step.of(decode=decode * times, prefill=prefill * times, windows=model.windows) for times in (1, 2))
        yield few, many


def _said(step: Step) -> str:
    parts = ((step.decode, "decoding sequences"), (step.prefill, "prompt tokens"), (step.items, "items"))
    return " and ".join(f"{count} {what}" for count, what in parts if count)


MODEL: Suite[Model] = Suite(
    "model",
    {
        "names": _names,
        "cuts": _cuts,
        "parameters": _parameters,
        "weights": _weights,
        "work": _work,
        "parts": _parts,
        "shards": _shards,
        "more": _more,
        "many at once": _together,
        "value": _value,
    },
)
"""The checks of a model. How wrong: a model of the wrong shape that counts itself consistently passes."""
