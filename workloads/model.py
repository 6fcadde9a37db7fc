"""Models: blocks of operators, and the tensors between them.

A `Model` is a row of `Block`s; a `Part` is some of them, in a number format, whole or as one of equal shards. A part is a value: it can
be the work of a `Compute` in a plan, and it knows what it holds (weights, cache, state). What a block computes is written in its
operators (`model_operators.py`, `transformer.py`, `moe.py`, `ssm.py`, `vision.py`).

How accurate is this? Parameters, FLOPs and cache sizes are exact for the published shapes (golden tests). Traffic is that of
`model_operators.py`: the least a fused implementation moves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from edgewright.hwmodels import Quantity, Work
from edgewright.workloads.formats import Format, format_named
from edgewright.workloads.model_operators import Linear, Lookup, Operator
from edgewright.workloads.model_tensors import Tensor, lifetimes, numbers_crossing, peak_numbers
from edgewright.workloads.step import Attended, Step
from edgewright.workloads.step_form import Case, traced_work

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Block", "ExpertShape", "Model", "Part"]

_FP16 = format_named("fp16")


@dataclass(frozen=True, slots=True)
class ExpertShape:
    """The experts of a mixture-of-experts model; all its MoE layers are alike.

    Attributes:
        blocks: indices of the MoE blocks in the model; the layer number of each is `model.blocks[i].layer`.
        count: routed experts per layer.
        top_k: routed experts per token.
        shared: experts that every token passes.
        parameters: of one routed expert.
    """

    blocks: tuple[int, ...]
    count: int
    top_k: int
    shared: int
    parameters: int

    def expert_bytes(self, format: Format) -> float:
        """Bytes of one routed expert."""
        return self.parameters * format.weight_bits / 8


@dataclass(frozen=True, slots=True)
class Block:
    """A run of operators that stays together on one device (or one set of shards).

    Attributes:
        name: unique in the model, e.g. `layer3.attention`.
        kind: `embed`, `attention`, `ffn`, `moe`, `ssm`, `head`, `conv`, `pool`, ...
        layer: number of its layer, -1 outside the layers.
        operators: what it computes, in order.
        output: numbers per row (token, or item of a one-shot model) that leave it.
        inputs: indices of the blocks whose outputs it reads, -1 is the model's input; None: the block before.
        internal: most numbers per row that live only inside it.
        in_place: numbers per row of the buffer with which its output may overwrite an input that nobody reads later (0 for elementwise,
            one channel for a depthwise convolution); None: it may not.
        reduces: whether the outputs of its shards must be summed (all-reduced) before the next block.
    """

    name: str
    kind: str
    layer: int
    operators: tuple[Operator, ...]
    output: float
    inputs: tuple[int, ...] | None = None
    internal: float = 0.0
    in_place: float | None = None
    reduces: bool = False

    @property
    def parameters(self) -> int:
        """Parameters of its operators (a tied head counts its matrix here, and not in the model)."""
        return sum(each.parameters for each in self.operators)

    @property
    def kv_numbers_per_token(self) -> float:
        """Numbers cached per token."""
        return sum(each.kv_numbers() for each in self.operators)

    @property
    def state_numbers(self) -> float:
        """Numbers of recurrent state per sequence."""
        return sum(each.state_numbers() for each in self.operators)

    def shardable(self, shards: int) -> bool:
        """Whether it divides into that many equal shards. Norms and routers inside it are repeated on every shard."""
        divided = [each for each in self.operators if each.ways > 1]
        return shards == 1 or (bool(divided) and all(each.divides(shards) for each in divided))

    def weight_bytes(self, format: Format, shards: int = 1) -> float:
        """Bytes of parameters that one of `shards` shards holds."""
        return sum(each.weight_bytes(format, shards) for each in self.operators)

    def work(self, step: Step, format: Format, shards: int = 1) -> Work:
        """What one of `shards` shards of it asks for in a step."""
        return Work(tuple(term for each in self.operators for term in each.terms(step, format, shards, (self.layer,))))


@dataclass(frozen=True)
class Model:
    """A neural network, as hardware sees it. Models of equal blocks are equal; hashing uses the name alone.

    Attributes:
        name: e.g. `llama-3.1-8b`.
        blocks: in order of execution.
        hidden: width of the residual stream (0 where there is none).
        vocab: vocabulary, or classes of a one-shot model.
        generates: whether it yields token after token; otherwise each item is one pass.
        cuts: block indices where a pipeline may cut: the blocks before the cut on one side, those from it on the other.
        tied: whether the head uses the embedding table: the matrix is one, biases are the head's own. A model that says so and has no such
            product in its last block raises `ValueError` when it is counted.
        experts: its routed experts, if it has any.
        input: numbers per row that enter: token ids (1), or the pixels of an image.
        input_bytes, result_bytes: bytes per row entering (a token id: 4; 8-bit pixels: 1 per number) and leaving (a token id; class
            scores).
    """

    name: str
    blocks: tuple[Block, ...]
    hidden: int
    vocab: int
    generates: bool
    cuts: tuple[int, ...]
    tied: bool = False
    experts: ExpertShape | None = None
    input: float = 1.0
    input_bytes: float = 4.0
    result_bytes: float = 4.0

    def __hash__(self) -> int:
        return hash(self.name)

    def __getstate__(self) -> dict[str, Any]:
        """What it is, without what was worked out of it: its parts, which are keys there, know it before it is whole again."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def __repr__(self) -> str:
        return f"<Model {self.name}: {len(self.blocks)} blocks, {self.parameters / 1e6:.4g} M parameters>"

    @cached_property
    def parameters(self) -> int:
        """Parameters; a head tied to the embedding table counts once."""
        shared = 0 if self._tied_matrix is None else self._tied_matrix.parameters
        return sum(each.parameters for each in self.blocks) - shared

    @property
    def active_parameters(self) -> int:
        """Parameters that one token passes: all but the routed experts that were not chosen."""
        if self.experts is None:
            return self.parameters
        idle = len(self.experts.blocks) * (self.experts.count - self.experts.top_k)
        return self.parameters - idle * self.experts.parameters

    @cached_property
    def windows(self) -> tuple[int, ...]:
        """Distinct attention windows, sorted: what `Step.of` must be given. Layers that attend to everything do not count."""
        found = {each.window for block in self.blocks for each in block.operators}
        return tuple(sorted(window for window in found if window is not None))

    @cached_property
    def _tied_matrix(self) -> Linear | None:
        """The product of the head that repeats the embedding table, without its bias, which is its own."""
        if not self.tied:
            return None
        tables = [(each.width, each.vocab) for each in self.blocks[0].operators if isinstance(each, Lookup)]
        for each in self.blocks[-1].operators:
            if isinstance(each, Linear) and (each.inputs, each.outputs) in tables:
                return replace(each, bias=0)
        raise ValueError(f"{self.name}: tied, but its last block has no product with the embedding table of its first")

    # -- parts ---------------------------------------------------------------------------------------------------------------------

    def part(self, format: Format, start: int = 0, stop: int | None = None, shards: int = 1) -> Part:
        """Blocks `start` to `stop` (exclusive; None: to the end) in a format, as one of `shards` equal shards; equal ones are the same.

        Raises `ValueError` for an empty or impossible range.
        """
        end = len(self.blocks) if stop is None else stop
        if not 0 <= start < end <= len(self.blocks) or shards < 1:
            raise ValueError(f"{self.name}: no part [{start}:{end}] in {shards} shards of {len(self.blocks)} blocks")
        key = (format, start, end, shards)
        if key not in self._parts:
            self._parts[key] = Part(self, *key)
        return self._parts[key]

    def weight_bytes(self, format: Format) -> float:
        """Bytes of all parameters."""
        return self.part(format).weight_bytes

    def kv_bytes_per_token(self, format: Format) -> float:
        """Bytes cached per token of context; layers with a window stop growing there (`Part.kv_bytes`)."""
        return self.part(format).kv_bytes_per_token

    def state_bytes(self, format: Format) -> float:
        """Bytes of recurrent state per sequence."""
        return self.part(format).state_bytes

    # -- tensors -------------------------------------------------------------------------------------------------------------------

    @cached_property
    def _tensors(self) -> tuple[Tensor, ...]:
        return lifetimes(self.input, tuple((block.name, block.output, block.inputs) for block in self.blocks))

    def tensors(self) -> tuple[Tensor, ...]:
        """The tensors between blocks, with their lifetimes; sizes are numbers per row (token, or item)."""
        return self._tensors

    def boundary_bytes(self, cut: int, step: Step, format: Format) -> Quantity:
        """Bytes that cross a cut in one step: every tensor born before block `cut` and read from it on.

        Cut 0 is the input, cut `len(blocks)` the result. A generating model sends its hidden state per token, others a map per item.
        """
        if cut == len(self.blocks):
            return self.result_bytes * (step.emits if self.generates else step.items)
        rows = step.tokens if self.generates else step.items
        return rows * (self.input_bytes if cut == 0 else numbers_crossing(self._tensors, cut) * format.activation_bytes)

    def peak_activation_bytes(self, format: Format, *, in_place: bool = True, rows: int = 1) -> float:
        """The most bytes of activations alive at once, over the blocks in order.

        While a block runs, its inputs, everything read later and its output are alive (the two-buffer rule of a plain chain).
        `in_place`: blocks that may do so overwrite an input that nobody reads later.
        """
        found = self._peaks.get(in_place)
        if found is None:
            scratch = tuple((block.internal, block.in_place if in_place else None) for block in self.blocks)
            found = self._peaks[in_place] = peak_numbers(self._tensors, scratch)
        return found * rows * format.activation_bytes

    @cached_property
    def _affine(self) -> dict[tuple[Part, Case], Work | None]:
        """What its parts ask for in steps of a case, found out once for all that are equal (`Part.affine_work`)."""
        return {}

    @cached_property
    def _parts(self) -> dict[tuple[Format, int, int, int], Part]:
        """Its parts that were asked for: what each works out of itself is worked out once, not for every device that has one."""
        return {}

    @cached_property
    def _peaks(self) -> dict[bool, float]:
        """Most numbers per row alive at once, by whether blocks overwrite their inputs, worked out once."""
        return {}

    # -- work ----------------------------------------------------------------------------------------------------------------------

    def work(self, step: Step, format: Format) -> Work:
        """What a step asks for."""
        return self.part(format)(step)

    def prefill(self, tokens: int, batch: int = 1, *, format: Format = _FP16) -> Work:
        """Work of computing `batch` prompts of `tokens` tokens from nothing."""
        return self.work(Step.of(prefill=[(0, tokens)] * batch, windows=self.windows), format)

    def decode(self, batch: int, contexts: float | NDArray[np.float64], *, format: Format = _FP16) -> Work:
        """Work of one decode step of `batch` sequences with `contexts` cached tokens each, the new one included.

        `contexts` may be an array: one priced point per entry.
        """
        step = Step(decode=batch, emits=batch, full=Attended(batch * contexts), windowed=self._windowed(batch, contexts))
        return self.work(step, format)

    def infer(self, items: int = 1, *, format: Format = _FP16) -> Work:
        """Work of `items` inputs of a one-shot model."""
        return self.work(Step(items=items), format)

    def _windowed(self, batch: int, contexts: float | NDArray[np.float64]) -> dict[int, Attended]:
        import numpy as np

        return {window: Attended(batch * np.minimum(contexts, float(window))) for window in self.windows}


