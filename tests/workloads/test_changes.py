"""Changes of models: what is left adds up to what there was."""

import pytest

from edgewright.workloads import Step, format_named, zoo
from edgewright.workloads.changes import Layers

FP16 = format_named("fp16")


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
