"""How fast a storage serves requests: sequential or random, by block size and by how many are in flight, read or written.

`depth` threads have one request in flight each, on a file of their own making that is gone afterwards, past the page cache (`O_DIRECT`)
where the file system allows it. Where it does not, requests go through the page cache, and the figure says so in `reasons`: it is then
one of the memory as much as of the storage. Rates are taken over slices of time after a warm-up; the figure is their median, with the
interval of `intervals.median_interval`.

How wrong: a request made from Python costs some 3 microseconds of the interpreter, which all threads share, so that above some 100 000
requests/s the interpreter is what is timed (said in `reasons`); io_uring, which would not, is out of the standard library's reach. The
file is as large as `size`: a device's own cache that holds it is part of the figure. Writes end with `fdatasync` in the time of the last
slice only; a drive that acknowledges what it holds in a cache of its own sustains less.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from mmap import mmap
from pathlib import Path
from statistics import median
from tempfile import mkstemp
from time import perf_counter

from edgewright.kernels.intervals import least_samples, median_interval

__all__ = ["INTERPRETER_REQUESTS", "PAGE", "StorageSample", "measure_storage", "probe_file"]

PAGE = 4096
"""Bytes that blocks are multiples of, and that buffers are aligned to: what direct requests need on every common device."""
INTERPRETER_REQUESTS = 1e5
"""Requests/s above which the interpreter that makes them is in the figure."""
_WARM = 0.2
_WIDE = 0.05
_REFUSED = "the file system refuses O_DIRECT ({}): requests go through the page cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSample:
    """The rate of one kind of request, and how far to trust it.

    Attributes:
        write: written, or read.
        random: at random places, or one block after another.
        block: bytes of a request.
        depth: requests in flight.
        direct: past the page cache.
        rate: median bytes/s of the slices.
        low, high: the median's confidence interval.
        latency: median seconds of one request, from the call to its return.
        requests: how many were made.
        reasons: what speaks against the figure, in words; none is known if empty.
    """

    write: bool
    random: bool
    block: int
    depth: int
    direct: bool
    rate: float
    low: float
    high: float
    latency: float
    requests: int
    reasons: tuple[str, ...]

    @property
    def trusted(self) -> bool:
        """Nothing is known to speak against the figure."""
        return not self.reasons


def measure_storage(
    file: Path, *, block: int = PAGE, depth: int = 1, write: bool = False, random: bool = False, seconds: float = 1.0, seed: int = 0
) -> StorageSample:
    """Time requests to `file` (see `probe_file`), which is overwritten where `write`.

    Args:
        file: an existing file of at least one block; longer ones are used up to a whole number of blocks.
        block: bytes of a request, a multiple of 4096.
        depth: requests in flight.
        write: write instead of read.
        random: at random places instead of one after another.
        seconds: how long, after a warm-up of a fifth of it.
        seed: of the places and of what is written.

    Raises `ValueError` for a block that is not a multiple of 4096 bytes, a depth or time that is not positive, or a file shorter than a
    block.
    """
    blocks = file.stat().st_size // block if block > 0 and block % PAGE == 0 else 0
    if not blocks or depth < 1 or seconds <= 0:
        raise ValueError(
            f"requests are multiples of {PAGE} bytes and no longer than the file, one or more in flight, for some time: "
            f"not block {block}, depth {depth}, {seconds} s, a file of {file.stat().st_size} bytes"
        )
    descriptor, direct, refusal = _opened(file, write)
    try:
        places = _places(blocks, block, random, seed)
        begun, ended = _run(descriptor, places, block, depth, write, seconds, seed)
    finally:
        os.close(descriptor)
    rates = _rates(ended, block, seconds)
    rate, (low, high) = median(rates), median_interval(rates, 0.95)
    reasons = list(refusal)
    if high - low > 2 * _WIDE * rate:
        reasons.append(f"the median rate is known to {(high - low) / 2 / rate if rate else 1.0:.0%} only")
    if rate / block > INTERPRETER_REQUESTS:
        reasons.append(f"{rate / block:.3g} requests/s: the interpreter that makes them is in the figure")
    latency = median(end - start for start, end in zip(begun, ended, strict=True))
    return StorageSample(
        write=write, random=random, block=block, depth=depth, direct=direct, rate=rate, low=low, high=high, latency=latency,
        requests=len(ended), reasons=tuple(reasons),
    )  # fmt: skip


@contextmanager
def probe_file(directory: Path, size: int) -> Iterator[Path]:
    """A file of `size` random bytes on the storage that holds `directory`, written through to it, and deleted afterwards whatever happens.

    Raises `ValueError` where less than twice as much is free.
    """
    from shutil import disk_usage

    if size < PAGE or disk_usage(directory).free < 2 * size:
        raise ValueError(f"a probe of {size} bytes needs a page or more, and twice its size free in {directory}")
    descriptor, name = mkstemp(prefix="edgewright-probe-", dir=directory)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            chunk = os.urandom(min(size, 1 << 20))  # no zeros, which some devices compress
            for first in range(0, size, len(chunk)):
                opened.write(chunk[: size - first])
            opened.flush()
            os.fsync(opened.fileno())
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _opened(file: Path, write: bool) -> tuple[int, bool, tuple[str, ...]]:
    """A descriptor past the page cache if possible; whether it is, and why not."""
    flags = os.O_RDWR if write else os.O_RDONLY
    past = getattr(os, "O_DIRECT", 0)
    if not past:
        return os.open(file, flags), False, ("this system has no O_DIRECT: requests go through the page cache",)
    try:
        descriptor = os.open(file, flags | past)
    except OSError as refused:
        return os.open(file, flags), False, (_REFUSED.format(refused.strerror),)
    try:  # some refuse the request only
        with mmap(-1, PAGE) as room:
            os.preadv(descriptor, [room], 0)
    except OSError as refused:
        os.close(descriptor)
        return os.open(file, flags), False, (_REFUSED.format(refused.strerror),)
    return descriptor, True, ()


def _places(blocks: int, block: int, random: bool, seed: int) -> Callable[[], int]:
    """Where the next request goes; may be called from any thread."""
    import numpy as np

    following = count()
    if not random:
        return lambda: next(following) % blocks * block
    drawn = (np.random.default_rng(seed).integers(0, blocks, 1 << 16) * block).tolist()
    return lambda: drawn[next(following) & 0xFFFF]


def _run(
    descriptor: int, place: Callable[[], int], block: int, depth: int, write: bool, seconds: float, seed: int
) -> tuple[list[float], list[float]]:
    """When each request was begun and ended, in seconds after the warm-up; those of the warm-up are left out."""
    from concurrent.futures import ThreadPoolExecutor

    start = perf_counter() + _WARM * seconds
    with ThreadPoolExecutor(depth) as pool:
        working = [pool.submit(_requests, descriptor, place, block, write, start, seconds, seed + i) for i in range(depth)]
        times = [each.result() for each in working]
    return [begun for some, _ in times for begun in some], [ended for _, some in times for ended in some]


def _requests(
    descriptor: int, place: Callable[[], int], block: int, write: bool, start: float, seconds: float, seed: int
) -> tuple[list[float], list[float]]:
    """One request after another until the time is over."""
    from random import Random

    begun: list[float] = []
    ended: list[float] = []
    with mmap(-1, block) as room:  # begins on a page
        room[:] = Random(seed).randbytes(block)
        buffers = [room]
        request = os.pwritev if write else os.preadv
        while (before := perf_counter()) < start + seconds:
            done = request(descriptor, buffers, place())
            after = perf_counter()
            if done != block:
                raise OSError(f"a request of {block} bytes moved {done}")
            if after > start:
                begun.append(before - start)
                ended.append(after - start)
        if write:
            os.fdatasync(descriptor)
            ended[-1:] = [perf_counter() - start]
    return begun, ended


def _rates(ended: Sequence[float], block: int, seconds: float) -> list[float]:
    """Bytes/s of each slice of the time; what ended after it counts to the last, which lasts until then."""
    slices = max(least_samples(0.95), 10)
    width = seconds / slices
    finished = [0] * slices
    for end in ended:
        finished[min(int(end / width), slices - 1)] += 1
    last = max([seconds, *ended]) - (slices - 1) * width
    return [each * block / (last if at == slices - 1 else width) for at, each in enumerate(finished)]
