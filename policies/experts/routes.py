"""Routes, counted: what agents read off an integer array `(layers, tokens, top_k)` of expert numbers."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgewright.workloads import ExpertShape, Model

__all__ = ["Counts", "Routes", "checked", "layers_of", "present", "shape_of", "steps_of"]

Routes: TypeAlias = NDArray[np.int64]
"""`(layers, tokens, top_k)`: the mixture-of-experts layers in the model's order; the tokens of consecutive steps one after another."""

Counts: TypeAlias = NDArray[np.float64]


def shape_of(model: Model) -> ExpertShape:
    """The model's experts; raises `ValueError` if it has none."""
    if model.experts is None:
        raise ValueError(f"{model.name} has no experts")
    return model.experts


def layers_of(model: Model) -> tuple[int, ...]:
    """Numbers of the layers with experts; raises `ValueError` for a model without any."""
    return tuple(model.blocks[index].layer for index in shape_of(model).blocks)


def checked(routes: Any, layers: int, experts: int) -> Routes:
    """The routes as an array; raises `ValueError` if they are not those of that many layers and experts."""
    found = np.asarray(routes)
    if found.ndim != 3 or len(found) != layers:
        raise ValueError(f"routes must be of shape (layers = {layers}, tokens, top_k), not {found.shape}")
    if found.size and (int(found.min()) < 0 or int(found.max()) >= experts):
        raise ValueError(f"routes name experts {found.min()} to {found.max()}, and there are {experts}")
    return found


def steps_of(routes: Routes, steps: int) -> Routes:
    """The routes as `(layers, steps, choices per step)`; raises `ValueError` if the tokens do not divide evenly into the steps."""
    layers, tokens, top_k = routes.shape
    if steps < 1 or tokens % steps:
        raise ValueError(f"{tokens} tokens do not divide into {steps} steps of as many each")
    return routes.reshape(layers, steps, tokens // steps * top_k)


def present(routes: Routes, steps: int, experts: int) -> NDArray[np.bool_]:
    """`(layers, steps, experts)`: whether a step touches an expert."""
    chosen = steps_of(routes, steps)
    found = np.zeros((*chosen.shape[:2], experts), dtype=bool)
    np.put_along_axis(found, chosen, True, axis=2)
    return found
