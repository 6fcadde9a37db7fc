"""Messages over a connection, timed like kernels: warm, repeated until the median is known well enough, doubts named.

What a message costs beside its way through the wire: system calls, copies, wake-ups, on both sides. Measured on a connection that nothing
shapes, it is what `Device.nic_seconds_per_message` stands for. Half a round trip is one message (Hockney, Parallel Computing 20(3), 1994);
the time of the calling thread on its core is what one message sent and one received take of a processor.

How wrong: the two ends are taken as alike; a far end that sleeps deeply between messages answers later than one that is kept busy.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import Protocol

from edgewright.kernels.doubts import STEAL_TOLERANCE
from edgewright.kernels.harness import Effort
from edgewright.kernels.host import Host, ThisHost
from edgewright.kernels.intervals import median_interval

__all__ = ["Endpoint", "MessageCost", "RoundTrip", "SocketEndpoint", "answer", "message_cost", "round_trip", "trips"]


class Endpoint(Protocol):
    """One end of a connection on which whole messages travel."""

    def send(self, nbytes: int) -> None:
        """Hand a message of that many bytes to the transport."""

    def receive(self, nbytes: int) -> None:
        """Wait until a message of that many bytes is here."""


@dataclass(frozen=True, slots=True)
class SocketEndpoint:
    """A connected stream socket as an end of messages without headers: both sides know how long they are."""

    socket: socket.socket

    def send(self, nbytes: int) -> None:
        self.socket.sendall(bytes(nbytes))

    def receive(self, nbytes: int) -> None:
        room = memoryview(bytearray(nbytes))
        while len(room):
            got = self.socket.recv_into(room)
            if got == 0:
                raise ConnectionError("the other end of the connection is closed")
            room = room[got:]


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """A message there and one of equal size back.

    Attributes:
        nbytes: size of each.
        seconds: median of both ways together.
        low, high: the median's confidence interval.
        repeats: round trips that the median is of.
        cpu_seconds: mean time of the near end's thread on a core, for one message sent and one received.
        reasons: what speaks against the figures, in words.
    """

    nbytes: int
    seconds: float
    low: float
    high: float
    repeats: int
    cpu_seconds: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MessageCost:
    """One message as an affine function of its size.

    Attributes:
        seconds: from the call that sends it to the end of the call that receives it, for a message of no bytes.
        seconds_per_byte: added by every byte.
        cpu_seconds: of both ends together, on a core, for a message of no bytes.
        cpu_seconds_per_byte: added by every byte.
    """

    seconds: float
    seconds_per_byte: float
    cpu_seconds: float
    cpu_seconds_per_byte: float


def round_trip(near: Endpoint, nbytes: int, *, effort: Effort, host: Host | None = None) -> RoundTrip:
    """Time round trips with a far end that `answer`s `trips(effort)` times. Raises `ValueError` for a message of no bytes."""
    if nbytes < 1:
        raise ValueError(f"a message has at least one byte, not {nbytes}")
    machine = host or ThisHost()
    for _ in range(WARM):
        _once(near, nbytes, machine)
    stolen, busy, start = machine.stolen(None), machine.busy(), machine.now()
    times = [_once(near, nbytes, machine) for _ in range(trips(effort) - WARM)]
    wall, worked, taken = machine.now() - start, machine.busy() - busy, machine.stolen(None)
    low, high = median_interval(times, effort.confidence)
    seconds = median(times)
    reasons = []
    if high - low > 2 * effort.relative * seconds:
        reasons.append(f"the median is known to {(high - low) / 2 / seconds:.1%} only, not to {effort.relative:.1%}")
    if stolen is not None and taken is not None and taken - stolen > max(STEAL_TOLERANCE * wall, machine.tick()):
        reasons.append(f"a hypervisor took {(taken - stolen) / wall:.1%} of the time")
    return RoundTrip(nbytes, seconds, low, high, len(times), worked / len(times), tuple(reasons))


WARM = 5
"""Round trips that warm the connection and are not counted."""


def trips(effort: Effort) -> int:
    """How many round trips `round_trip` makes: both ends must agree on it before, so it does not depend on what is measured."""
    return WARM + max(effort.least, ceil(effort.budget / 1e-3))


def answer(far: Endpoint, nbytes: int, count: int) -> None:
    """The far end: send every message of `nbytes` back, `count` times."""
    for _ in range(count):
        far.receive(nbytes)
        far.send(nbytes)


def message_cost(samples: Sequence[RoundTrip]) -> MessageCost:
    """The affine cost through the smallest and the largest message; raises `ValueError` for fewer than two sizes.

    Two points and no more: the way between them bends where a message outgrows a packet or a buffer, and a straight line through all
    of them would charge small messages for it.
    """
    ordered = sorted(samples, key=lambda each: each.nbytes)
    if len(ordered) < 2 or ordered[0].nbytes == ordered[-1].nbytes:
        raise ValueError("the cost of a byte takes messages of two sizes")
    least, most = ordered[0], ordered[-1]
    span = most.nbytes - least.nbytes
    slope = max(0.0, (most.seconds - least.seconds) / 2 / span)
    cpu_slope = max(0.0, (most.cpu_seconds - least.cpu_seconds) / span)
    return MessageCost(least.seconds / 2 - slope * least.nbytes, slope, least.cpu_seconds - cpu_slope * least.nbytes, cpu_slope)


def _once(near: Endpoint, nbytes: int, machine: Host) -> float:
    start = machine.now()
    near.send(nbytes)
    near.receive(nbytes)
    return machine.now() - start
