"""Flows in different units, airtime here and bytes there, share what they share in bytes per second."""

import pytest

from edgewright.hwmodels import Cluster, Connection
from edgewright.hwmodels.ideal import ideal_device, ideal_link
from edgewright.policies.plan import Transfer, par
from edgewright.simulator.plan_run import run_plan

WIFI = 12.5e6
CLUSTER = Cluster(
    dict.fromkeys(("a", "b", "server"), ideal_device()),
    ("ap",),
    (
        Connection("wa", ("a", "ap"), ideal_link(WIFI, duplex="shared"), medium="wifi"),
        Connection("wb", ("b", "ap"), ideal_link(WIFI, duplex="shared"), medium="wifi"),
        Connection("lan", ("ap", "server"), ideal_link(117e6)),
    ),
)
"""Two stations of 12.5 MB/s on one access point, whose medium counts seconds of airtime; behind it a LAN, which counts bytes."""


def ends(*transfers):
    trace = run_plan(par(*transfers), CLUSTER)
    return [trace.times(each.name)[0][1] for each in transfers]


def test_a_flow_over_wifi_and_lan_gets_as_many_bytes_as_one_over_wifi_alone():
    """Half of the medium each, 6.25 MB/s: 12.5 MB to the server take 2 s, and the other has 12.5 of its 25 MB left, which take 1 s."""
    assert ends(Transfer("a", "server", 12.5e6, name="to server"), Transfer("b", "ap", 25e6, name="to ap")) == pytest.approx([2.0, 3.0])


def test_bytes_that_cross_the_medium_twice_count_twice():
    """From b to a, up and down again: 62.5 MB are 125 MB on the air. Half of the medium each until 2 s, when 12.5 of 125 MB have gone;
    the other 112.5 MB take 9 s at 12.5 MB/s."""
    assert ends(Transfer("a", "server", 12.5e6, name="to server"), Transfer("b", "a", 62.5e6, name="to a")) == pytest.approx([2.0, 11.0])


@pytest.mark.parametrize("size", [1e3, 12.5e6, 1e10])
def test_shares_do_not_depend_on_the_sizes_of_flows(size):
    """A flow that is 10 times as long gets as many bytes per second: when the short one ends, it has sent as much."""
    short, long = ends(Transfer("a", "server", size, name="short"), Transfer("b", "server", 10.0 * size, name="long"))
    assert (short, long) == pytest.approx((2.0 * size / WIFI, 11.0 * size / WIFI))
