"""Requests to a storage: counted, checked, and a file that is gone afterwards."""

import os

import pytest

from edgewright.kernels import storage
from edgewright.kernels.storage import measure_storage, probe_file

MIB = 1 << 20


@pytest.fixture
def file(tmp_path):
    with probe_file(tmp_path, MIB) as made:
        yield made


@pytest.mark.parametrize("random", [False, True])
@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize(("block", "depth"), [(4096, 1), (65536, 3)])
def test_requests_are_timed(file, write, random, block, depth):
    sample = measure_storage(file, block=block, depth=depth, write=write, random=random, seconds=0.05)
    assert 0 <= sample.low <= sample.rate <= sample.high  # slices in which a busy machine moved nothing count, and are said
    assert sample.rate > 0 or sample.reasons
    assert sample.latency > 0
    assert sample.requests * block >= sample.rate * 0.05 * 0.2  # what the median slice says was moved at least in part
    assert sample.trusted == (not sample.reasons)
    assert sample.direct or "page cache" in sample.reasons[0]


def test_depth_is_requests_in_flight_by_littles_law(file):
    sample = measure_storage(file, block=4096, depth=2, seconds=0.2)
    in_flight = sample.rate / sample.block * sample.latency
    assert in_flight <= 2 * 1.5  # medians of both, not means


def test_a_file_system_that_refuses_direct_requests_is_named(file, monkeypatch):
    opened = os.open

    def refuse(path, flags, *mode):
        if flags & getattr(os, "O_DIRECT", 0):
            raise OSError(22, "Invalid argument")
        return opened(path, flags, *mode)

    monkeypatch.setattr(storage.os, "open", refuse)
    sample = measure_storage(file, seconds=0.02)
    assert not sample.direct
    assert not sample.trusted
    assert "page cache" in sample.reasons[0]


def test_what_is_written_stays_as_long_as_it_was(file):
    measure_storage(file, block=8192, depth=2, write=True, random=True, seconds=0.02)
    assert file.stat().st_size == MIB


def test_the_file_is_gone_afterwards_even_after_an_error(tmp_path):
    def fail():
        with probe_file(tmp_path, MIB) as made:
            assert made.stat().st_size == MIB
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("block", "depth", "seconds"), [(1000, 1, 1.0), (0, 1, 1.0), (2 * MIB, 1, 1.0), (4096, 0, 1.0), (4096, 1, 0.0)])
def test_requests_that_cannot_be_are_refused(file, block, depth, seconds):
    with pytest.raises(ValueError, match="requests are multiples of 4096 bytes and no longer than the file"):
        measure_storage(file, block=block, depth=depth, seconds=seconds)


def test_a_probe_without_room_is_refused(tmp_path):
    with pytest.raises(ValueError, match="twice its size free"), probe_file(tmp_path, 1 << 60):
        pass
