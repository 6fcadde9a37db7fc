"""EdgeMoE (Yi et al., arXiv 2308.14352): what it claims, and what its authors leave open."""

from __future__ import annotations

from edgewright.experiments.reproductions.claims import Assumption, Claim

__all__ = ["ASSUMPTIONS", "CLAIMS"]

_PAGE = "paper page"

CLAIMS = (
    Claim(
        "tpot_vs_ioexp_tx2",
        "speed of decoding",
        "ratio, least to most over models",
        (2.64, 3.03),
        "IO-EXP",
        "TX2 and SSD, buffer of 10 experts; here the five Switch-base and Switch-large-128",
        _PAGE,
        kind="range",
        note="Narrow experts take seven eighths of the reading away, and reads ahead most of the rest. What is left is compute, of which "
        "the catalogue expects a sixth of what the paper had: hence the higher ratio. With the paper's own token time without reads "
        "(`runtime`) it is 3.2 to 3.7.",
    ),
    Claim(
        "tpot_vs_ioqexp",
        "speed of decoding",
        "ratio, least to most over models and both devices",
        (1.19, 2.12),
        "IO-QEXP: INT4 experts on demand",
        "TX2 and Raspberry Pi 4B",
        _PAGE,
        kind="range",
        note="As much is read by both, 4.5 against 4 bits: the gain is what is hidden behind compute or found in the buffer, and with the "
        "catalogue's compute there is little to hide behind. Experts of 8 bits would be slower than the baseline.",
    ),
    Claim(
        "tpot_vs_sti",
        "speed of decoding",
        "ratio, least to most over models and both devices",
        (1.22, 2.77),
        "STI at equal memory: every expert of every layer is read, in the same widths, behind compute",
        "TX2 and Raspberry Pi 4B",
        _PAGE,
        kind="range",
        note="A pipeline that is blind to sparsity reads 8 to 128 experts per layer where EdgeMoE reads at most one. With the disk that "
        "IO-EXP shows, it must lose by more than the published 2.77, and by ten times more as experts grow from 8 to 128; that it does "
        "not says that the measured STI did not read all experts.",
    ),
    Claim(
        "mem_vs_iofree",
        "resident memory",
        "ratio, least to most over models",
        (2.1, 38.6),
        "IO-FREE: everything in fp32",
        "all models; here encoder and decoder of the six Switch models",
        _PAGE,
        kind="range",
        note="With the working set that the budgets of Table III imply, both ends follow from parameter counts.",
    ),
    Claim(
        "mem_vs_ioqfree",
        "resident memory",
        "ratio, least to most over models",
        (0.8, 24.3),
        "IO-QFREE: everything in INT8",
        "all models; here encoder and decoder of the six Switch models",
        _PAGE,
        kind="range",
        note="INT8 is a quarter of fp32, so at most 38.6 / 4 = 9.7 where working sets are small and never 24.3, which would need 20 bits a "
        "weight. The least is met.",
    ),
    Claim(
        "ablation_base",
        "time per output token",
        "s",
        0.789,
        "none",
        "Switch-base-8, TX2, no technique (2.5 GB)",
        _PAGE,
        unsimulated="An input: with the simulated compute it gives the effective rate of the SSD (0.15 GB/s; the data sheet says 0.55), "
        "from which everything else follows.",
    ),
    Claim(
        "ablation_q",
        "time per output token",
        "s",
        0.392,
        "0.789 s",
        "with expert-wise quantisation (1.21 GB)",
        _PAGE,
        note="Reads shrink by 32 over the mean width; 0.392 s remain only if compute takes 0.2 s or more, which the figures of "
        "io_dominance say as well, and a TX2's memory does not: the decoder's 0.5 GB pass it in 10 ms.",
    ),
    Claim(
        "ablation_qpc",
        "time per output token",
        "s (with reads ahead; with the buffer besides)",
        (0.305, 0.245),
        "0.392 s",
        "with reads ahead; with the buffer of 10 experts besides (0.81 GB)",
        _PAGE,
        note="As above: the order and the share of the reads that is hidden follow, the floor of compute does not.",
    ),
    Claim(
        "io_dominance",
        "slowdown by reading experts on demand",
        "ratio, least to most over models",
        (3.2, 3.9),
        "unlimited memory",
        "TX2 3.2 to 3.9, Raspberry Pi 3.3 to 3.8; here the TX2",
        _PAGE,
        kind="range",
        note="The ratio is that of the runtime's time to the disk's. 0.789 / 3.55 = 0.22 s without reads are 4 % of the TX2's bandwidth: "
        "the measured runtime was bound by its host.",
    ),
    Claim(
        "predictability",
        "P(expert 5 in layer 3, given 3 in layer 1 and 1 in layer 2)",
        "probability",
        0.871,
        "1/8",
        "Switch-base-8, SAMSum",
        _PAGE,
        unsimulated="An input: routes follow the layer before with probability 0.85, so that the likeliest of 8 has 0.85 + 0.15 / 8 = "
        "0.87.",
    ),
    Claim(
        "expert_share",
        "share of experts in weights, and in operations",
        "fraction (weights, operations)",
        (0.865, 0.264),
        "none",
        "Switch-base-16; here without the embedding table, and of a decoded token without the head",
        _PAGE,
    ),
    Claim(
        "energy",
        "energy per token",
        "ratio",
        1.17,
        "IO-FREE",
        "mean over models (the smallest 1.011); here the six on a TX2 with its SSD",
        _PAGE,
        note="Energy follows the longer token: the module draws most of its power while it waits. Where compute is 0.22 s, as the paper "
        "has it, the longer token is a third dearer.",
    ),
    Claim(
        "p50_sample",
        "median time per sample",
        "s (EdgeMoE, IO-EXP)",
        (46.0, 106.0),
        "IO-EXP",
        "Switch-base-8, Raspberry Pi 4B; here one sample, encoder and decoder",
        _PAGE,
        note="IO-EXP's sample is 906 MB of encoder experts and 25 times 113 MB from the card at its catalogue rate. EdgeMoE's is quicker "
        "than published by the time of compute that the catalogue does not see.",
    ),
    Claim(
        "buffer_capacity",
        "experts cached",
        "experts of 96, at 1.8, 2.0, 2.2 and 3.2 GB",
        (11.0, 22.0, 33.0, 96.0),
        "none",
        "Switch-base-8, TX2 (Table III a)",
        _PAGE,
        note="The first figure is an input: it says what besides weights and experts is in memory. The others are whole experts of 18.9 "
        "MB in what the budget leaves.",
    ),
    Claim(
        "intro_range",
        "memory and speed",
        "ratio",
        (1.05, 1.18),
        "the whole model in memory",
        "introduction",
        _PAGE,
        unsimulated="The introduction (1.05 to 1.18 times less memory, 1.19 to 2.77 times faster) contradicts the body (2.1 to 38.6 times "
        "less); the body's figures are simulated.",
    ),
)
"""What the paper claims, in the order of its figures."""

