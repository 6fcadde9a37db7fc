"""The loop of the switch, compiled: it calls the operating system itself and never the interpreter.

Importing this module imports Numba; only the switch's process does.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numba import njit

__all__ = ["SLOTS", "SLOT_BYTES", "forward", "pass_on", "queue_frame"]

SLOTS = 8192
"""Frames that can be under way."""
SLOT_BYTES = 9216
"""Bytes of a frame, with the header that the kernel puts before it."""
VNET_HEADER = 10
"""Bytes of that header: the state of a frame's checksum travels with it."""
_LINUX = ctypes.CDLL(None)
_PIECES = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def _foreign(name: str, result: Any, *arguments: Any) -> Any:
    found = getattr(_LINUX, name)
    found.restype, found.argtypes = result, arguments
    return found


_recv = _foreign("recv", ctypes.c_ssize_t, *_PIECES)
_send = _foreign("send", ctypes.c_ssize_t, *_PIECES)
_ppoll = _foreign("ppoll", ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_void_p)
_clock = _foreign("clock_gettime", ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
_DONT_WAIT = 0x40
_POLLIN = 1
_MONOTONIC = 1


@njit(nogil=True)
def _now(spec: Any) -> float:
    _clock(_MONOTONIC, spec.ctypes.data)
    return float(spec[0] + spec[1] * 1e-9)


@njit(nogil=True)
def queue_frame(now: float, source: int, passing: float, latency: float, sent: Any) -> float:
    """When the first bit of a frame that is let go now has crossed the switch; its sender's line is taken until the last is out."""
    begin = max(now, sent[source])
    sent[source] = begin + passing
    return float(begin + latency)


@njit(nogil=True)
def pass_on(crossed: float, target: int, passing: float, received: Any) -> float:
    """When the last bit is delivered; to be asked in the order of `crossed`, in which the receiver's line serves them."""
    received[target] = max(crossed, received[target]) + passing
    return float(received[target])


@njit(nogil=True)
def _earliest(due: Any, head: Any, tail: Any) -> int:
    """The queue whose first frame comes first; -1 if all are empty."""
    found = -1
    for queue in range(head.size):
        if head[queue] != tail[queue] and (found < 0 or due[queue, head[queue] % SLOTS] < due[found, head[found] % SLOTS]):
            found = queue
    return found


@njit(nogil=True)
def forward(files: Any, slots: Any, seconds_per_byte: float, latency: float, oversleep: float) -> None:
    """Forward frames between the ports `files[:-1]` until something can be read from `files[-1]`.

    Frames that crossed queue by their sender, frames that leave by their receiver: in both, times only grow. A frame goes from the one to
    the other as soon as nothing can cross before it any more: whatever is let go from now on crosses `latency` from now at the earliest.
    """
    hosts = files.size - 1
    spec, polled = np.zeros(2, np.int64), np.zeros((hosts + 1, 2), np.int32)
    sent, received = np.zeros(hosts), np.zeros(hosts)
    due, slot = np.zeros((2, hosts, SLOTS)), np.zeros((2, hosts, SLOTS), np.int32)
    head, tail = np.zeros((2, hosts), np.int64), np.zeros((2, hosts), np.int64)
    length, free, frees = np.zeros(SLOTS, np.int64), np.arange(SLOTS), SLOTS
    polled[:, 0] = files
    polled[:, 1] = _POLLIN
    while True:
        now = _now(spec)
        while True:
            first = _earliest(due[0], head[0], tail[0])
            if first < 0 or due[0, first, head[0, first] % SLOTS] > now + latency:
                break
            place = head[0, first] % SLOTS
            frame = slot[0, first, place]
            target = slots[frame, VNET_HEADER + 5]
            end = tail[1, target] % SLOTS
            passing = (length[frame] - VNET_HEADER) * seconds_per_byte
            due[1, target, end], slot[1, target, end] = pass_on(due[0, first, place], target, passing, received), frame
            head[0, first] += 1
            tail[1, target] += 1
        next_due = np.inf
        for target in range(hosts):
            while head[1, target] != tail[1, target] and due[1, target, head[1, target] % SLOTS] <= now:
                frame = slot[1, target, head[1, target] % SLOTS]
                _send(files[target], slots.ctypes.data + frame * SLOT_BYTES, length[frame], 0)
                head[1, target] += 1
                free[frees] = frame
                frees += 1
            if head[1, target] != tail[1, target]:
                next_due = min(next_due, due[1, target, head[1, target] % SLOTS])
        first = _earliest(due[0], head[0], tail[0])
        if first >= 0:
            next_due = min(next_due, due[0, first, head[0, first] % SLOTS])
        wait = min(3600.0, max(0.0, next_due - _now(spec) - oversleep))
        spec[0] = int(wait)
        spec[1] = int((wait - spec[0]) * 1e9)
        polled[:, 1] = _POLLIN
        _ppoll(polled.ctypes.data, hosts + 1, spec.ctypes.data, 0)
        if polled[hosts, 1] >> 16:
            return
        for source in range(hosts):
            while polled[source, 1] >> 16 and frees > 0:
                frame = free[frees - 1]
                got = _recv(files[source], slots.ctypes.data + frame * SLOT_BYTES, SLOT_BYTES, _DONT_WAIT)
                if got < 0:
                    break
                target = slots[frame, VNET_HEADER + 5]
                if target >= hosts:
                    continue
                frees -= 1
                length[frame] = got
                passing = (got - VNET_HEADER) * seconds_per_byte
                end = tail[0, source] % SLOTS
                due[0, source, end] = queue_frame(_now(spec), source, passing, latency, sent)
                slot[0, source, end] = frame
                tail[0, source] += 1
