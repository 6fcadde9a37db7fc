"""Which cached tokens a model keeps or attends to: the selection algorithms of published systems, in plain NumPy.

The one implementation: KV policies select with these (for quality: how much of the attention falls on what is kept), and the kernels that
time selection (`kv_scores.py`, `kv_tokens.py`) are tested against them. A mask or a set of positions comes from scores, and scores from
attention:

| selection | scores | source |
|---|---|---|
| `heavy_hitters`, `greedy_heavy_hitters` | attention summed over steps | H2O: Zhang et al., NeurIPS 2023 |
| `persistent_importance` | steps in which a token drew less than its even share | Scissorhands: Liu et al., NeurIPS 2023 |
| `gumbel_scores`, then `greedy_masks` | softmax of logits with noise and a temperature | Keyformer: Adnan et al., arXiv 2403.09054 |
| `persistent_positions` | attention of a few selection layers, reused between | TidalDecode: Yang et al., arXiv 2410.05076 |
| `filtered_prompt` | an early layer's attention of the last query, pooled | GemFilter: Shi et al., arXiv 2409.17422 |
| `observed_prompt` | attention of the prompt's last queries, pooled | SnapKV: Li et al., arXiv 2404.14469 |
| `top_pages` | an upper bound of each page's attention | Quest: Tang et al., arXiv 2406.10774 |
| `window` | none | StreamingLLM: Xiao et al., ICLR 2024 |

How wrong: the algorithms are exact as described here; where a paper leaves a choice open (ties, pooling at the ends) it is stated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats: TypeAlias = "NDArray[np.floating]"
    Mask: TypeAlias = "NDArray[np.bool_]"
    Positions: TypeAlias = "NDArray[np.intp]"
else:
    Floats = Mask = Positions = object

__all__ = [
    "Floats",
    "Mask",
    "Positions",
    "filtered_prompt",
    "greedy_heavy_hitters",
    "greedy_masks",
    "gumbel_scores",
    "heavy_hitters",
    "lloyd_step",
    "observed_prompt",
    "persistent_importance",
    "persistent_positions",
    "renormalised",
    "retained",
    "temperature",
    "top",
    "top_pages",
    "window",
]


def top(scores: Floats, count: int) -> Positions:
    """Positions of the `count` highest scores; of equal scores the earlier position comes first."""
    return np.argsort(-scores, kind="stable")[:count]


def retained(attention: Floats, kept: Mask) -> float:
    """The part of the attention that falls on the kept positions: 1 where nothing is lost. Of attention that is zero everywhere: 1."""
    whole = float(attention.sum())
    return float(attention[kept].sum()) / whole if whole else 1.0


def window(context: int, sinks: int, recent: int) -> Mask:
    """The first `sinks` and the last `recent` of `context` positions."""
    positions = np.arange(context)
    return (positions < sinks) | (positions >= context - recent)


def heavy_hitters(scores: Floats, kept: int, recent: int) -> Mask:
    """`kept` positions: the last `recent`, and of those before them the highest scores; ties go to the earlier position."""
    mask = np.zeros(len(scores), dtype=bool)
    older = len(scores) - recent
    mask[older:] = True
    mask[top(scores[:older], kept - recent)] = True
    return mask


def greedy_heavy_hitters(attention: Floats, kept: int, recent: int) -> Mask:
    """As H2O evicts: after each step, of the tokens before the last `recent`, the one that drew the least attention so far.

    Args:
        attention: (steps, context): row s is the attention of token `context - steps + s`, zero behind it. The tokens before the first row
            are the prompt, which is cut to `kept` tokens at once after its last token's attention, row 0 (or the sum of the prompt's rows,
            if that is what the caller puts there).
        kept: tokens that stay; `recent` of them are the latest.

    An evicted token cannot return: what it would have drawn later is lost, so that its score stands still. Of equal scores the later goes.
    """
    last: Mask = greedy_masks(attention, kept, recent, renormalised)[-1]
    return last


def greedy_masks(attention: Floats, kept: int, recent: int, score: Callable[[Floats, Floats, int], Floats]) -> Mask:
    """The tokens that stay after each step, (steps, context), where each step adds to the scores of those that are there and evicts.

    Args:
        attention, kept, recent: as in `greedy_heavy_hitters`.
        score: from a step's whole row, the same with evicted tokens at zero, and the step's number, to what it adds to the scores.
    """
    steps, context = attention.shape
    alive, scores = np.zeros(context, dtype=bool), np.zeros(context)
    found = np.zeros((steps, context), dtype=bool)
    for step in range(steps):
        seen = context - steps + step + 1
        alive[seen - 1 if step else 0 : seen] = True
        scores += score(attention[step], np.where(alive, attention[step], 0.0), step)
        alive[:seen] &= heavy_hitters(np.where(alive[:seen], scores[:seen], -1.0), min(kept, seen), min(recent, seen))
        found[step] = alive
    return found


def renormalised(row: Floats, left: Floats, step: int) -> Floats:
    """What is left of a row of attention, scaled to the row's sum: the softmax over the tokens that are there."""
    return left / left.sum() * row.sum() if left.sum() else left * 0.0


