"""What an engine computes in one step: the sums over its sequences that work depends on, and nothing else.

A transformer's work is a function of these sums only (tokens through the matrix products, query-key pairs and cached tokens through
attention, rows through the head), so a step never carries its sequences, and a run of decode steps is one `Step` whose `context` is
an array.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from edgewright.hwmodels import Quantity
from edgewright.hwmodels.operator_work import causal_pairs

__all__ = ["Attended", "Step"]


class Attended(NamedTuple):
    """Sums of attention for layers of one window size.

    Attributes:
        context: cached tokens read by the decoding sequences (= their query-key pairs: one query each).
        pairs: query-key pairs of the prefilled tokens (causal).
        reads: cached tokens read by the prefilled chunks, each chunk reading what came before it and itself once.
    """

    context: Quantity = 0.0
    pairs: Quantity = 0.0
    reads: Quantity = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an engine.

    Attributes:
        decode: sequences that decode: each computes one token.
        prefill: prompt tokens computed.
        emits: rows through the language-model head: sequences that yield a token in this step.
        items: one-shot inputs (images, frames) computed; for models that do not generate.
        full: attention sums of layers that attend to the whole context.
        windowed: attention sums by window size, for models with local layers.
        outcomes: amounts that only the run can tell (bytes of experts to load, tokens per expert device), by name; `moe.py` reads
            `moe<layer>.distinct`, the distinct experts that the step touches in a layer.
        roles: the step as operators in a role see it (`kv_operators.py`): layers that attend to other
            tokens, or compute other ones; None where nobody speaks of roles, and all see the step itself.
    """

    decode: int = 0
    prefill: int = 0
    emits: int = 0
    items: int = 0
    full: Attended = field(default_factory=Attended)
    windowed: Mapping[int, Attended] = field(default_factory=dict)
    outcomes: Mapping[str, Quantity] = field(default_factory=dict)
    roles: Mapping[str, Step] | None = None

    @property
    def tokens(self) -> int:
        """Tokens through the matrix products: one per decoding sequence, and the prefilled ones."""
        return self.decode + self.prefill

    def attended(self, window: int | None) -> Attended:
        """The sums for layers that attend to the last `window` tokens, or to all (`None`); nothing where no token is computed."""
        return self.full if window is None or not self.tokens else self.windowed[window]

    def seen_as(self, role: str) -> Step:
        """The step of operators in that role, an empty one if they have nothing to do; the step itself where nobody speaks of roles."""
        return self if self.roles is None else self.roles.get(role, _NOTHING)

    @classmethod
    def of(
        cls,
        decode: Iterable[int] = (),
        prefill: Iterable[tuple[int, int]] = (),
        *,
        windows: Iterable[int] = (),
        emits: int | None = None,
    ) -> Step:
        """The step of sequences that decode at the given contexts (tokens cached, the new one included), and of chunks `(past, new)`.

        `emits` defaults to every decoding sequence and every chunk: pass it when chunks do not finish their prompt.
        """
        contexts, chunks = list(decode), list(prefill)
        return cls(
            decode=len(contexts),
            prefill=sum(new for _, new in chunks),
            emits=len(contexts) + len(chunks) if emits is None else emits,
            full=_attended(contexts, chunks, None),
            windowed={window: _attended(contexts, chunks, window) for window in windows},
        )


_NOTHING = Step()


def _attended(contexts: list[int], chunks: list[tuple[int, int]], window: int | None) -> Attended:
    if window is None:
        pairs = sum(causal_pairs(past, new, past + new) for past, new in chunks)
        return Attended(float(sum(contexts)), float(pairs), float(sum(past + new for past, new in chunks)))
    return Attended(
        float(sum(min(context, window) for context in contexts)),
        float(sum(causal_pairs(past, new, window) for past, new in chunks)),
        float(sum(min(past, window) + new for past, new in chunks)),
    )
