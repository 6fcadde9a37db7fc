"""Checkpoints of keys and values: written to the devices' storages as a context grows, read again when its job resumes after a crash.

Every device writes its own share behind the steps, as flows that contend for its storage and its bus; a checkpoint counts when the last
of them has arrived. What is not yet saved when a device crashes is lost.

How wrong: the copy from memory takes no time of an engine; a checkpoint is never given up or deleted, and takes no room on the storage.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from edgewright.hwmodels import Demand
from edgewright.simulator.assemble_memory import kv_bytes_per_token
from edgewright.simulator.request import Request

if TYPE_CHECKING:
    from edgewright.simulator.assemble import Setup
    from edgewright.simulator.machine import Machine

__all__ = ["Checkpoints"]


class Checkpoints:
    """The checkpoints of one replica.

    Attributes:
        every: tokens of context between two checkpoints of a request; None: none are written.
    """

    def __init__(self, machine: Machine, setup: Setup) -> None:
        self.machine = machine
        self.every: int | None = None
        self._per_token = {device: each for device, each in kv_bytes_per_token(setup).items() if each > 0.0}
        self._writing: dict[Request, int] = {}

    def due(self, decoding: Sequence[Request]) -> float:
        """Steps until the first of these has a checkpoint to write."""
        if self.every is None:
            return inf
        return min((self.every - request.context % self.every for request in decoding), default=inf)

    def write(self, requests: Sequence[Request]) -> None:
        """A step has ended: write what is due of these, unless their last checkpoint is still on its way."""
        every = self.every
        for request in requests if every is not None else ():
            assert every is not None
            whole = request.context // every * every
            if request.finished is None and whole > request.saved and request not in self._writing:
                self._write(request, whole)

    def _write(self, request: Request, whole: int) -> None:
        tokens, attempt = whole - request.saved, request.attempt
        self._writing[request] = whole

        def arrived() -> None:
            self._writing.pop(request, None)
            if request.attempt == attempt and request.finished is None and request.context >= whole:
                request.saved = whole

        self._all(lambda device, each: self.machine.cluster.store(device, tokens * each), arrived)

    def restore(self, taken: Sequence[Request]) -> Generator[Any, Any, None]:
        """Read what checkpoints hold of the admitted requests: a SimPy process that ends when it is in memory."""
        back = [request for request in taken if request.stored]
        if not back:
            return
        arrived = self.machine.env.event()
        tokens = sum(request.stored for request in back)
        self._all(lambda device, each: self.machine.cluster.load(device, tokens * each), arrived.succeed)
        yield arrived
        for request in back:
            request.stored = 0

    def _all(self, price: Callable[[str, float], Demand], done: Callable[[], Any]) -> None:
        """Run an operation on every device that caches, and call when the last has ended."""
        left = len(self._per_token)

        def one_less(_: object) -> None:
            nonlocal left
            left -= 1
            if not left:
                done()

        for device, each in self._per_token.items():
            self.machine.run(lambda device=device, each=each: price(device, each), one_less)  # type: ignore[misc]
