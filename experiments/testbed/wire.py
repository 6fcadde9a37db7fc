"""The switch and its cables: a process that forwards frames between the hosts' interfaces, each after the time that a wire would take.

For a link of R bits per second and a latency of L seconds between any two hosts, a frame of w bytes that its sender's token bucket lets
go at t begins to cross when the sender's line is free, begins to leave the switch L later or when the receiver's line is free (cut-through:
the first bit is forwarded while the last is still coming), and is delivered 8 w / R after that. So a message of n bytes alone takes
L + 8 n / R, and messages that meet at a receiver queue there. Nothing is lost and queues are long: TCP's windows bound them.

The token bucket (tc tbf) on the host's side keeps the queue in the host and the rate in the kernel; the lines here add the time that a
frame takes to pass, which a bucket lets through at once. There is no netem: one wire for all kernels. Forwarding is compiled, real-time
scheduled where that is allowed, and allows for the time that a sleep lasts too long.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import socket
import struct
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from time import perf_counter

from edgewright.experiments.testbed.namespaces import enter_network, join_to_host, outlive_nobody

__all__ = ["serve_wire"]

_PACKET, _VNET, _IGNORE_OUTGOING, _ALL_PROTOCOLS = 263, 15, 23, 3
_SOCKET, _SEND_ROOM, _RECEIVE_ROOM = 1, 32, 33


def serve_wire(control: Connection, pids: Sequence[int]) -> None:
    """The switch process: joins the hosts, then forwards; `(rate, latency)` on `control` shapes, `None` for the rate forwards at once."""
    outlive_nobody()
    enter_network()
    ports = [_port(join_to_host(rank, pid)) for rank, pid in enumerate(pids)]
    forward = _forwarder([port.fileno() for port in ports], control.fileno())
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    oversleep = _oversleep()
    gc.freeze()
    gc.disable()
    control.send(None)
    rate, latency = None, 0.0
    while True:
        forward(0.0 if rate is None else 8 / rate, latency, oversleep)
        try:
            rate, latency = control.recv()
        except EOFError:
            return
        control.send(None)


def _forwarder(ports: Sequence[int], control: int) -> Callable[[float, float, float], None]:
    """`forward(seconds per byte, latency, oversleep)`: forward until something is to be read from `control`; compiled."""
    import numpy as np

    from edgewright.experiments.testbed.wire_loop import SLOT_BYTES, SLOTS, forward

    files = np.array([*ports, control], dtype=np.int32)
    slots = np.zeros((SLOTS, SLOT_BYTES), dtype=np.uint8)

    def run(seconds_per_byte: float, latency: float, oversleep: float) -> None:
        forward(files, slots, seconds_per_byte, latency, oversleep)

    return run


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