ASSUMPTIONS = (
    Assumption(
        "runtime",
        "catalogue",
        ("paper",),
        "time of a token without reads: what the catalogue expects of PyTorch on the device, or 0.789 s / 3.55, the middle of "
        "io_dominance (by a slower memory, so that compute stays spread over the layers)",
    ),
    Assumption("bits", "2, 4, 4, 8", ("8", "4"), "widths of experts at the tolerated loss of 2 %, which the paper does not list"),
    Assumption("depth", 3, (1,), "experts read ahead per layer, at most: 1 to 3"),
    Assumption(
        "affinity", 0.85, (0.6,), "how far a route follows the layer before: by the one probability printed, or less than that example"
    ),
    Assumption("skew", 0.0, (1.0,), "Zipf exponent of the experts' popularity"),
    Assumption(
        "card",
        "45 MB/s",
        ("22.5 MB/s",),
        "rate of the Raspberry Pi's microSD: the catalogue's, or half, as the TX2's disk falls short of its own",
    ),
    Assumption("prompt", 150, (512,), "tokens of a sample's dialogue (SAMSum), or as many as the encoder takes"),
    Assumption("output", 25, (40,), "tokens of a summary"),
    Assumption(
        "working_set", 0.92e9, (0.0,), "bytes in memory besides weights: 1.8 GB less dense weights and 11 experts (Table III a); or none"
    ),
)
"""What it leaves open."""
