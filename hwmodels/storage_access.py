"""How fast a storage serves requests of one size, and what an access demands of it: block size, queue depth, direction.

One request of `block` bytes alone takes `R0 = latency + block / rate`. With q requests in flight, Little's law and the slowest part bound
the throughput (asymptotic bounds; Denning and Buzen, ACM Computing Surveys 10(3), 1978):

    bytes/s (block, q) = min(q * block / R0, requests/s * block, rate)

The middle roof, `random_read / 4 KiB` (writes: `random_write`), holds for requests at random; those in sequence are merged and read ahead
inside the device. Alone, n bytes in requests of that size take

    max(n / block * R0 / q, latency + n / roof)        one request: R0 exactly; the roof is the last two of the three above

    4 KiB at random from an SSD of 7 GB/s, 60 us, 1 M requests/s:  q = 1: 67.6 MB/s;  q = 8: 541 MB/s;  q = 128: 4.1 GB/s (requests bind)

A device takes `queue_depth` requests at a time, so each request uses R0 / queue_depth of its time (at random: 1 / requests per second,
measured with the queue filled): once more are there than it takes, they queue, and all wait longer in proportion.

Half duplex (SD, eMMC, SATA and disks move data one way at a time: SD Physical Layer Specification 6; JEDEC JESD84-B51; Serial ATA 3.2):
both directions share the channel's time besides their own rates. UFS (JEDEC JESD220) and NVMe are full duplex.

Energy: the watts above idle go with the share of the device that is in use.

How accurate is this model? At both ends of the curve exact by construction; at its knee the bounds are up to two times too fast (a closed
queue with exponential service reaches q / (q + 1) of them). In a full-duplex SSD reads wait behind programs and erases of the same die,
which costs mixed loads up to a half and is not here, nor are garbage collection, thermal throttling and the SLC cache that many drives
write to first: `write` is what they sustain only if the figure says so. Users share the device fairly and at once; a real small request
waits for the large ones in front of it, first come, first served.
"""

from __future__ import annotations

from typing import cast

from edgewright.hwmodels.arrays import choose, greatest, nowhere_negative, positive
from edgewright.hwmodels.demand import Demand
from edgewright.hwmodels.specs import Storage
from edgewright.hwmodels.work import Quantity

__all__ = ["PAGE", "access", "channels", "rate_at"]

PAGE = 4096.0
"""Bytes of the requests for which random rates are stated."""


def channels(owner: str, storage: Storage) -> dict[str, float]:
    """The shared capacities of a storage called `owner`: bytes/s of both directions, and its time where it is half duplex."""
    found = {f"{owner}.read": storage.read, f"{owner}.write": storage.write}
    if storage.duplex == "half":
        found[f"{owner}.channel"] = 1.0
    return found


def rate_at(storage: Storage, *, write: bool = False, random: bool = False, block: float = PAGE, depth: int | None = None) -> float:
    """Bytes/s of requests of `block` bytes with `depth` in flight (None: as many as the storage takes).

    Raises `ValueError` for an unknown random rate, and for a block or depth that is not positive.
    """
    _require(block, depth)
    peak, latency = _direction(storage, write)
    alone = latency + block / peak
    most = min(storage.queue_depth * block / alone, peak)
    if random:
        stated = storage.random_write if write else storage.random_read
        if stated is None:
            raise ValueError(f"the random {'write' if write else 'read'} rate of storage {storage.name!r} is unknown")
        most = min(stated / PAGE * block, peak)
    return most if depth is None else min(depth * block / alone, most)


def access(
    owner: str,
    storage: Storage,
    nbytes: Quantity,
    *,
    write: bool = False,
    random: bool = False,
    block: float | None = None,
    depth: int | None = None,
) -> Demand:
    """What reading or writing so many bytes demands of the storage called `owner`; nothing for zero bytes.

    `block` None: one long access in sequence, or, if `random`, pages. `depth` None: as many requests in flight as the storage takes.
    Raises `ValueError` for a negative amount, and where `rate_at` does.
    """
    if not nowhere_negative(nbytes):
        raise ValueError(f"an amount of bytes must be zero or more, not {nbytes!r}")
    if not positive(nbytes):
        return Demand()
    peak, latency = _direction(storage, write)
    size = PAGE if block is None else block
    whole = block is None and not random
    _require(size, depth)
    most = peak if whole else rate_at(storage, write=write, random=random, block=size)
    busy, first, seconds = nbytes / most, choose(nbytes > 0, latency, 0.0), cast("Quantity", 0.0)
    if not whole:
        served = greatest(nbytes / size * (latency + size / peak), first + nbytes / peak)
        if not random:
            busy = greatest(nbytes / peak, served / storage.queue_depth)
        seconds = first + nbytes / (most if random else peak)
        if depth is not None:
            seconds = greatest(seconds, served / min(depth, storage.queue_depth))
        first = 0.0
    usage: dict[str, Quantity] = {f"{owner}.{'write' if write else 'read'}": busy * peak}
    if storage.duplex == "half":
        usage[f"{owner}.channel"] = busy
    watts = storage.write_W if write and storage.write_W is not None else storage.active_W
    return Demand(first, seconds, usage, {owner: nbytes * (watts / most)})


def _require(block: float, depth: int | None) -> None:
    if block <= 0.0 or (depth is not None and depth < 1):
        raise ValueError(f"requests have one byte or more, and one or more are in flight: not block {block!r}, depth {depth!r}")


def _direction(storage: Storage, write: bool) -> tuple[float, float]:
    """Sequential rate and latency of a direction."""
    if not write:
        return storage.read, storage.latency
    return storage.write, storage.latency if storage.write_latency is None else storage.write_latency
