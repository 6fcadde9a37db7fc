"""Number formats: bits per weight, and the bytes of published files that follow from them."""

from pathlib import Path

import pytest

from edgewright.workloads import Format, UnknownFormat, format_named, format_names, zoo

GIB = 2**30
CATALOGUE = Path(__file__).resolve().parents[2] / "../shared/catalog/models.csv"


def test_block_formats_by_hand():
    assert format_named("q4_0").weight_bits == (16 + 32 * 4) / 32
    assert format_named("q8_0").weight_bits == (16 + 32 * 8) / 32
    assert format_named("w4a16").weight_bits == 4 + (16 + 4) / 128
    assert format_named("tq1_0").weight_bits == 54 * 8 / 256
    assert format_named("q6_k").weight_bits == 210 * 8 / 256


def test_q4_k_m_from_its_recipe():
    """Llama-2-7B: per layer 8 of 16 of `attn_v` (4096 x 4096) and `ffn_down` (4096 x 11008) are Q6_K, the rest Q4_K."""
    wide = (4096 * 4096 + 4096 * 11008) / 2
    matrices = 4 * 4096 * 4096 + 3 * 4096 * 11008
    assert format_named("q4_k_m").weight_bits == pytest.approx(4.5 + (6.5625 - 4.5) * wide / matrices, abs=0.02)


# Published sizes of GGUF files, GiB; the file holds its vocabulary besides. Llama 2: llama.cpp's pull request 3084; Llama 3:
# XiongjieDai, GPU-Benchmarks-on-LLM-Inference; Llama-3.2-3B: the README of distributed-llama.
FILES = [
    ("llama-2-7b", "q4_0", 3.56),
    ("llama-2-7b", "q4_k_m", 3.80),
    ("llama-2-7b", "q8_0", 6.67),
    ("llama-2-7b", "fp16", 12.55),
    ("llama-2-7b", "q2_k", 2.36),
    ("llama-3.1-8b", "q4_0", 4.34),
    ("llama-3.1-8b", "q4_k_m", 4.58),
    ("llama-3.1-8b", "q8_0", 7.95),
    ("llama-3.1-8b", "fp16", 14.96),
    ("llama-3.1-8b", "q2_k", 2.95),
    ("llama-3.2-3b", "q4_k_m", 1.87),
]


@pytest.mark.parametrize(("name", "format", "size"), FILES)
def test_weight_bytes_of_published_files(name, format, size):
    assert zoo.model(name).weight_bytes(format_named(format)) / GIB == pytest.approx(size, rel=0.005)


def test_awq_leaves_embeddings_and_head_wide():
    """Llama-3.1-8B AWQ: 4.16 bits on 6.98 G weights, 16 on the two tables: 5.73 GB as published (the size of its checkpoint; recalled)."""
    assert zoo.model("llama-3.1-8b").weight_bytes(format_named("w4a16")) == pytest.approx(5.73e9, rel=0.002)


def test_roles():
    format = Format("mine", 4.0, embedding_bits=8.0, vector_bits=32.0)
    assert [format.bits(role) for role in ("matrix", "embedding", "head", "vector")] == [4.0, 8.0, 4.0, 32.0]


def test_every_name_gives_its_format():
    assert all(format_named(name).name == name for name in format_names())
    assert format_named("FP16") == format_named("fp16")


def test_an_unknown_format_names_the_nearest():
    with pytest.raises(UnknownFormat, match=r"accepted are fp32, .*did you mean 'q4_k_m'\?"):
        format_named("q4_k_x")


def test_every_format_says_where_it_comes_from():
    assert all(format_named(name).source for name in format_names())
