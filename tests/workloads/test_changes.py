"""Changes of models: what is left adds up to what there was."""

import pytest

from edgewright.workloads import Step, format_named, zoo
from edgewright.workloads.changes import Layers
from edgewright.workloads.changes_vision import Bottleneck, ClassSplit

FP16, INT8 = format_named("fp16"), format_named("int8")


def megamacs(model):
    return sum(term.flops for term in model.infer(1, format=INT8).terms if term.kernel != "elementwise") / 2e6


# -- layers of decoders ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 8, 31])
def test_both_sides_of_a_cut_are_the_model(cut):
    """Weights, cache and work of 32 layers; the embedding is on the lower side, the head on the upper."""
    whole = zoo.model("llama-2-7b")
    below, above = Layers(last=cut, head=False).apply(whole), Layers(first=cut, last=32).apply(whole)
    assert below.parameters + above.parameters == whole.parameters
    assert below.kv_bytes_per_token(FP16) == cut / 32 * whole.kv_bytes_per_token(FP16)
    step = Step.of(decode=[100])
    flops = [sum(term.flops for term in model.work(step, FP16).terms) for model in (below, above, whole)]
    assert flops[0] + flops[1] == pytest.approx(flops[2])


def test_an_exit_is_a_norm_and_a_head():
    """4096 x 32000 + 4096 parameters more."""
    whole = zoo.model("llama-2-7b")
    with_exit, without = (Layers(last=8, head=head).apply(whole).parameters for head in (True, False))
    assert with_exit - without == 4096 * 32000 + 4096


def test_a_tied_head_above_a_cut_is_a_matrix_of_its_own():
    whole = zoo.model("smollm-135m")
    below, above = Layers(last=15, head=False).apply(whole), Layers(first=15, last=30).apply(whole)
    assert below.parameters + above.parameters == whole.parameters + whole.hidden * whole.vocab
    assert Layers(last=30).apply(whole).parameters == whole.parameters


def test_pieces_may_be_cut_where_the_model_may():
    assert Layers(first=8, last=16).apply(zoo.model("llama-2-7b")).cuts == tuple(range(2, 18, 2))
    assert Layers(last=8, head=False).apply(zoo.model("llama-2-7b")).cuts == tuple(range(1, 17, 2))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("llama-2-7b", Layers(first=8, last=8), "has no layers 8 to 8"),
        ("llama-2-7b", Layers(last=33), "accepted are some of the 32"),
        ("mixtral-8x7b", Layers(last=3), "decoders without experts"),
        ("resnet-50", Layers(last=3), "decoders without experts"),
    ],
)
def test_what_cannot_be_done_is_refused(name, change, message):
    with pytest.raises(ValueError, match=message):
        change.apply(zoo.model(name))


# -- bottlenecks of convolutional networks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [3, 12])
def test_bottlefit_sends_841_numbers_a_channel_after_121_million_operations(channels):
    """ResNet-152 (Matsubara et al.): 7 x 7 x 3 x 64 at 112 x 112 are 118 M, 2 x 2 x 64 x c at 29 x 29 are 0.215 M a channel."""
    changed = Bottleneck(after="s2b8.add", channels=channels).apply(zoo.model("resnet-152"))
    assert changed.boundary_bytes(3, Step(items=1), INT8) == channels * 841
    head = sum(term.flops for term in changed.part(INT8, 0, 3)(Step(items=1)).terms if term.kernel != "elementwise") / 2e6
    assert head == pytest.approx(49 * 3 * 64 * 112**2 / 1e6 + 4 * 64 * channels * 841 / 1e6)


@pytest.mark.parametrize(("name", "after"), [("resnet-152", "s2b8.add"), ("densenet-169", "d2l12.concat")])
def test_what_stands_behind_a_bottleneck_is_as_it_was(name, after):
    """Front and back of the original against those of both kinds of bottleneck."""
    model = zoo.model(name)
    behind = len(model.blocks) - [block.name for block in model.blocks].index(after) - 1
    for instead in (True, False):
        changed = Bottleneck(after=after, instead=instead).apply(model)
        parts = [each.part(INT8, len(each.blocks) - behind)(Step(items=1)) for each in (model, changed)]
        assert parts[0] == parts[1]
        assert [tensor.numbers for tensor in changed.tensors()][-behind:] == [tensor.numbers for tensor in model.tensors()][-behind:]


def test_a_bottleneck_behind_layers_keeps_them():
    model = zoo.model("resnet-152")
    added = megamacs(Bottleneck(after="s2b8.add", instead=False).apply(model)) - megamacs(model)
    encoder, decoder = 4 * 512 * 12 * 29**2, 4 * 28**2 * (12 * 64 + 64 * 128 + 128 * 256 + 256 * 512)
    assert added == pytest.approx((encoder + decoder) / 1e6)


# -- narrow vision transformers --------------------------------------------------------------------------------------------------------


def test_two_of_twelve_heads_are_a_sixth_of_the_width():
    """Width 128: 12 layers of 12 x 128^2 + 13 x 128, patches 769 x 128, positions and class token 198 x 128, a norm."""
    narrow = ClassSplit(parts=10, heads=2).apply(zoo.model("vit-b-16"))
    part = narrow.blocks[: (len(narrow.blocks) - 1) // 10]
    assert sum(block.parameters for block in part) == 12 * (12 * 128**2 + 13 * 128) + (769 + 198 + 2) * 128
    assert narrow.blocks[-1].parameters == 1280 * 256 + 256 + 256 * 1000 + 1000


def test_matrices_scale_with_the_square_of_the_width_and_attention_with_the_width():
    """197 tokens, 12 layers: 12 x d^2 a token, 2 x 197 x d of attention, patches 196 x 768 x d; published: 28.9 times fewer."""
    model = zoo.model("vit-b-16")
    part = (megamacs(ClassSplit(parts=10, heads=2).apply(model)) * 1e6 - 1280 * 256 - 256 * 1000) / 10
    assert part == pytest.approx(12 * 197 * (12 * 128**2 + 2 * 197 * 128) + 196 * 768 * 128)
    assert megamacs(model) * 1e6 / part == pytest.approx(28.9, rel=0.01)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("resnet-152", Bottleneck(after="nowhere"), "has no block 'nowhere'"),
        ("resnet-152", Bottleneck(after="s2b8.out"), "s2b8.add reads past"),
        ("resnet-152", Bottleneck(after="s3b2.add"), "no 28 x 28"),
        ("resnet-152", ClassSplit(parts=2, heads=1), "no vision transformer"),
        ("deit-tiny", ClassSplit(parts=2, heads=4), "accepted are fewer"),
    ],
)
def test_vision_models_that_do_not_suit_are_refused(name, change, message):
    with pytest.raises(ValueError, match=message):
        change.apply(zoo.model(name))
