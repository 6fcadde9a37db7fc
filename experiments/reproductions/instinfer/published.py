"""InstInfer (Pan et al., arXiv 2409.04992): what it claims, and what is not said."""

from __future__ import annotations

from edgewright.experiments.reproductions.claims import Assumption, Claim

__all__ = ["ASSUMPTIONS", "CLAIMS"]

_NOTES = "third-party notes"
_FLEXGEN = "FlexGen: the cache on an SSD, through the host's file system"

CLAIMS = (
    Claim(
        "headline",
        "throughput",
        "ratio",
        11.1,
        _FLEXGEN,
        "up to; OPT-13B, A6000, one storage that computes, SparF; here 64 sequences",
        "abstract",
        note="Predicted from the dense figure: SparF reads 0.5625 of the bytes, an eighth of the keys' channels and half of the page "
        "groups.",
    ),
    Claim(
        "dense64",
        "throughput",
        "ratio",
        6.85,
        _FLEXGEN,
        "OPT-13B, 64 sequences, dense, one storage that computes",
        _NOTES,
        unsimulated="An input: it gives the effective rate of FlexGen's path to its SSD, 1.3 GB/s of the data sheet's 7. With the data "
        "sheet's rate the ratio is 1.6 (`host_path`).",
    ),
    Claim(
        "vs_dram",
        "throughput",
        "ratio",
        1.046,
        "DeepSpeed with the cache in the host's memory, 16 sequences, its best",
        "OPT-13B, dense, 64 sequences in storage",
        _NOTES,
        note="Both are bound by reading the cache, the one at 11.2 GB/s, the other over PCIe 4.0 x16 at 27: the baseline must win by "
        "about 2. The published tie has DeepSpeed's path at half of PCIe's rate.",
    ),
    Claim(
        "vs_recomp",
        "throughput",
        "ratio",
        1.713,
        "vLLM, recomputing what it preempts",
        "SparF, 256 sequences",
        _NOTES,
        note="vLLM keeps 20 sequences in what the weights leave of 48 GB and reads them at 768 GB/s; the storage reads 11.2 GB/s. No batch "
        "makes up for that: per token of output as much cache is read, whoever holds it. The claim contradicts the paper's own bandwidths.",
    ),
    Claim(
        "opt30",
        "throughput",
        "ratio (dense, SparF)",
        (4.09, 9.39),
        _FLEXGEN,
        "OPT-30B on two GPUs; here one GPU of twice the memory, which a pipeline with one batch in flight is as quick as",
        _NOTES,
        note="More than published, as the rest of a step is small here: see kv_share.",
    ),
    Claim(
        "llama13",
        "throughput",
        "ratio (dense, SparF)",
        (5.68, 12.48),
        _FLEXGEN,
        "Llama-2-13B, 2048 tokens in and out",
        _NOTES,
        note="The model reads as much cache per token as OPT-13B, so the ratios are OPT's. The published SparF figure exceeds the "
        "abstract's 'up to 11.1'.",
    ),
    Claim(
        "kv_share",
        "share of the cache in decode time",
        "fraction (FlexGen, one storage, two storages)",
        (0.989, 0.807, 0.764),
        "none",
        "dense, 64 sequences",
        _NOTES,
        note="0.807 leaves 1.7 s per step for a GPU that passes the weights in 0.05 s: the published rest is not arithmetic. Streaming "
        "the weights from the host (`weights`) would be 1 s of it. The three figures do not agree on the rest either: with 6.85 between "
        "the first two, FlexGen's is a third of InstInfer's.",
    ),
    Claim(
        "migration",
        "reduction of bytes between GPU and storage",
        "fraction",
        0.94,
        "FlexGen",
        "up to; OPT-13B, dense",
        _NOTES,
        note="Queries and results go in place of the cache; what is left are mostly the keys and values written once (keys twice).",
    ),
    Claim(
        "kv_footprint",
        "weights and cache",
        "GB",
        (24.0, 200.0),
        "none",
        "OPT-13B, 128 sequences of 2048 tokens",
        _NOTES,
        note="From the shapes, in fp16; the published figures are in units of 2^30 bytes.",
    ),
)
"""What the paper claims, in the order of its figures."""

ASSUMPTIONS = (
    Assumption("host_path", "from dense64", ("data sheet",), "rate of FlexGen's reads: what 6.85 times implies, or the SSD's 7 GB/s"),
    Assumption(
        "weights",
        "on the GPU",
        ("streamed",),
        "where the weights are: OPT-13B fits the GPU, and FlexGen may keep them with the host",
    ),
    Assumption("groups", 0.5, (0.88,), "share of page groups with a chosen token: 'about half', or as choices at random have it"),
)
"""What it leaves open."""
