"""Reading the same pages in the same order again and again through a cache that cannot hold them all: how many are still there.

N pages are read in a cycle through a cache of C < N pages; a page that is missing takes the place of another. In steady state:

    | the page that goes  | hits per access                                   |
    | least recently used | 0: every page goes just before its turn           |
    | one at random       | h = (1 - 1/C)^(N (1 - h)), the smaller solution   |
    | Belady's choice     | (C - 1) / (N - 1): no policy can do better        |

LRU: Belady, IBM Systems Journal 5(2), 1966; first in first out and CLOCK do as badly. Random: between two turns of a page lie N - 1
others, of which N (1 - h) miss, and each miss spares it with probability 1 - 1/C; for large caches h solves h = exp(-(1 - h) N / C). A test
runs both against caches that really replace.

    C / N = 0.9: LRU 0, random 0.81, Belady 0.90;     0.75: 0, 0.55, 0.75;     0.5: 0, 0.20, 0.50

How accurate is this model? LRU and Belady's are exact. Random's is a mean-field form: within 0.02 of simulated caches of 50 pages and
more. Linux is neither: its two lists with refault distances (mm/workingset.c), and multi-generational LRU, keep a part of a cycle that is
a little too large, as random replacement does, and of others nothing.
"""

from __future__ import annotations

from math import exp, log1p
from typing import Literal, TypeAlias

__all__ = ["Replacement", "cyclic_hits"]

Replacement: TypeAlias = Literal["lru", "random"]


def cyclic_hits(pages: float, cached: float, replacement: Replacement) -> float:
    """The fraction of accesses that hit when `pages` are read in a cycle through a cache of `cached` pages; 1 if all fit.

    Raises `ValueError` for an unknown replacement.
    """
    if replacement not in ("lru", "random"):
        raise ValueError(f"replacement: {replacement!r} is not accepted; accepted are 'lru' and 'random'")
    if cached >= pages:
        return 1.0
    if replacement == "lru" or cached <= 1.0:
        return 0.0
    rate = -pages * log1p(-1.0 / cached)
    hits = 0.0
    for _ in range(200):
        survival = exp(-rate * (1.0 - hits))
        better = hits + (survival - hits) / (1.0 - rate * survival)
        if better - hits <= 1e-15:
            break
        hits = better
    return hits
