"""YOLOv8n, a detector: backbone, two-way feature pyramid and decoupled heads at strides 8, 16 and 32.

Shapes follow Ultralytics' published yolov8.yaml (width 0.25, depth 0.33): 3 157 200 parameters (16 of them the fixed taps that decode
boxes, which are not counted here), 8.7 GFLOP at 640 x 640.

How accurate is this? Boxes are decoded and suppressed on the host; that time is not counted (it is under a per cent of the network's work).
"""

from __future__ import annotations

from edgewright.workloads.model import Model
from edgewright.workloads.vision import Layer, Shape, network

__all__ = ["yolov8"]

_BINS = 16
_BOXES = 300


def yolov8(image: int = 640, classes: int = 80) -> Model:
    """YOLOv8n for square images; what leaves is at most 300 boxes of six 32-bit numbers."""
    return network("yolov8n", Shape(3, image, image), [*_backbone(), *_pyramid(), *_heads(classes)], result_bytes=_BOXES * 6 * 4.0)


def _backbone() -> list[Layer]:
    rows = [_conv("p1", 16, 3, 2), _conv("p2", 32, 3, 2), *_c2f("c2", "p2", 32, 1, shortcut=True)]
    rows += [_conv("p3", 64, 3, 2), *_c2f("c3", "p3", 64, 2, shortcut=True)]
    rows += [_conv("p4", 128, 3, 2), *_c2f("c4", "p4", 128, 2, shortcut=True)]
    rows += [_conv("p5", 256, 3, 2), *_c2f("c5", "p5", 256, 1, shortcut=True)]
    return rows + _sppf()


def _sppf() -> list[Layer]:
    """Three pools in a row over half the channels, all four maps joined."""
    pools = [Layer(name=f"sppf.pool{index}", op="pool", kernel=(5, 5)) for index in (1, 2, 3)]
    joined = Layer(name="sppf.concat", op="concat", inputs=("sppf.in", "sppf.pool1", "sppf.pool2", "sppf.pool3"))
    return [_conv("sppf.in", 128, 1), *pools, joined, _conv("sppf", 256, 1)]


def _pyramid() -> list[Layer]:
    rows: list[Layer] = []
    for label, source, skip, channels in (("up4", "sppf", "c4", 128), ("n3", "up4", "c3", 64)):
        rows += [
            Layer(name=f"{label}.upsample", op="upsample", stride=2, inputs=(source,)),
            Layer(name=f"{label}.join", op="concat", inputs=(f"{label}.upsample", skip)),
            *_c2f(label, f"{label}.join", channels, 1, shortcut=False),
        ]
    for label, source, skip, channels in (("n4", "n3", "up4", 64), ("n5", "n4", "sppf", 128)):
        rows += [
            _conv(f"{label}.down", channels, 3, 2, inputs=(source,)),
            Layer(name=f"{label}.join", op="concat", inputs=(f"{label}.down", skip)),
            *_c2f(label, f"{label}.join", 2 * channels, 1, shortcut=False),
        ]
    return rows


def _heads(classes: int) -> list[Layer]:
    rows: list[Layer] = []
    for source in ("n3", "n4", "n5"):
        for branch, width, leaving in (("box", 64, 4 * _BINS), ("class", 80, classes)):
            label = f"{source}.{branch}"
            rows += [
                _conv(f"{label}1", width, 3, inputs=(source,)),
                _conv(f"{label}2", width, 3),
                Layer(name=f"{label}.out", op="conv", channels=leaving, vectors=1),
            ]
    return rows


def _c2f(label: str, source: str, channels: int, depth: int, *, shortcut: bool) -> list[Layer]:
    """Cross-stage block: one product, half of it through `depth` bottlenecks, everything joined and projected."""
    half = channels // 2
    rows = [_conv(f"{label}.in", channels, 1, inputs=(source,)), Layer(name=f"{label}.half", op="split", channels=half)]
    parts, last = [f"{label}.in"], f"{label}.half"
    for index in range(depth):
        name = f"{label}.m{index + 1}"
        rows += [_conv(f"{name}.a", half, 3, inputs=(last,)), _conv(f"{name}.b", half, 3)]
        if shortcut:
            rows.append(Layer(name=f"{name}.add", op="add", inputs=(f"{name}.b", last)))
        last = rows[-1].name
        parts.append(last)
    return [*rows, Layer(name=f"{label}.concat", op="concat", inputs=tuple(parts)), _conv(label, channels, 1)]


def _conv(name: str, channels: int, kernel: int, stride: int = 1, inputs: tuple[str, ...] = ()) -> Layer:
    return Layer(name=name, op="conv", inputs=inputs, channels=channels, kernel=(kernel, kernel), stride=stride, vectors=2)
