"""Messages between hosts: a TCP connection for every pair, whole messages under a tag, nothing that blocks while something else could move.

A message is a header of 28 bytes and its body. What the transport does not take at once waits in a queue and goes on when it can, so that
a ring in which everybody sends before anybody receives does not stand still.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from struct import Struct
from typing import NamedTuple

__all__ = ["FRAMING", "Mesh", "Tag", "connect_mesh"]


class Tag(NamedTuple):
    """What a message belongs to: a run, a plan of it, an iteration of that, a node of the plan, and the message's number in that node."""

    run: int
    plan: int = 0
    iteration: int = 0
    node: int = 0
    number: int = 0


_HEADER = Struct("<IIIIIQ")
FRAMING = _HEADER.size
"""Bytes before the body of every message."""
PORT = 5000
TURN = 4096
"""Bytes that a message may send before it is the turn of another that the host sends: what Linux's fair queueing, which is its default in
most distributions but not in every kernel, would do with packets."""
BUFFER = 4 << 20
"""Bytes of socket buffer, each way: more than a delay of 10 ms holds at 200 Mbit/s, both ways and many times over."""


class Mesh:
    """The connections of one host.

    Attributes:
        rank: of this host.
        peers: connected sockets by rank.
    """

    def __init__(self, rank: int, peers: Mapping[int, socket.socket]) -> None:
        self.rank = rank
        self.peers = dict(peers)
        self._poll = select.poll()
        self._lines = {each.fileno(): _Line(peer, each) for peer, each in self.peers.items()}
        self._watched: dict[int, Callable[[], None]] = {}
        self._arrived: dict[tuple[int, Tag], bytearray] = {}
        for number, line in self._lines.items():
            line.socket.setblocking(False)
            self._poll.register(number, select.POLLIN)

    def watch(self, number: int, ready: Callable[[], None]) -> None:
        """Have `wait` call `ready` when that file descriptor is readable."""
        self._watched[number] = ready
        self._poll.register(number, select.POLLIN)

    def post(self, messages: Iterable[tuple[int, Tag, bytes | bytearray]]) -> None:
        """Send messages to peers; returns at once. They leave by turns, a packet's worth at a time."""
        touched: dict[int, _Line] = {}
        for peer, tag, body in messages:
            line = touched[peer] = self._lines[self.peers[peer].fileno()]
            line.outgoing += (memoryview(_HEADER.pack(*tag, len(body))), memoryview(body))
        lines = list(touched.values())
        while lines:
            lines = [line for line in lines if line.send(TURN if len(lines) > 1 else BUFFER)]
        for line in touched.values():
            self._mind(line)

    def drain(self, seconds: float) -> None:
        """Wait until everything that was posted is handed over."""
        while any(line.outgoing for line in self._lines.values()):
            self.wait(seconds)

    def take(self, peer: int, tag: Tag) -> bytearray | None:
        """The message of that tag from that peer, once; None if it is not here."""
        return self._arrived.pop((peer, tag), None)

    def wait(self, seconds: float) -> None:
        """Sleep until something can move, and move it; raises `TimeoutError` if nothing could within `seconds`."""
        events = self._poll.poll(seconds * 1e3)
        if not events:
            raise TimeoutError(f"host {self.rank}: nothing arrived in {seconds:g} s")
        for number, event in events:
            if number in self._watched:
                self._watched[number]()
                continue
            line = self._lines[number]
            if event & select.POLLOUT:
                while line.send(BUFFER):
                    pass
                self._mind(line)
            if event & ~select.POLLOUT:
                self._receive(line)

    def close(self) -> None:
        """Close every connection."""
        for each in self.peers.values():
            each.close()

    def _mind(self, line: _Line) -> None:
        """Be told when a line takes more, if it has more."""
        if bool(line.outgoing) != line.minded:
            line.minded = bool(line.outgoing)
            self._poll.modify(line.socket.fileno(), select.POLLIN | (select.POLLOUT if line.minded else 0))

    def _receive(self, line: _Line) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                tag, body = line.receive()
                self._arrived[line.peer, tag] = body


class _Line:
    """One connection: what is still to be sent, and the message that is coming in."""

    def __init__(self, peer: int, connected: socket.socket) -> None:
        self.peer = peer
        self.socket = connected
        self.outgoing: deque[memoryview] = deque()
        self.head = bytearray(FRAMING)
        self.tag: Tag | None = None
        self.body = bytearray()
        self.left = memoryview(self.head)
        self.minded = False

    def send(self, most: int) -> bool:
        """Hand over about so many bytes; whether more of them would be taken."""
        batch = list(islice(self.outgoing, 2))
        if len(batch[-1]) > most:
            batch[-1] = batch[-1][:most]
        try:
            count = self.socket.sendmsg(batch)
        except BlockingIOError:
            return False
        while count:
            if count < len(self.outgoing[0]):
                self.outgoing[0] = self.outgoing[0][count:]
                break
            count -= len(self.outgoing.popleft())
        return bool(self.outgoing)

    def receive(self) -> tuple[Tag, bytearray]:
        """The next whole message; raises `BlockingIOError` when more must come first."""
        while True:
            while len(self.left):
                got = self.socket.recv_into(self.left)
                if got == 0:
                    raise ConnectionError(f"host {self.peer} has closed its connection")
                self.left = self.left[got:]
            if self.tag is None:
                *tag, length = _HEADER.unpack(self.head)
                self.tag, self.body = Tag(*tag), bytearray(length)
                self.left = memoryview(self.body)
            else:
                tag_, body = self.tag, self.body
                self.tag, self.left = None, memoryview(self.head)
                return tag_, body


def connect_mesh(rank: int, addresses: Sequence[str], *, port: int = PORT, seconds: float = 20.0) -> Mesh:
    """Connect to every host of lower rank and accept those of higher rank; raises `OSError` if that takes longer than `seconds`."""
    peers: dict[int, socket.socket] = {}
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _make_room(server)
        server.bind((addresses[rank], port))
        server.listen(len(addresses))
        server.settimeout(seconds)
        for other in range(rank):
            peers[other] = _dial(addresses[other], port, seconds)
            peers[other].sendall(bytes([rank]))
        for _ in range(rank + 1, len(addresses)):
            found, _ = server.accept()
            found.settimeout(seconds)
            peers[found.recv(1)[0]] = found
    for each in peers.values():
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Mesh(rank, peers)


def _make_room(unconnected: socket.socket) -> None:
    """Room for everything under way; windows are agreed on when a connection is made, so before that."""
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        unconnected.setsockopt(socket.SOL_SOCKET, option, BUFFER)


def _dial(host: str, port: int, seconds: float) -> socket.socket:
    end = time.monotonic() + seconds
    while True:
        dialling = socket.socket()
        _make_room(dialling)
        dialling.settimeout(seconds)
        try:
            dialling.connect((host, port))
        except ConnectionRefusedError:
            dialling.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return dialling
