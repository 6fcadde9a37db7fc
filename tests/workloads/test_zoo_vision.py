"""Vision models against published parameters and multiply-accumulates.

The figures of `PUBLISHED` were recalled from the sources named there, not fetched; parameters are met to the last one.
"""

import csv
from pathlib import Path

import pytest

from edgewright.workloads import Step, format_named, zoo
from edgewright.workloads.vision_nets import mobilenet_v1, mobilenet_v2

INT8, FP16 = format_named("int8"), format_named("fp16")
CATALOGUE = Path(__file__).resolve().parents[2] / "../shared/catalog/models.csv"

PUBLISHED = {  # parameters exact; multiply-accumulates in millions, with the source's rounding
    "autoencoder": ("fc-autoencoder", 269_992, 0.264),  # MLPerf Tiny
    "deit-small": ("deit-small", 22_050_664, 4_600),  # Touvron et al., ICML 2021
    "deit-tiny": ("deit-tiny", 5_717_416, 1_250),  # Touvron et al., ICML 2021
    "densenet-169": ("densenet-169", 14_149_480, 3_360),  # torchvision
    "densenet-201": ("densenet-201", 20_013_928, 4_291),  # torchvision
    "ds-cnn": ("ds-cnn", 24_908, 2.66),  # MLPerf Tiny
    "efficientnet-b0": ("efficientnet-b0", 5_288_548, 386),  # torchvision
    "mobilenet-v1-0.25-96": ("mobilenet-v1-0.25-96", 221_794, 7.49),  # MLPerf Tiny
    "mobilenet-v2": ("mobilenet-v2", 3_504_872, 301),  # torchvision
    "resnet-152": ("resnet-152", 60_192_808, 11_514),  # torchvision
    "resnet-18": ("resnet-18", 11_689_512, 1_814),  # torchvision
    "resnet-50": ("resnet-50", 25_557_032, 4_089),  # torchvision
    "resnet-8": ("resnet-8", 78_666, 12.5),  # MLPerf Tiny
    "vgg-11": ("vgg-11", 132_863_336, 7_609),  # torchvision
    "vit-b-16": ("vit-b-16", 86_567_656, 17_564),  # torchvision
    "vit-l-16": ("vit-l-16", 304_326_632, 61_555),  # torchvision
    "yolov8n": ("yolov8n", 3_157_200 - 16, 4_350),  # Ultralytics: 8.7 GFLOP; 16 fixed taps of the box decoder
}


def megamacs(model):
    return sum(term.flops for term in model.infer(1, format=INT8) if term.kernel != "elementwise") / 2e6


@pytest.mark.parametrize("key", sorted(PUBLISHED))
def test_parameters_and_macs(key):
    name, parameters, macs = PUBLISHED[key]
    model = zoo.model(name)
    assert model.parameters == parameters
    assert megamacs(model) == pytest.approx(macs, rel=0.006)


@pytest.mark.skipif(not CATALOGUE.exists(), reason="the shared catalogue is not beside this checkout")
def test_mobilenet_v2_against_the_catalogue():
    """Every width and resolution of the published table, which prints whole millions, some of them cut off."""
    with CATALOGUE.open(encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["model"].startswith("mobilenet_v2_")]
    assert len(rows) >= 20
    for row in rows:
        width, image = row["model"].removeprefix("mobilenet_v2_").split("_")
        model = mobilenet_v2(row["model"], width=float(width), image=int(image))
        assert megamacs(model) == pytest.approx(float(row["MACs_M"]), abs=1.0, rel=0.005), row["model"]


@pytest.mark.parametrize(("width", "image", "macs"), [(1.0, 224, 569), (0.75, 224, 325), (0.5, 224, 149), (0.25, 224, 41), (1.0, 160, 290)])
def test_mobilenet_against_its_paper(width, image, macs):
    """Howard et al., 2017, tables 6 and 7, recalled: millions of multiply-adds (later tables differ in narrow rows)."""
    assert megamacs(mobilenet_v1("mobilenet", width=width, image=image)) == pytest.approx(macs, abs=1.0)


def test_a_vision_step_follows_its_items():
    model = zoo.model("resnet-18")
    one, three = model.infer(1, format=FP16), model.infer(3, format=FP16)
    assert three.flops["fp16"] == pytest.approx(3 * one.flops["fp16"])
    assert three.bytes["activations"] == pytest.approx(3 * one.bytes["activations"])
    assert three.bytes["weights"] == one.bytes["weights"] == pytest.approx(2 * 11_689_512)


def test_equal_layers_are_one_term():
    """ResNet-18 has 20 convolutions of 11 shapes."""
    terms = zoo.model("resnet-18").infer().terms
    convolutions = [term for term in terms if term.kernel == "conv"]
    assert (len(convolutions), sum(term.launches for term in convolutions)) == (11, 20)


def test_what_crosses_a_cut_of_a_detector():
    """Behind the backbone three maps cross: strides 8 (64 channels), 16 (128) and 32 (256)."""
    model = zoo.model("yolov8n")
    cut = next(index for index, block in enumerate(model.blocks) if block.name == "sppf") + 1
    expected = 64 * 80 * 80 + 128 * 40 * 40 + 256 * 20 * 20
    assert model.boundary_bytes(cut, Step(items=2), INT8) == 2 * expected
    assert model.boundary_bytes(0, Step(items=1), INT8) == 3 * 640 * 640
    assert model.boundary_bytes(len(model.blocks), Step(items=1), INT8) == 300 * 6 * 4


def test_shards_of_a_vision_transformer():
    model = zoo.model("deit-tiny")
    assert model.blocks[1].shardable(3)
    assert not model.blocks[1].shardable(2)  # three heads
    assert not zoo.model("resnet-18").blocks[0].shardable(2)