@dataclass(frozen=True, repr=False)
class Part:
    """Blocks `start` to `stop` of a model in a number format, whole or one of `shards` equal shards.

    A value: equal parts compare and hash equal. Called with a step, it gives the work of that step. Which shard does not matter: all are
    alike. A block that does not divide into `shards` (`Block.shardable`) is held and computed whole.

    Attributes:
        model, format: of what, and in which widths.
        start, stop: block indices, `stop` exclusive.
        shards: into how many shards its blocks are split.
    """

    model: Model
    format: Format
    start: int
    stop: int
    shards: int = 1

    def __hash__(self) -> int:
        return hash((self.model.name, self.format.name, self.start, self.stop, self.shards))

    def __repr__(self) -> str:
        split = f"/{self.shards}" if self.shards > 1 else ""
        return f"{self.model.name}[{self.start}:{self.stop}]{split} {self.format.name}"

    def __call__(self, step: Step) -> Work:
        format = self.format
        return Work(
            tuple(term for each, shards, layers in self._merged for term in each.terms(step, format, shards, layers)),
        )

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Its blocks, in order."""
        return self.model.blocks[self.start : self.stop]

    def split(self) -> tuple[Part, ...]:
        """One part per block."""
        return tuple(self.model.part(self.format, index, index + 1, self.shards) for index in range(self.start, self.stop))

    @cached_property
    def weight_bytes(self) -> float:
        """Bytes of parameters; a head tied to an embedding table that is here as well takes nothing."""
        total = sum(each.weight_bytes(self.format, shards) for each, shards in self._operators())
        matrix = self.model._tied_matrix
        if matrix is None or self.start > 0 or self.stop < len(self.model.blocks):
            return total
        return total - matrix.weight_bytes(self.format, self._shards_of(self.model.blocks[-1]))

    @cached_property
    def kv_bytes_per_token(self) -> float:
        """Bytes cached per token of context, windows ignored."""
        return self.format.kv_bytes * sum(each.kv_numbers(shards) for each, shards in self._operators())

    def kv_bytes(self, context: Quantity) -> Quantity:
        """Bytes cached for one sequence of `context` tokens (a number or an array): layers with a window keep at most that."""
        import numpy as np

        total: Quantity = 0.0
        for window, numbers in self._kv_by_window.items():
            kept = context if window is None else np.minimum(context, float(window))
            total = total + kept * (numbers * self.format.kv_bytes)
        return total

    @cached_property
    def state_bytes(self) -> float:
        """Bytes of recurrent state per sequence."""
        return self.format.activation_bytes * sum(each.state_numbers(shards) for each, shards in self._operators())

    @cached_property
    def signature(self) -> tuple[object, ...]:
        """What its work depends on: parts of equal signature ask for equal work in every step, so one price serves all of them."""
        return (self.format, *((each, shards, layers if each.routed else len(layers)) for each, shards, layers in self._merged))

    def affine_work(self, case: Case) -> Work | None:
        """Its work in steps of a case, with `Affine` quantities (`step_form.traced_work`); None if it is not affine in their sums."""
        known, key = self.model._affine, (self, case)
        if key not in known:
            routed = any(each.routed for each, *_ in self._merged)
            known[key] = None if routed else traced_work(self, case, self.model.windows)
        return known[key]

    @cached_property
    def _kv_by_window(self) -> dict[int | None, float]:
        totals: dict[int | None, float] = {}
        for each, shards in self._operators():
            numbers = each.kv_numbers(shards)
            if numbers:
                totals[each.window] = totals.get(each.window, 0.0) + numbers
        return totals

    @cached_property
    def _merged(self) -> tuple[tuple[Operator, int, tuple[int, ...]], ...]:
        """Equal operators together: the operator, into how many shards it is split, and the layers that have it."""
        layers: dict[tuple[Operator, int], list[int]] = {}
        for block in self.blocks:
            for each in block.operators:
                layers.setdefault((each, self._shards_of(block)), []).append(block.layer)
        return tuple((each, shards, tuple(where)) for (each, shards), where in layers.items())

    def _operators(self) -> Iterator[tuple[Operator, int]]:
        for block in self.blocks:
            shards = self._shards_of(block)
            for each in block.operators:
                yield each, shards

    def _shards_of(self, block: Block) -> int:
        return self.shards if block.shardable(self.shards) else 1
