"""The composition of experts against its sum: the router, then switch and answer of each prompt in turn."""

import pytest

from edgewright.experiments.reproductions.sn40l_coe.nodes import EXPERT, Node, Situation


def test_a_switch_is_bytes_over_the_link():
    assert Node("a100", Situation(150, "none", 256, 1)).switch == pytest.approx(EXPERT / 32e9)
    assert Node("a100", Situation(150, "none", 256, 8)).switch == pytest.approx(EXPERT / 256e9)
    assert Node("sn40l", Situation(150, "none", 256, 8)).switch == pytest.approx(EXPERT / 1e12)


def test_experts_that_fit_are_never_switched():
    """Of 40 experts a DGX holds all: what 150 cost more per prompt is at most a switch, and as many as are missing on average."""
    fitting, many = (Node("a100", Situation(experts, "none", 256, 1)) for experts in (40, 150))
    assert many.slots == 46
    missing = 1.0 - many.slots / 150
    assert (many.batch(8, 20) - fitting.batch(8, 20)) / 8 == pytest.approx(missing * many.switch, rel=0.1)
