"""Writes behind a buffer end when there is room for them."""

import pytest

from edgewright.hwmodels import Attachment, Cluster
from edgewright.hwmodels.ideal import ideal_device, ideal_storage
from edgewright.policies.plan import Delay, Join, Mark, Store, seq
from edgewright.policies.write_back import write_back
from edgewright.simulator.plan_run import run_plan

CLUSTER = Cluster({"a": ideal_device(memory=20.0)}, attachments=(Attachment("s", "a", ideal_storage(1.0)),))
"""A disk of 1 B/s, and 20 B of memory, which is the buffer."""


def writes(count, last=()):
    parts = [write_back(Store("a", 10.0), "a.ram", f"w{number}") for number in range(count)]
    return seq(*parts, *last, Mark())


def test_writes_that_fit_take_no_time():
    trace = run_plan(writes(2), CLUSTER)
    assert trace.tokens == [0.0]
    assert max(each.end for each in trace.operations) == pytest.approx(20.0)
    assert trace.machine.pools["a.ram"].peak == 20.0
    assert trace.machine.pools["a.ram"].level == 0.0


def test_a_full_buffer_holds_writers_to_the_rate_of_the_storage():
    """Two writes drain side by side in 20 s; the third and fourth then fit, and the fifth waits for them: 40 s."""
    assert run_plan(writes(5), CLUSTER).tokens == [pytest.approx(40.0)]


def test_a_sync_waits_for_the_write():
    assert run_plan(writes(1, (Join("w0"),)), CLUSTER).tokens == [pytest.approx(10.0)]


def test_the_storage_drains_while_the_plan_does_other_things():
    plan = seq(write_back(Store("a", 10.0), "a.ram", "w"), Delay(30.0), Store("a", 5.0), Mark())
    assert run_plan(plan, CLUSTER).tokens == [pytest.approx(35.0)]
