"""Published convolutional networks as layer tables.

Sources: ResNet (He et al., CVPR 2016), VGG (Simonyan and Zisserman, ICLR 2015), MobileNet (Howard et al., 2017), MobileNetV2 (Sandler et
al., CVPR 2018), EfficientNet (Tan and Le, ICML 2019), DenseNet (Huang et al., CVPR 2017); the four networks of MLPerf Tiny (Banbury et al.,
NeurIPS 2021), whose Keras counts have four parameters per batch-norm channel and a bias besides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgewright.workloads.model import Model
from edgewright.workloads.vision import Layer, Shape, network
from edgewright.workloads.vision_detector import yolov8
from edgewright.workloads.vision_transformer import vit

__all__ = ["NETS", "autoencoder", "densenet", "ds_cnn", "efficientnet_b0", "mobilenet_v1", "mobilenet_v2", "resnet", "resnet8", "vgg11"]

_IMAGENET = Shape(3, 224, 224)
_NORM, _KERAS = 2, 5


def resnet(name: str, depths: tuple[int, int, int, int], *, bottleneck: bool, image: int = 224) -> Model:
    """A ResNet of four stages; a stage's first block halves the map (but in the first stage) and has a projected shortcut where shapes
    change."""
    rows = [_conv("stem", 64, 7, 2), Layer(name="pool", op="pool", kernel=(3, 3), stride=2)]
    channels, last = 64, "pool"
    for stage, depth in enumerate(depths):
        width = 64 * 2**stage
        leaving = 4 * width if bottleneck else width
        for index in range(depth):
            label, stride = f"s{stage + 1}b{index + 1}", 2 if stage and not index else 1
            rows += _residual(label, last, width, stride, bottleneck)
            if stride > 1 or channels != leaving:
                rows.append(_conv(f"{label}.shortcut", leaving, 1, stride, inputs=(last,)))
                last = f"{label}.shortcut"
            rows.append(Layer(name=f"{label}.add", op="add", inputs=(f"{label}.out", last)))
            channels, last = leaving, f"{label}.add"
    rows += [Layer(name="gap", op="global_pool"), Layer(name="fc", op="fc", channels=1000, vectors=1)]
    return network(name, Shape(3, image, image), rows)


def _residual(label: str, source: str, width: int, stride: int, bottleneck: bool) -> list[Layer]:
    if not bottleneck:
        return [_conv(f"{label}.a", width, 3, stride, inputs=(source,)), _conv(f"{label}.out", width, 3)]
    return [
        _conv(f"{label}.a", width, 1, inputs=(source,)),
        _conv(f"{label}.b", width, 3, stride),
        _conv(f"{label}.out", 4 * width, 1),
    ]


def densenet(name: str, depths: tuple[int, int, int, int], growth: int = 32) -> Model:
    """A DenseNet of four blocks: each layer adds `growth` channels to those before, by a 1 x 1 convolution to four times as many and a
    3 x 3 one, each behind its norm; between blocks half of the channels go on at half the size."""
    rows = [_conv("stem", 2 * growth, 7, 2), Layer(name="pool", op="pool", kernel=(3, 3), stride=2)]
    channels, last = 2 * growth, "pool"
    for stage, depth in enumerate(depths):
        for index in range(depth):
            label = f"d{stage + 1}l{index + 1}"
            rows += [
                Layer(name=f"{label}.norm", op="norm", inputs=(last,), vectors=_NORM),
                _conv(f"{label}.a", 4 * growth, 1),
                _conv(f"{label}.out", growth, 3, vectors=0),
                Layer(name=f"{label}.concat", op="concat", inputs=(last, f"{label}.out")),
            ]
            channels, last = channels + growth, f"{label}.concat"
        rows.append(Layer(name=f"d{stage + 1}.norm", op="norm", inputs=(last,), vectors=_NORM))
        if stage < 3:
            channels, last = channels // 2, f"t{stage + 1}.pool"
            rows += [_conv(f"t{stage + 1}", channels, 1, vectors=0), Layer(name=last, op="pool", kernel=(2, 2), stride=2)]
    rows += [Layer(name="gap", op="global_pool"), Layer(name="fc", op="fc", channels=1000, vectors=1)]
    return network(name, _IMAGENET, rows)


def vgg11() -> Model:
    """VGG-11 (configuration A)."""
    rows: list[Layer] = []
    for stage, widths in enumerate(((64,), (128,), (256, 256), (512, 512), (512, 512))):
        rows += [_conv(f"s{stage + 1}c{index + 1}", width, 3, vectors=1) for index, width in enumerate(widths)]
        rows.append(Layer(name=f"pool{stage + 1}", op="pool", kernel=(2, 2), stride=2))
    rows += [Layer(name=f"fc{index + 1}", op="fc", channels=width, vectors=1) for index, width in enumerate((4096, 4096, 1000))]
    return network("vgg-11", _IMAGENET, rows)


def mobilenet_v1(name: str, *, width: float = 1.0, image: int = 224, classes: int = 1000, norm: int = _NORM) -> Model:
    """MobileNet: a strided convolution, then thirteen pairs of depthwise and pointwise convolutions."""
    pairs = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
    rows = [_conv("stem", int(32 * width), 3, 2, vectors=norm)]
    for index, (channels, stride) in enumerate(pairs):
        rows += [_depthwise(f"b{index + 1}.dw", 3, stride, norm), _conv(f"b{index + 1}.pw", int(channels * width), 1, vectors=norm)]
    rows += [Layer(name="gap", op="global_pool"), Layer(name="fc", op="fc", channels=classes, vectors=1)]
    return network(name, Shape(3, image, image), rows)


def mobilenet_v2(name: str, *, width: float = 1.0, image: int = 224, classes: int = 1000) -> Model:
    """MobileNetV2: inverted residuals (expand, depthwise, project), added where stride and channels allow."""
    stages = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    channels = _rounded(32 * width)
    rows = [_conv("stem", channels, 3, 2)]
    for stage, (expand, plain, depth, stride) in enumerate(stages):
        for index in range(depth):
            label, leaving = f"s{stage + 1}b{index + 1}", _rounded(plain * width)
            rows += _inverted(label, rows[-1].name, channels, leaving, expand, 3, 1 if index else stride)
            channels = leaving
    rows += [_conv("top", max(1280, _rounded(1280 * width)), 1), Layer(name="gap", op="global_pool")]
    return network(name, Shape(3, image, image), [*rows, Layer(name="fc", op="fc", channels=classes, vectors=1)])


def efficientnet_b0() -> Model:
    """EfficientNet-B0: inverted residuals with squeeze-and-excitation."""
    stages = (
        (1, 16, 1, 1, 3),
        (6, 24, 2, 2, 3),
        (6, 40, 2, 2, 5),
        (6, 80, 3, 2, 3),
        (6, 112, 3, 1, 5),
        (6, 192, 4, 2, 5),
        (6, 320, 1, 1, 3),
    )
    channels = 32
    rows = [_conv("stem", channels, 3, 2)]
    for stage, (expand, leaving, depth, stride, kernel) in enumerate(stages):
        for index in range(depth):
            label = f"s{stage + 1}b{index + 1}"
            rows += _inverted(label, rows[-1].name, channels, leaving, expand, kernel, 1 if index else stride, squeeze=channels // 4)
            channels = leaving
    rows += [_conv("top", 1280, 1), Layer(name="gap", op="global_pool"), Layer(name="fc", op="fc", channels=1000, vectors=1)]
    return network("efficientnet-b0", _IMAGENET, rows)


def _inverted(label: str, source: str, entering: int, leaving: int, expand: int, kernel: int, stride: int, squeeze: int = 0) -> list[Layer]:
    inner = entering * expand
    rows = [_conv(f"{label}.expand", inner, 1, inputs=(source,))] if expand > 1 else []
    rows.append(_depthwise(f"{label}.dw", kernel, stride, inputs=() if rows else (source,)))
    if squeeze:
        rows += [
            Layer(name=f"{label}.squeeze", op="global_pool"),
            Layer(name=f"{label}.reduce", op="fc", channels=squeeze, vectors=1),
            Layer(name=f"{label}.excite", op="fc", channels=inner, vectors=1),
            Layer(name=f"{label}.scale", op="scale", inputs=(f"{label}.dw", f"{label}.excite")),
        ]
    rows.append(_conv(f"{label}.project", leaving, 1))
    if stride == 1 and entering == leaving:
        rows.append(Layer(name=f"{label}.add", op="add", inputs=(f"{label}.project", source)))
    return rows


def resnet8() -> Model:
    """MLPerf Tiny's image classifier: 32 x 32 images, three residual stacks."""
    rows, last = [_conv("stem", 16, 3, vectors=_KERAS)], "stem"
    for label, width, stride in (("s1", 16, 1), ("s2", 32, 2), ("s3", 64, 2)):
        rows += [
            _conv(f"{label}.a", width, 3, stride, inputs=(last,), vectors=_KERAS),
            _conv(f"{label}.b", width, 3, vectors=_KERAS),
        ]
        if stride > 1:
            rows.append(_conv(f"{label}.shortcut", width, 1, stride, inputs=(last,), vectors=1))
            last = f"{label}.shortcut"
        rows.append(Layer(name=f"{label}.add", op="add", inputs=(f"{label}.b", last)))
        last = f"{label}.add"
    rows += [Layer(name="gap", op="global_pool"), Layer(name="fc", op="fc", channels=10, vectors=1)]
    return network("resnet-8", Shape(3, 32, 32), rows)


