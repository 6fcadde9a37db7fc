"""Tensors of small networks: lifetimes, what crosses a cut, how much is alive."""

import pytest

from edgewright.workloads import Format, Step
from edgewright.workloads.vision import BadLayer, Layer, Shape, network

BYTE = Format("int8", 8.0, activation_bits=8.0)
ONE = Step(items=1)


def conv(name, channels, stride=1, inputs=()):
    return Layer(name=name, op="conv", channels=channels, kernel=(3, 3), stride=stride, inputs=inputs, vectors=1)


@pytest.fixture
def residual():
    """4 x 4 map of 2 channels -> a (4 channels: 64) -> b (64) -> a + b -> pool (4)."""
    layers = [
        conv("a", 4),
        conv("b", 4),
        Layer(name="sum", op="add", inputs=("a", "b")),
        Layer(name="pool", op="global_pool"),
    ]
    return network("residual", Shape(2, 4, 4), layers)


def test_lifetimes(residual):
    assert [(each.name, each.numbers, each.born, each.dies) for each in residual.tensors()] == [
        ("input", 32, -1, 0),
        ("a", 64, 0, 2),
        ("b", 64, 1, 2),
        ("sum", 64, 2, 3),
        ("pool", 4, 3, 4),
    ]


def test_a_skip_connection_crosses_the_cut_as_well(residual):
    assert [residual.boundary_bytes(cut, ONE, BYTE) for cut in range(5)] == [32, 64, 128, 64, 4 * 4]


def test_peak_of_two_buffers_and_in_place(residual):
    """The sum writes over one of its inputs if it may: 128 bytes instead of 192."""
    assert residual.peak_activation_bytes(BYTE) == 128
    assert residual.peak_activation_bytes(BYTE, in_place=False) == 192


def test_a_depthwise_convolution_in_place_needs_one_channel_besides():
    model = network("dw", Shape(4, 4, 4), [Layer(name="dw", op="depthwise", kernel=(3, 3))])
    assert model.peak_activation_bytes(BYTE) == 64 + 16
    assert model.peak_activation_bytes(BYTE, in_place=False) == 128


def test_an_input_read_later_is_not_overwritten():
    layers = [Layer(name="dw", op="depthwise", kernel=(3, 3)), Layer(name="sum", op="add", inputs=("dw", "input"))]
    assert network("kept", Shape(4, 4, 4), layers).peak_activation_bytes(BYTE) == 128


def test_a_convolution_by_hand(residual):
    work = residual.infer(2, format=BYTE)
    a = work.terms[0]
    assert a.flops == 2 * 2 * (9 * 2 * 4) * 16  # two items
    assert a.activations == 2 * (32 + 64)
    assert a.weights == 9 * 2 * 4 + 4 * 2  # biases of 16 bits


def test_unpadded_windows_strides_and_groups():
    layers = [
        Layer(name="c", op="conv", channels=4, kernel=(3, 3), stride=2, padded=False, groups=2),
        Layer(name="up", op="upsample", stride=3),
        Layer(name="half", op="split", channels=2),
        Layer(name="cat", op="concat", inputs=("half", "up")),
        Layer(name="fc", op="fc", channels=5, vectors=1),
    ]
    model = network("mixed", Shape(2, 8, 9), layers)  # (8-3)//2+1 = 3 high, (9-3)//2+1 = 4 wide
    assert [block.output for block in model.blocks] == [4 * 3 * 4, 4 * 9 * 12, 0, 6 * 9 * 12, 5]
    assert model.parameters == 9 * 1 * 4 + (6 * 9 * 12) * 5 + 5
    assert model.blocks[2].work(ONE, BYTE).terms == ()  # a view


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([conv("a", 4, inputs=("b",))], "layer 'a': input 'b' is no earlier layer; accepted are input"),
        ([conv("a", 4), conv("a", 4)], "two layers are named 'a'"),
        ([conv("a", 0)], "layer 'a': channels is 0; accepted is a positive number"),
        ([Layer(name="a", op="conv", channels=4, groups=3)], "3 groups do not divide its channels"),
        ([conv("a", 4), Layer(name="s", op="add", inputs=("a", "input"))], "adds maps of different shapes"),
    ],
)
def test_bad_tables_are_refused(layers, message):
    with pytest.raises(BadLayer, match=message):
        network("bad", Shape(2, 4, 4), layers)
