"""Amounts and works that depend on the step, as values: what partitioning plans are made of besides `Part`s."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgewright.hwmodels import Quantity, Work
from edgewright.workloads import Attended, Format, Model, Part, Step

__all__ = ["BoundaryBytes", "OutputBytes", "TokenShare", "share_of"]


@dataclass(frozen=True, slots=True)
class BoundaryBytes:
    """Bytes that cross a cut of the model in one step (`Model.boundary_bytes`), times `ratio`.

    Attributes:
        model, format: of what, and in which widths.
        cut: block index; `len(model.blocks)` is the result (token ids, class scores).
        ratio: bytes sent per byte at the boundary; below 1 for a compressed one.
    """

    model: Model
    cut: int
    format: Format
    ratio: float = 1.0

    def __call__(self, step: Step) -> Quantity:
        return self.ratio * self.model.boundary_bytes(self.cut, step, self.format)


@dataclass(frozen=True, slots=True)
class OutputBytes:
    """Bytes of the activations that a block puts out in one step: the buffer that its shards all-reduce.

    Attributes:
        per_row: bytes per row.
        generates: whether rows are the step's tokens; else its items.
    """

    per_row: float
    generates: bool

    @classmethod
    def of(cls, model: Model, block: int, format: Format) -> OutputBytes:
        """The output of a model's block."""
        return cls(model.blocks[block].output * format.activation_bytes, model.generates)

    def __call__(self, step: Step) -> Quantity:
        return (step.tokens if self.generates else step.items) * self.per_row


@dataclass(frozen=True, slots=True)
class TokenShare:
    """The work of a part on one of `devices` devices that divide a step's sequences among them; `rank` counts from 0.

    Each holds all weights of the part and computes its share of the tokens (`share_of`). The shares add up to the step.
    """

    part: Part
    rank: int
    devices: int

    @property
    def weight_bytes(self) -> float:
        """Bytes of the part's parameters: every device holds all of them."""
        return self.part.weight_bytes

    def split(self) -> tuple[TokenShare, ...]:
        """The share of each block."""
        return tuple(replace(self, part=block) for block in self.part.split())

    def __call__(self, step: Step) -> Work:
        mine = share_of(step, self.rank, self.devices)
        return self.part(mine) if mine.tokens or mine.items else Work()


def share_of(step: Step, rank: int, devices: int) -> Step:
    """The share of a step that falls on device `rank` of `devices`: counts as even as integers allow, earlier ranks get the rest.

    Attention sums are shared in proportion to the sequences (decoding) and tokens (prefill), as if all were of mean length.
    """
    decode, prefill = _even(step.decode, rank, devices), _even(step.prefill, rank, devices)
    decoding = decode / step.decode if step.decode else 0.0
    prefilling = prefill / step.prefill if step.prefill else 0.0
    return replace(
        step,
        decode=decode,
        prefill=prefill,
        emits=_even(step.emits, rank, devices),
        items=_even(step.items, rank, devices),
        full=_part_of(step.full, decoding, prefilling),
        windowed={window: _part_of(sums, decoding, prefilling) for window, sums in step.windowed.items()},
        roles=None if step.roles is None else {role: share_of(seen, rank, devices) for role, seen in step.roles.items()},
    )


def _even(count: int, rank: int, devices: int) -> int:
    return count // devices + (rank < count % devices)


def _part_of(sums: Attended, decoding: float, prefilling: float) -> Attended:
    return Attended(sums.context * decoding, sums.pairs * prefilling, sums.reads * prefilling)
