"""The testbed as the simulator sees it: a cluster whose figures are shaped, measured elsewhere, or arithmetic.

| figure | where it comes from |
| --- | --- |
| rate and latency of a link | what the testbed was told to shape |
| efficiency of a link | arithmetic: payload of a full packet over its bytes on the wire, at the MTU |
| time of a message besides | of the smallest message on the unshaped testbed, with as many hosts talking at once; half of it at each end |
| bytes around a message | arithmetic: its header in the testbed, and half the headers of the packet that it does not fill |
| operations per second of a host | its kernels alone, at the same share of a core, from submission until the host knows |

Nothing is fitted to the runs that are predicted. A link's MTU is 0 here: small messages queue like large ones, because they do.

How wrong: acknowledgements (0.4 % of a link that data crosses both ways), the work of the processor for a byte, which overlaps with the
wire, and the additions of reductions are left out. Hosts share two cores, so that what one does for its sockets delays the others: that is
in the time of a message, but as if all hosts of a case always sent at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgewright.experiments.testbed.mesh import FRAMING
from edgewright.experiments.testbed.namespaces import HEADERS, MTU
from edgewright.hwmodels import Cluster, Connection, Link
from edgewright.hwmodels.ideal import ideal_device
from edgewright.policies.families import Program
from edgewright.policies.plan import Plan
from edgewright.workloads import Step

if TYPE_CHECKING:
    from edgewright.experiments.testbed.cases import Case

__all__ = ["EFFICIENCY", "Network", "cluster_of", "run_steps", "simulated_seconds"]

PAYLOAD = MTU - 20 - 20 - 12
EFFICIENCY = PAYLOAD / (PAYLOAD + HEADERS)
"""Payload over bytes on the wire, of a full packet."""


@dataclass(frozen=True, slots=True)
class Network:
    """What messages cost besides the wire.

    Attributes:
        message_s: seconds from the call that sends a message to the end of the call that receives it, unshaped.
    """

    message_s: float = 0.0


def cluster_of(flops: Mapping[str, float], rate: float, latency: float, network: Network) -> Cluster:
    """Hosts of so many operations per second around one switch; `rate` in bits per second, `latency` from any host to any other."""
    around = (FRAMING + HEADERS / 2) * 8 / rate
    link = Link("shaped", "shaped link", rate / 8, latency / 2, efficiency=EFFICIENCY, mtu=0.0, per_message=around / 2)
    devices = {name: replace(ideal_device(each), nic_seconds_per_message=network.message_s / 2) for name, each in flops.items()}
    return Cluster(devices, ("switch",), tuple(Connection(f"cable-{name}", (name, "switch"), link) for name in flops))


def simulated_seconds(case: Case, flops: Mapping[str, float], network: Network, *, ideal_links: bool = False) -> float:
    """Seconds from the start until the last step has come to its end; `ideal_links`: if messages took no time at all."""
    rate, latency = (1e18, 0.0) if ideal_links else (case.rate, case.latency)
    cluster = cluster_of(flops, rate, latency, Network() if ideal_links else network)
    return run_steps(case.program, cluster, case.step, case.steps, case.lanes, case.outcomes)


def run_steps(
    program: Plan | Program, cluster: Cluster, step: Step, steps: int, lanes: int, outcomes: Callable[[str], Any] | None
) -> float:
    """When the last of `steps` steps has come to its token, with `lanes` of them under way at once."""
    from edgewright.simulator.interpreter import Scope
    from edgewright.simulator.machine import Machine
    from edgewright.simulator.plan_run import start_program

    machine, program = Machine(cluster), deepcopy(program)
    started, tokens = 0, []

    def token() -> None:
        tokens.append(float(machine.env.now))
        following()

    def following() -> None:
        nonlocal started
        if started < steps:
            started += 1
            begin(step)

    begin = start_program(Scope(machine, "testbed", reveal=outcomes), program, token)
    for _ in range(lanes):
        following()
    machine.env.run()
    return max(tokens)