def ds_cnn() -> Model:
    """MLPerf Tiny's keyword spotter: 49 x 10 spectrogram frames, four depthwise-separable pairs."""
    rows = [_conv("stem", 64, (10, 4), 2, vectors=_KERAS)]
    for index in range(4):
        rows += [_depthwise(f"b{index + 1}.dw", 3, 1, _KERAS), _conv(f"b{index + 1}.pw", 64, 1, vectors=_KERAS)]
    rows += [Layer(name="gap", op="global_pool"), Layer(name="fc", op="fc", channels=12, vectors=1)]
    return network("ds-cnn", Shape(1, 49, 10), rows)


def autoencoder() -> Model:
    """MLPerf Tiny's anomaly detector: 640 numbers through ten fully connected layers."""
    widths = (128, 128, 128, 128, 8, 128, 128, 128, 128)
    rows = [Layer(name=f"fc{index + 1}", op="fc", channels=width, vectors=_KERAS) for index, width in enumerate(widths)]
    return network("fc-autoencoder", Shape(640, 1, 1), [*rows, Layer(name="out", op="fc", channels=640, vectors=1)])


def _conv(
    name: str, channels: int, kernel: int | tuple[int, int], stride: int = 1, *, inputs: tuple[str, ...] = (), vectors: int = _NORM
) -> Layer:
    size = (kernel, kernel) if isinstance(kernel, int) else kernel
    return Layer(name=name, op="conv", inputs=inputs, channels=channels, kernel=size, stride=stride, vectors=vectors)


