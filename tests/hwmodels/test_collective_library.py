"""NCCL's choices and the costs of what it chooses, with the arithmetic visible."""

import pytest

from edgewright.hwmodels.collective_library import Chosen, Fabric, chosen, cost_terms, library_seconds

NODE = Fabric("nvlink", 300e9, 240e9)
PAIR_OF_NODES = Fabric("nvlink", 300e9, 240e9, between=24e9, ports=4)


@pytest.mark.parametrize(
    ("kind", "ranks", "switch"),
    [
        # 15.2 us + n / 240 GB/s against 7.8 us + n / 60 GB/s
        ("all_reduce", 2, 7.4e-6 / (1 / 60e9 - 1 / 240e9)),
        # 11.8 us + n / 480 GB/s against 7.2 us + n / 160 GB/s
        ("all_gather", 2, 4.6e-6 / (1 / 160e9 - 1 / 480e9)),
        # 18.6 us + n / 320 GB/s against 8.4 us + n / 106.7 GB/s
        ("all_gather", 4, 10.2e-6 / (3 / 320e9 - 1 / 320e9)),
    ],
)
def test_it_leaves_the_low_latency_protocol_where_its_own_model_says(kind: str, ranks: int, switch: float) -> None:
    assert chosen(kind, ranks, ranks, 0.99 * switch, NODE) == Chosen("ring", "LL")
    assert chosen(kind, ranks, ranks, 1.01 * switch, NODE) == Chosen("ring", "Simple")


def test_longer_rings_pass_through_the_middle_protocol() -> None:
    found = [chosen("all_gather", 8, 8, mebibytes * 2.0**20, NODE).protocol for mebibytes in (1, 2, 4, 8, 16)]
    assert found == ["LL", "LL", "LL128", "LL128", "Simple"]
    assert chosen("alltoall", 8, 8, 1e3, NODE) == Chosen("pairs", "Simple")


def test_small_allreduces_over_nodes_go_through_a_tree() -> None:
    assert chosen("all_reduce", 16, 8, 1e5, PAIR_OF_NODES).algorithm == "tree"
    assert chosen("all_reduce", 16, 8, 1e9, PAIR_OF_NODES) == Chosen("ring", "Simple")


def test_terms_count_steps_bytes_and_the_own_block() -> None:
    assert cost_terms("all_reduce", 4, 4, 400.0, NODE) == {
        "base": 1.0,
        "hop.LL": 6,
        "wire.LL": pytest.approx(600.0 / 300e9),
        "copy": pytest.approx(100.0 / 300e9),
    }
    large = cost_terms("reduce_scatter", 4, 4, 4e8, NODE)
    assert large == {"base": 1.0, "start": 1.0, "hop.Simple": 3, "wire.Simple": pytest.approx(1e-3), "copy": pytest.approx(1e8 / 300e9)}
    costs = {"base": 5e-6, "start": 1e-5, "hop.Simple": 1e-6, "wire.Simple": 1.25, "copy": 0.0}
    assert library_seconds(large, costs) == pytest.approx(5e-6 + 1e-5 + 3e-6 + 1.25e-3)


def test_between_nodes_the_network_counts() -> None:
    """2 nodes of 2: of the 6 steps of a ring 4 cross, and 1.5 n go over two of the four ports."""
    ring = cost_terms("all_reduce", 4, 2, 1e9, PAIR_OF_NODES)
    assert (ring["hop.Simple"], ring["net.hop"], ring["net.wire"]) == (2, 4, pytest.approx(1.5e9 / 48e9))
    tree = cost_terms("all_reduce", 16, 8, 1e4, PAIR_OF_NODES)
    assert (tree["hop.LL"], tree["net.hop"], tree["net.wire"]) == (14, 2, pytest.approx(2 * 2e4 / 96e9))  # LL: half of it is flags
    sent = cost_terms("send_recv", 2, 1, 1e9, PAIR_OF_NODES)
    assert sent == {"base": 1.0, "pair": 1.0, "net.hop": 1.0, "net.pair": pytest.approx(1e9 / 24e9)}


def test_what_there_are_no_costs_of_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown collective 'gossip' of the library: accepted are all_reduce"):
        cost_terms("gossip", 2, 2, 1.0, NODE)
