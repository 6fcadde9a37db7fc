"""Forms: the price of a part as coefficients equals the price of its terms, for every kind of step and model."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.hwmodels import Cluster, Work
from edgewright.hwmodels.affine import Affine, NotAffine
from edgewright.hwmodels.catalog import device
from edgewright.policies.plan import Compute
from edgewright.policies.pricing import decode_prices, demand_of
from edgewright.workloads import Step
from edgewright.workloads.formats import format_named
from edgewright.workloads.step_form import case_of, point_of, traced_work
from edgewright.workloads.zoo import model

CLUSTER = Cluster({"a100": device("a100_80gb_sxm"), "pi": device("rpi5_8gb")})
ENGINES = {"a100": "a100.gpu", "pi": "pi.cpu"}
PARTS = {
    name: model(name).part(format_named(form))
    for name, form in (("llama-2-7b", "fp16"), ("gemma-3-1b", "q4_0"), ("mamba-130m", "q8_0"), ("deepseek-v2-lite", "fp16"))
}
counts = st.integers(0, 40)


@st.composite
def steps(draw, windows):
    """A step of any case: sequences that decode at contexts of their own, and chunks of prompts."""
    decoding = draw(st.lists(st.integers(1, 3000), max_size=3))
    chunks = draw(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 900)), max_size=3))
    return Step.of(decoding, chunks, windows=windows, emits=len(decoding) + draw(st.integers(0, len(chunks))))


@pytest.mark.parametrize("where", ENGINES)
@pytest.mark.parametrize("name", ["llama-2-7b", "gemma-3-1b", "mamba-130m"])
@given(data=st.data(), clock=st.sampled_from([1.0, 0.6]))
def test_the_form_of_a_part_prices_as_its_terms_do(name, where, data, clock):
    part, engine = PARTS[name], ENGINES[where]
    step = data.draw(steps(part.model.windows))
    by_form = demand_of(Compute(where, part), CLUSTER, step, {engine: clock})
    by_term = CLUSTER.compute(where, part(step), None, clock)
    assert engine in by_form.joules
    assert by_form.latency == pytest.approx(by_term.latency, rel=1e-12)
    assert by_form.seconds == pytest.approx(by_term.seconds, rel=1e-12)
    assert by_form.usage == pytest.approx(by_term.usage, rel=1e-12)
    assert by_form.joules == pytest.approx(by_term.joules, rel=1e-12)


@given(st.lists(st.tuples(st.integers(1, 64), st.floats(1.0, 4000.0)), min_size=1, max_size=6))
def test_points_of_any_batch_are_priced_in_one_call(points):
    part = PARTS["gemma-3-1b"]
    batches, contexts = (np.array(column) for column in zip(*points, strict=True))
    prices = decode_prices(part, CLUSTER, "a100.gpu", batches, contexts)
    for place, (batch, context) in enumerate(points):
        alone = CLUSTER.compute("a100", part.model.decode(batch, context, format=part.format))
        assert prices.fluid_seconds[place] == pytest.approx(alone.seconds, rel=1e-12)
        assert prices.overhead_seconds[place] == pytest.approx(alone.latency, rel=1e-12)


def test_a_work_that_branches_on_more_than_its_case_has_no_form():
    def uneven(step):
        return Work.of("gemm", "fp32", 1.0 * step.prefill if step.prefill != 7 else 0.0)

    assert traced_work(uneven, (0, 2, 1, 0), ()) is None
    assert traced_work(lambda step: Work.of("gemm", "fp32", 1.0 * step.prefill * step.prefill), (0, 2, 1, 0), ()) is None


def test_routed_experts_have_no_form_and_latent_attention_has_one():
    routed = model("olmoe-1b-7b").part(format_named("w4a16"))
    assert routed.affine_work((2, 0, 2, 0)) is None
    attention = model("deepseek-v2-lite").part(format_named("fp16"), 1, 2)
    assert attention.affine_work((2, 2, 2, 0)) is not None


def test_a_run_of_steps_is_one_point_each():
    step = Step(decode=2, emits=2, full=Step().full._replace(context=np.array([10.0, 12.0, 14.0])))
    points = point_of(step, ())
    assert case_of(step) == (2, 0, 2, 0)
    assert points.tolist() == [[1.0, 2.0, 0.0, 2.0, 0.0, context, 0.0, 0.0] for context in (10.0, 12.0, 14.0)]


def test_symbols_follow_sums_and_refuse_the_rest():
    x, y = Affine.variables((3.0, 0.0))
    formula = 2.0 * (x + 1) - y / 4 + (5 - x)
    assert formula.at((10.0, 8.0)) == 2.0 * 11.0 - 2.0 + 5.0 - 10.0
    assert formula.example == 2.0 * 4.0 + 2.0
    assert [bool(x), bool(y), x == 1, y == 0] == [True, False, False, True]
    for refused in (lambda: x * y, lambda: x < 2, lambda: float(x), lambda: x == 3, lambda: x + np.ones(2)):
        with pytest.raises(NotAffine):
            refused()