def _depthwise(name: str, kernel: int, stride: int, vectors: int = _NORM, inputs: tuple[str, ...] = ()) -> Layer:
    return Layer(name=name, op="depthwise", inputs=inputs, kernel=(kernel, kernel), stride=stride, vectors=vectors)


def _rounded(channels: float) -> int:
    """To a multiple of eight, not below nine tenths of it (the MobileNet papers' rule)."""
    found = max(8, int(channels + 4) // 8 * 8)
    return found + 8 if found < 0.9 * channels else found


NETS: Mapping[str, Callable[[], Model]] = {
    "deit-base": lambda: vit("deit-base", hidden=768, layers=12, heads=12),
    "deit-small": lambda: vit("deit-small", hidden=384, layers=12, heads=6),
    "deit-tiny": lambda: vit("deit-tiny", hidden=192, layers=12, heads=3),
    "densenet-169": lambda: densenet("densenet-169", (6, 12, 32, 32)),
    "densenet-201": lambda: densenet("densenet-201", (6, 12, 48, 32)),
    "ds-cnn": ds_cnn,
    "efficientnet-b0": efficientnet_b0,
    "fc-autoencoder": autoencoder,
    "mobilenet-v1": lambda: mobilenet_v1("mobilenet-v1"),
    "mobilenet-v1-0.25-96": lambda: mobilenet_v1("mobilenet-v1-0.25-96", width=0.25, image=96, classes=2, norm=_KERAS),
    "mobilenet-v2": lambda: mobilenet_v2("mobilenet-v2"),
    "mobilenet-v2-0.35-96": lambda: mobilenet_v2("mobilenet-v2-0.35-96", width=0.35, image=96),
    "resnet-8": resnet8,
    "resnet-18": lambda: resnet("resnet-18", (2, 2, 2, 2), bottleneck=False),
    "resnet-50": lambda: resnet("resnet-50", (3, 4, 6, 3), bottleneck=True),
    "resnet-152": lambda: resnet("resnet-152", (3, 8, 36, 3), bottleneck=True),
    "vgg-11": vgg11,
    "vit-b-16": lambda: vit("vit-b-16", hidden=768, layers=12, heads=12),
    "vit-l-16": lambda: vit("vit-l-16", hidden=1024, layers=24, heads=16),
    "vit-b-16-384": lambda: vit("vit-b-16-384", hidden=768, layers=12, heads=12, image=384),
    "yolov8n": yolov8,
}
"""Builders by the zoo's names."""
