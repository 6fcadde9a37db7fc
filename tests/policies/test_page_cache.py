"""The closed forms of a cyclic scan against caches that really replace, and the policy that reads by them."""

from collections import OrderedDict
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.hwmodels import Attachment, Cluster, Storage
from edgewright.hwmodels.ideal import ideal_device
from edgewright.policies.conformance import check_policy
from edgewright.policies.partitioning import Single
from edgewright.policies.residency import Lru, Mmap, Swap
from edgewright.policies.residency.page_cache import cyclic_hits
from edgewright.policies.timeline import makespan
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Block, Format, Model, Step
from edgewright.workloads.model_operators import Linear

BYTE = Format("byte", 8.0, 8.0, 8.0, "fp32", "fp32", vector_bits=8.0)
TOKEN = Step.of(decode=[1])
PAGE = 4096


def lru_hits(pages, cached):
    """Of the third pass."""
    cache, hits = OrderedDict(), 0
    for access in range(3 * pages):
        page = access % pages
        hits += page in cache and access >= 2 * pages
        cache.pop(page, None)
        cache[page] = True
        if len(cache) > cached:
            cache.popitem(last=False)
    return hits / pages


def random_hits(pages, cached, passes=60):
    """Of the later two thirds of the passes."""
    random, slots, where, hits = Random(1), [], {}, 0
    for access in range(passes * pages):
        page = access % pages
        if page in where:
            hits += access >= passes // 3 * pages
            continue
        slot = len(slots) if len(slots) < cached else random.randrange(cached)
        if slot == len(slots):
            slots.append(page)
        else:
            del where[slots[slot]]
            slots[slot] = page
        where[page] = slot
    return hits / pages / (passes - passes // 3)


@given(pages=st.integers(1, 40), cached=st.integers(1, 60))
def test_lru_keeps_all_of_a_cycle_or_nothing(pages, cached):
    assert cyclic_hits(pages, cached, "lru") == lru_hits(pages, cached)


@pytest.mark.parametrize(("pages", "cached"), [(400, 380), (200, 180), (200, 150), (100, 95), (100, 50), (300, 60)])
def test_random_replacement_keeps_a_part(pages, cached):
    """The docstring's error, 0.02, over six caches."""
    assert cyclic_hits(pages, cached, "random") == pytest.approx(random_hits(pages, cached), abs=0.02)


@given(pages=st.integers(2, 10**6), cached=st.integers(1, 10**6))
def test_random_is_between_nothing_and_beladys_choice_and_solves_its_equation(pages, cached):
    hits = cyclic_hits(pages, cached, "random")
    if cached >= pages:
        assert hits == 1.0
        return
    assert 0.0 <= hits <= (cached - 1) / (pages - 1)
    assert hits == pytest.approx((1 - 1 / cached) ** (pages * (1 - hits)) if cached > 1 else 0.0, abs=1e-6)


def test_the_figures_of_the_docstring():
    assert [round(cyclic_hits(1e6, share * 1e6, "random"), 2) for share in (0.9, 0.75, 0.5)] == [0.81, 0.55, 0.2]


def test_an_unknown_replacement_is_refused():
    with pytest.raises(ValueError, match=r"replacement: 'clock' is not accepted; accepted are 'lru' and 'random'"):
        Mmap(replacement="clock")


# -- the policy ------------------------------------------------------------------------------------------------------------------------


def chain(*pages):
    """One matrix of so many pages per block."""
    blocks = tuple(Block(f"b{i}", "ffn", i, (Linear("m", 1, width * PAGE),), 1.0) for i, width in enumerate(pages))
    return Model(f"chain{pages}", blocks, 1, 1, True, cuts=tuple(range(1, len(pages))))


def spec(pages, write=1.0 / PAGE):
    """Memory for so many pages; a disk of 100 pages/s that answers after 0.1 s; computing takes no time. `write`: pages/s."""
    disk = Storage("disk", "Disk", 100.0 * PAGE, write * PAGE, 0.1)
    cluster = Cluster({"d": ideal_device(1e30)}, attachments=(Attachment("disk", "d", disk),))
    return ReplicaSpec("chat.edge", ("d",), cluster, BYTE, {"d": pages * float(PAGE)})


def seconds(policy, pages):
    replica = spec(pages)
    placement = policy.arrange(Single().plan(chain(50, 50), replica), replica)
    return makespan(placement.program, replica.cluster, TOKEN)


def test_what_fits_is_never_read():
    assert seconds(Mmap(), 100) == pytest.approx(0.0, abs=1e-9)


def test_a_cache_one_page_too_small_reads_everything_under_lru_and_little_at_random():
    """Two blocks of 50 pages in windows of 10, two in flight: the disk is kept busy, 0.1 s + 0.5 s each. Random replacement with room for
    99 misses under 3 %."""
    reads = Mmap(readahead=10.0 * PAGE)
    assert seconds(reads, 99) == pytest.approx(1.2)
    missing = 1.0 - cyclic_hits(100, 99, "random")
    assert missing < 0.03
    assert seconds(Mmap(readahead=10.0 * PAGE, replacement="random"), 99) < 0.25


def test_small_windows_pay_the_latency_each():
    """100 pages one by one: 0.11 s each; whole blocks, as `lru` reads them: 0.1 s + 0.5 s, twice."""
    assert seconds(Mmap(readahead=float(PAGE), depth=1), 50) == pytest.approx(11.0)
    assert seconds(Lru(), 50) == pytest.approx(1.2)


def test_it_says_that_memory_is_page_cache():
    replica = spec(60)
    placement = Mmap().arrange(Single().plan(chain(50, 50), replica), replica)
    assert (placement.resident_as, placement.resident, placement.reads) == ("page cache", {"d": 60.0 * PAGE}, ("d",))


# -- swap ------------------------------------------------------------------------------------------------------------------------------


def test_swapping_writes_what_it_reads_unless_clean_copies_are_kept():
    """Memory for 60 of 100 pages: two blocks of 50, read in 0.1 s + 0.5 s each at 100 pages/s in clusters of 10, and written before that
    in 0.1 s + 1 s at 50 pages/s."""
    replica = spec(60, write=50.0)
    times = {}
    for write_back in (True, False):
        policy = Swap(cluster=10.0 * PAGE, write_back=write_back)
        placement = policy.arrange(Single().plan(chain(50, 50), replica), replica)
        times[write_back] = makespan(placement.program, replica.cluster, TOKEN)
    assert times[False] == pytest.approx(1.2)
    assert times[True] == pytest.approx(1.2 + 2.2)
    assert placement.resident == {"d": 60.0 * PAGE}


def test_what_fits_is_not_swapped():
    assert seconds(Swap(), 100) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    "policy",
    [Mmap(replacement="random"), Mmap(readahead=4096.0, depth=8), Swap(replacement="random"), Swap(write_back=False, depth=1)],
    ids=repr,
)
def test_hyper_parameters_conform(policy):
    check_policy(policy)
