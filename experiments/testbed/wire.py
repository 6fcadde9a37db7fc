"""The switch and its cables: a process that forwards frames between the hosts' interfaces, each after the time that a wire would take.

For a link of R bits per second and a latency of L seconds between any two hosts, a frame of w bytes that its sender's token bucket lets go
at t begins to cross when the sender's line is free, begins to leave the switch L later or when the receiver's line is free (cut-through:
the first bit is forwarded while the last is still coming), and is delivered 8 w / R after that. So a message of n bytes alone takes L + 8 n / R,
and messages that meet at a receiver queue there. Nothing is lost and queues are unbounded: TCP's windows bound them.

The token bucket (tc tbf) on the host's side keeps the queue in the host and the rate in the kernel; the lines here add the time that a
frame takes to pass, which a bucket lets through at once. Forwarding is real-time scheduled where that is allowed, and allows for
the time that a sleep lasts too long.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from multiprocessing.connection import Connection
from time import perf_counter
from typing import NamedTuple

from edgewright.experiments.testbed.namespaces import enter_network, join_to_host, outlive_nobody

__all__ = ["Lines", "serve_wire"]

VNET_HEADER = 10
"""Bytes that the kernel puts before a frame: its offloaded checksum travels with it."""
_PACKET, _VNET, _IGNORE_OUTGOING, _ALL_PROTOCOLS = 263, 15, 23, 3
_SOCKET, _SEND_ROOM, _RECEIVE_ROOM = 1, 32, 33


@dataclass(slots=True)
class Lines:
    """When each line is free, and with that when a frame gets where.

    Attributes:
        rate: bits per second of every line; `latency` seconds from any host to any other.
        sent, received: when the line from, and to, each host is free.
    """

    hosts: int
    rate: float
    latency: float
    sent: list[float] = field(init=False)
    received: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.sent = [0.0] * self.hosts
        self.received = [0.0] * self.hosts

    def crossing(self, now: float, source: int, nbytes: int) -> float:
        """When the first bit of a frame that is let go now is at the far side of the switch; its sender's line is taken until it is out."""
        begin = max(now, self.sent[source])
        self.sent[source] = begin + 8 * nbytes / self.rate
        return begin + self.latency

    def delivery(self, crossed: float, target: int, nbytes: int) -> float:
        """When the last bit of a frame is delivered; to be asked in the order of `crossed`, in which the receiver's line serves them."""
        self.received[target] = max(crossed, self.received[target]) + 8 * nbytes / self.rate
        return self.received[target]


def serve_wire(control: Connection, pids: Sequence[int]) -> None:
    """The switch process: joins the hosts, then forwards; `(rate, latency)` on `control` shapes, `None` for the rate forwards at once."""
    outlive_nobody()
    enter_network()
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    ports = [_port(join_to_host(rank, pid)) for rank, pid in enumerate(pids)]
    gc.freeze()
    gc.disable()
    control.send(None)
    _Forwarder(control, ports).run()


class _Frame(NamedTuple):
    """A frame under way, in order of the time at which something happens to it."""

    due: float
    count: int
    target: int
    content: bytes


class _Forwarder:
    """Attributes: `crossing` holds frames until nothing can cross before them any more, `leaving` until they are delivered."""

    def __init__(self, control: Connection, ports: Sequence[socket.socket]) -> None:
        self.control = control
        self.ports = ports
        self.lines: Lines | None = None
        self.crossing: list[_Frame] = []
        self.leaving: list[_Frame] = []
        self.count = 0
        self.oversleep = _oversleep()

    def run(self) -> None:
        ranks = {port.fileno(): rank for rank, port in enumerate(self.ports)}
        waiting = [*ranks, self.control.fileno()]
        while True:
            readable, _, _ = select.select(waiting, [], [], self.sleep())
            for found in readable:
                if found in ranks:
                    self.collect(ranks[found])
                elif not self.command():
                    return
            self.advance()

    def sleep(self) -> float | None:
        """Seconds until something is due, less those that a sleep lasts too long."""
        due = min((heap[0].due for heap in (self.crossing, self.leaving) if heap), default=None)
        return None if due is None else max(0.0, due - perf_counter() - self.oversleep)

    def collect(self, source: int) -> None:
        """Take what a host has sent."""
        while True:
            try:
                frame = self.ports[source].recv(1 << 17)
            except BlockingIOError:
                return
            target = frame[VNET_HEADER + 5]
            if target >= len(self.ports):
                continue
            if self.lines is None:
                self.ports[target].send(frame)
                continue
            self.count += 1
            crossed = self.lines.crossing(perf_counter(), source, len(frame) - VNET_HEADER)
            heappush(self.crossing, _Frame(crossed, self.count, target, frame))

    def advance(self) -> None:
        """Move on what can move: whatever is sent from now on crosses a latency from now at the earliest."""
        if self.lines is None:
            return
        now = perf_counter()
        while self.crossing and self.crossing[0].due <= now + self.lines.latency:
            frame = heappop(self.crossing)
            delivery = self.lines.delivery(frame.due, frame.target, len(frame.content) - VNET_HEADER)
            heappush(self.leaving, frame._replace(due=delivery))
        while self.leaving and self.leaving[0].due <= perf_counter():
            frame = heappop(self.leaving)
            self.ports[frame.target].send(frame.content)

    def command(self) -> bool:
        """Shape anew; False when the testbed closes."""
        try:
            rate, latency = self.control.recv()
        except EOFError:
            return False
        self.crossing.clear()
        self.leaving.clear()
        self.lines = None if rate is None else Lines(len(self.ports), rate, latency)
        self.control.send(None)
        return True


def _oversleep() -> float:
    """Seconds that a short sleep lasts too long here, the least of some: waking later than due is made up for, earlier is waited out."""
    late = []
    for _ in range(50):
        start = perf_counter()
        select.select([], [], [], 5e-4)
        late.append(perf_counter() - start - 5e-4)
    return max(0.0, min(late))


def _port(name: str) -> socket.socket:
    """A raw socket on one interface: frames whole, with the state of their checksums."""
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    port.setsockopt(_PACKET, _VNET, struct.pack("i", 1))
    port.setsockopt(_PACKET, _IGNORE_OUTGOING, struct.pack("i", 1))
    for room in (_SEND_ROOM, _RECEIVE_ROOM):
        port.setsockopt(_SOCKET, room, 256 << 20)
    port.bind((name, _ALL_PROTOCOLS))
    port.setblocking(False)
    return port
