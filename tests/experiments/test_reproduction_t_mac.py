"""T-MAC's prices against arithmetic, and the rows that were measured."""

import pytest

from edgewright.experiments.reproductions.t_mac.boards import BOARDS, Kernel
from edgewright.experiments.reproductions.t_mac.measured import SHAPES, ratios, stored


def test_one_thread_is_bound_by_look_ups_and_linear_in_bits():
    """A product of 11008 x 4096 on one of the Orin's cores: 1.5 b operations a weight at half of a twelfth of 1.69 Tera/s."""
    table, board = Kernel("t-mac"), BOARDS["orin"]
    seconds = [table.product(board, (11008, 4096), bits, 1) for bits in (2, 4)]
    assert seconds[1] / seconds[0] == pytest.approx(2.0, rel=0.1)
    assert seconds[1] == pytest.approx(6.0 * 11008 * 4096 / (0.5 * 1.6896e12 / 12), rel=0.1)


def test_all_threads_read_the_memory_as_llama_cpp_does():
    """At 4 bits and 12 threads both wait for the memory: 4.5 bits a weight against 4.125."""
    shape, board = (11008, 4096), BOARDS["orin"]
    assert 0.5 < Kernel("t-mac").product(board, shape, 4, 12) / Kernel("llama.cpp").product(board, shape, 4, 12) < 1.1


def test_rows_name_their_machine_and_every_shape():
    found = stored()
    assert found["machine"]
    assert {tuple(row["shape"]) for row in found["rows"]} == set(SHAPES)
    assert all(row["seconds"] > 0 for row in found["rows"])


def test_look_ups_gain_more_the_fewer_the_bits():
    found = ratios()
    assert sorted(found.values(), reverse=True) == list(found.values())