def persistent_importance(attention: Floats, kept: int, recent: int, history: int, seen: Positions | None = None) -> Mask:
    """As Scissorhands drops: of the tokens before the last `recent`, those that were least often important in the last `history` steps.

    A token is important in a step if it draws at least an even share of the attention, 1 / (tokens seen). `attention` is (steps, context),
    `seen` how many of the tokens each step could attend to; None: one more in each step, all in the last. Of equal counts the earlier
    token stays.
    """
    steps, context = attention.shape
    count = np.arange(context - steps + 1, context + 1) if seen is None else seen
    important = attention >= (attention.sum(axis=1) / count)[:, None]
    return heavy_hitters(important[-history:].sum(axis=0).astype(np.float64), kept, recent)


def temperature(step: int, steps: int, first: float = 1.0, last: float = 2.0) -> float:
    """Keyformer's temperature in decode step `step` of `steps`: it rises evenly, 1 to 2 in the paper."""
    return first + step * (last - first) / steps


def gumbel_scores(logits: Floats, noise: Floats, heat: float) -> Floats:
    """What one step adds to Keyformer's scores: softmax((logits + noise) / heat), along the last axis, in fp64.

    The noise is drawn once per position from the standard Gumbel distribution and stays; `noise` 0 and `heat` 1 is H2O's score.
    """
    raised = (logits.astype(np.float64) + noise) / heat
    weights = np.exp(raised - raised.max(axis=-1, keepdims=True))
    made: Floats = weights / weights.sum(axis=-1, keepdims=True)
    return made


def persistent_positions(attention: Floats, count: int, selecting: tuple[int, ...]) -> list[Positions | None]:
    """The positions that each layer attends to, TidalDecode's way; `None`: all of them.

    Layers before the first of `selecting`, and those of `selecting`, attend to all; a selecting layer picks the `count` highest of its
    scores (summed over its heads), and the layers up to the next one attend to these alone, in order of position. `attention` is (layers,
    heads, context).
    """
    found: list[Positions | None] = []
    held: Positions | None = None
    for layer, each in enumerate(attention.sum(axis=1)):
        found.append(None if layer in selecting else held)
        if layer in selecting:
            held = np.sort(top(each, count))
    return found


def filtered_prompt(logits: Floats, count: int, pool: int = 5) -> Positions:
    """The prompt's tokens that GemFilter keeps, in order: the highest products of the last query with the keys of an early layer.

    Products (heads, context) are summed over the heads and averaged over `pool` neighbours (at the ends over those that exist, the sum over
    `pool` all the same, as average pooling with zeros around does). The full model then runs on these tokens alone.
    """
    smooth = np.convolve(logits.sum(axis=0), np.ones(pool) / pool, mode="same")
    return np.sort(top(smooth, count))


def observed_prompt(attention: Floats, count: int, recent: int, pool: int = 5) -> Mask:
    """The prompt's tokens that SnapKV keeps for one head: its last `recent`, and of the others those that its last `recent` queries saw.

    `attention` is (queries, prompt), those last queries; each token's sum is the greatest over its `pool` neighbours (max pooling, so that
    what stands around a token stays with it). `count` tokens in all; ties go to the earlier position.
    """
    summed, reach = attention.sum(axis=0), pool // 2
    padded = np.pad(summed, reach, constant_values=-np.inf)
    smooth = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    return heavy_hitters(smooth, count, recent)


def top_pages(attention: Floats, count: int, page: int) -> Mask:
    """The positions in those pages of `page` tokens whose most attended token is highest, as many whole pages as hold `count` tokens.

    Quest bounds a page's products by the least and greatest of its keys per channel; the greatest true product stands here, which no
    bound ranks better than. Ties go to the earlier page; the last page may be short.
    """
    pages = -(-len(attention) // page)
    best = np.pad(attention, (0, pages * page - len(attention))).reshape(pages, page).max(axis=1)
    chosen = np.zeros(pages, dtype=bool)
    chosen[top(best, -(-count // page))] = True
    mask: Mask = np.repeat(chosen, page)[: len(attention)]
    return mask


def lloyd_step(points: Floats, centres: Floats) -> tuple[Floats, Positions]:
    """One step of k-means (Lloyd, 1982): the mean of the points nearest to each centre, and the centre nearest to each point.

    Of equal distances the earlier centre; a centre without points stays where it is.
    """
    wide, held = points.astype(np.float64), centres.astype(np.float64)
    nearest = np.argmin((held**2).sum(axis=1) - 2 * wide @ held.T, axis=1)
    counts = np.bincount(nearest, minlength=len(centres))
    sums = np.zeros_like(held)
    np.add.at(sums, nearest, wide)
    return np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], held), nearest
