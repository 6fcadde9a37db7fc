"""Timing whole models in the engines: what has no row yet, until the minutes are spent.

A call that lasts less than some tenths of a second is repeated until its median is known to 2 %, a longer one three times.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.experiments.validation.engines.cases import FORMATS, LLMS, VISION, Llm, LlmCase, VisionCase, llm_cases, vision_cases
from edgewright.experiments.validation.engines.records import TRIES, RowFile
from edgewright.hwmodels.calibration.timing import machine_facts
from edgewright.kernels import Effort
from edgewright.kernels.foreign import CallTime, time_calls

__all__ = ["facts_of", "measure_llms", "measure_operators", "measure_vision", "measure_vision_operators", "timed"]

_LONG = 0.25
_SHORT_EFFORT = Effort(budget=0.8)
_LONG_EFFORT = Effort(confidence=0.75, repeats=3, budget=0.0)
_NODE_EFFORT = Effort(relative=0.03, budget=0.05)
_ROOM = 32
_COPIES = 4


def facts_of(*versions: str) -> dict[str, Any]:
    """What a row's machine is known by: processor, cores, caches, and the engine's version."""
    found = machine_facts(())
    return {"cpu": found["cpu"], "cores": found["cores"], "caches": found["caches"], "versions": list(versions)}


def timed(call: Callable[[], object], threads: int, effort: Effort = _SHORT_EFFORT) -> CallTime:
    """The time of a call, with the effort that its length allows."""
    start = time.perf_counter()
    call()
    long = time.perf_counter() - start > _LONG
    return time_calls(call, effort=_LONG_EFFORT if long else effort, threads=threads)


def measure_llms(path: Path, scratch: Path, minutes: float, tell: Callable[[str], None]) -> bool:
    """Time steps of llama.cpp; model files are written to `scratch` and removed when they are done with. Whether nothing is missing."""
    from edgewright.experiments.validation.engines.gguf_files import write_gguf
    from edgewright.experiments.validation.engines.llama_run import llama_version

    rows, end = RowFile(path, LlmCase, facts_of(llama_version())), time.monotonic() + 60 * minutes
    for tries, model, format in product(range(1, TRIES + 1), LLMS.values(), FORMATS):
        missing = rows.missing(llm_cases(model, format), tries)
        if not missing:
            continue
        file = scratch / f"{model.name}-{format}.gguf"
        if not file.exists():
            write_gguf(file, model, format)
        tell(f"{file.name}: {len(missing)} cases")
        if not _measure_file(rows, model, missing, file, end):
            return False
        file.unlink()
    return True


def _measure_file(rows: RowFile[LlmCase], model: Llm, missing: list[LlmCase], file: Path, end: float) -> bool:
    from edgewright.experiments.validation.engines.llama_run import opened

    room = max(case.tokens for case in missing) + _ROOM
    cores = int(machine_facts(())["cores"])
    with opened(file, max(case.batch for case in missing), room) as engine:
        filled = 0
        for case in sorted(missing, key=lambda each: (each.phase != "prefill", each.tokens, each.batch, each.threads)):
            if time.monotonic() > end:
                return False
            if case.phase == "prefill":
                engine.threads(case.threads)
                rows.keep(case, timed(lambda tokens=case.tokens: engine.prefill(tokens), case.threads))  # type: ignore[misc]
                continue
            engine.threads(cores)
            if case.tokens != filled or case.batch > 1:
                engine.extend(filled if filled and filled <= case.tokens else 0, case.tokens)
                filled = case.tokens
            engine.spread(case.batch)
            engine.threads(case.threads)
            rows.keep(case, timed(lambda case=case: engine.step(case.tokens, case.batch), case.threads))  # type: ignore[misc]
    return True


def measure_operators(path: Path, minutes: float, tell: Callable[[str], None]) -> bool:
    """Time llama.cpp's operators alone, in a shuffled order. Whether nothing is missing."""
    from edgewright.experiments.validation.engines.llama_graph import Op, suite
    from edgewright.experiments.validation.engines.llama_ops import time_operator
    from edgewright.experiments.validation.engines.llama_run import llama_version

    rows, end = RowFile(path, Op, facts_of(llama_version())), time.monotonic() + 60 * minutes
    for tries in range(1, TRIES + 1):
        missing = rows.missing(suite(), tries)
        tell(f"{len(missing)} operators")
        for place in np.random.default_rng(0).permutation(len(missing)):
            if time.monotonic() > end:
                return False
            rows.keep(missing[int(place)], time_operator(missing[int(place)]))
    return True


def measure_vision(path: Path, minutes: float, tell: Callable[[str], None]) -> bool:
    """Time whole vision models in ONNX Runtime and PyTorch. Whether nothing is missing."""
    from edgewright.experiments.validation.engines.vision_nets import program_of
    from edgewright.experiments.validation.engines.vision_onnx import onnx_call
    from edgewright.experiments.validation.engines.vision_torch import torch_call

    rows, end = RowFile(path, VisionCase, facts_of(*_versions())), time.monotonic() + 60 * minutes
    for tries in range(1, TRIES + 1):
        missing = rows.missing(vision_cases(), tries)
        tell(f"{len(missing)} inferences")
        for case in missing:
            if time.monotonic() > end:
                return False
            build = onnx_call if case.engine == "onnxruntime" else torch_call
            rows.keep(case, timed(build(program_of(case.model), case.batch, case.threads), case.threads))
    return True


def measure_vision_operators(path: Path, minutes: float, tell: Callable[[str], None]) -> bool:
    """Time the nodes of vision models alone in both engines. Whether nothing is missing."""
    from edgewright.experiments.validation.engines.vision_nets import Node, VisionOp, vision_operators
    from edgewright.experiments.validation.engines.vision_onnx import onnx_operator
    from edgewright.experiments.validation.engines.vision_torch import torch_operator

    rows, end = RowFile(path, VisionOp, facts_of(*_versions())), time.monotonic() + 60 * minutes
    engines, nodes = ("onnxruntime", "torch"), vision_operators(VISION)
    wanted = [
        VisionOp(engine, node.kind, node.shape, node.act, threads, batch)
        for batch, threads, engine, node in product((1, 4), (1, 2), engines, nodes)
    ]
    for tries in range(1, TRIES + 1):
        missing = rows.missing(wanted, tries)
        tell(f"{len(missing)} operators")
        for op in missing:
            if time.monotonic() > end:
                return False
            build = onnx_operator if op.engine == "onnxruntime" else torch_operator
            call = build(Node(op.kind, op.shape, op.act), op.batch, op.threads, _COPIES)
            found = timed(call, op.threads, _NODE_EFFORT)
            rows.keep(op, replace(found, seconds=found.seconds / _COPIES, low=found.low / _COPIES, high=found.high / _COPIES))
    return True


def _versions() -> tuple[str, ...]:
    return tuple(f"{name} {version(name)}" for name in ("onnxruntime", "torch"))
