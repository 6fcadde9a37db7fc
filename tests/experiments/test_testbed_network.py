"""The real testbed, in namespaces of its own; skipped with the reason where there can be none."""

import pytest

from edgewright.experiments.testbed.bed import open_testbed
from edgewright.experiments.testbed.namespaces import why_unavailable
from edgewright.policies.plan import Mark, Transfer, seq
from edgewright.workloads import Step

REASON = why_unavailable()


@pytest.mark.skipif(REASON is not None, reason=f"no testbed here: {REASON}")
def test_a_message_takes_its_latency_and_its_bytes_over_the_rate():
    """100 KB at 20 Mbit/s: 40 ms and headers, 5 ms of latency; never less, and not much more on a machine that does other things too."""
    with open_testbed(2) as bed:
        bed.shape(20e6, 5e-3)
        plan = seq(Transfer("host0", "host1", 100e3), Mark())
        times = [max(part.end for host in bed.run(plan, Step()) for part in host) for _ in range(5)]
        assert 45e-3 <= min(times) <= 60e-3
        with pytest.raises(RuntimeError, match="a host failed at 'nonsense'"):
            bed.ask("nonsense")
    with pytest.raises((BrokenPipeError, OSError, EOFError)):
        bed.ask("limit", 1.0)


def test_a_frame_waits_for_the_lines_and_passes_after_its_latency():
    """1 s to pass, 10 s of latency. Two from one host at 0: cross at 10 and 11. A third from another at 0 crosses at 10, meets the first at
    the receiver and waits for it: delivered at 11, 12 and (the second, behind both) 13."""
    import numpy as np

    from edgewright.experiments.testbed.wire_loop import pass_on, queue_frame

    sent, received = np.zeros(2), np.zeros(3)
    crossed = [queue_frame.py_func(0.0, source, 1.0, 10.0, sent) for source in (0, 0, 1)]
    assert crossed == [10.0, 11.0, 10.0]
    assert [pass_on.py_func(when, 2, 1.0, received) for when in sorted(crossed)] == [11.0, 12.0, 13.0]
