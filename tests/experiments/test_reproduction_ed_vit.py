"""ED-ViT's scenario in closed form."""

import pytest

from edgewright.experiments.reproductions.catalogue import folder_of
from edgewright.simulator import Scenario, simulate

CASE = Scenario.load(folder_of("ed-vit") / "scenario.yaml")


def seconds(**changes):
    return float(simulate(CASE.override(changes)).jobs.e2e_s.mean())


def test_the_hub_sends_the_image_ten_times():
    """Ten of 150 528 B over its gigabit link, 117 MB/s: halving that rate costs as long again."""
    slow = {f"cluster.links.{name}.bandwidth": "58.5 MB/s" for name in ("up", "cable")}
    assert seconds(**slow) - seconds() == pytest.approx(10 * 150528 / 117e6, rel=0.02)


def test_more_parts_of_the_same_width_cost_only_the_sending():
    """Five instead of ten: half of the images to send, a smaller MLP; the parts are as long."""
    half = {"services.split.model.change.parts": 5}
    assert seconds() - seconds(**half) == pytest.approx(5 * 150528 / 117e6, rel=0.2)
