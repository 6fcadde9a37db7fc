"""Formats that are multiplied by look-ups: operations go with bits, bytes too, and several rows are looked up as well."""

import pytest

from edgewright.hwmodels import catalog, price
from edgewright.workloads import Step, format_named, zoo
from edgewright.workloads.formats import lut_format

MODEL = zoo.model("tinyllama-1.1b")


def products(format, rows):
    step = Step.of(decode=[10]) if rows == 1 else Step.of(prefill=[(0, rows)])
    return [term for term in MODEL.work(step, format) if term.kernel in ("lut_gemv", "gemv", "gemm")]


def test_a_weight_of_b_bits_costs_one_and_a_half_b_operations():
    """Three instructions of 16 look-ups for four weights and a plane: 3 / 16 / 4 of 32 operations each."""
    assert [lut_format(bits).lookups for bits in (1, 2, 3, 4)] == [1.5, 3.0, 4.5, 6.0]
    assert lut_format(2, instructions=4).lookups == 4.0


@pytest.mark.parametrize("rows", [1, 32])
def test_operations_are_linear_in_bits(rows):
    flops = {bits: sum(term.flops for term in products(format_named(f"lut_int{bits}"), rows)) for bits in (1, 2, 4)}
    assert flops[2] == pytest.approx(2 * flops[1])
    assert flops[4] == pytest.approx(4 * flops[1])
    assert {term.kernel for term in products(format_named("lut_int2"), rows)} == {"lut_gemv"}


def test_a_weight_takes_its_bits_and_an_eighth():
    assert MODEL.weight_bytes(format_named("lut_int2")) < MODEL.weight_bytes(format_named("q4_0"))
    assert format_named("lut_int3").bits("matrix") == 3.125


def test_any_scenario_may_price_them():
    device = catalog.device("rpi5_8gb")
    seconds = [float(price(MODEL.decode(1, 10.0, format=format_named(f"lut_int{bits}")), device).seconds) for bits in (1, 2, 3, 4)]
    assert sorted(seconds) == seconds
