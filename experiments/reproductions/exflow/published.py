"""ExFlow (Yao et al., IPDPS 2024): what it claims, and what is not said."""

from __future__ import annotations

from edgewright.experiments.reproductions.claims import Assumption, Claim

__all__ = ["ASSUMPTIONS", "CLAIMS"]

_NOTES = "third-party notes"
_DEFAULT = "DeepSpeed-MoE"

CLAIMS = (
    Claim(
        "throughput_max",
        "throughput of generation",
        "ratio",
        2.2,
        _DEFAULT,
        "up to; 16 experts on 8 GPUs",
        "abstract",
        note="Coherence is not free: a token's keys and values of all layers (98 kB) must reach every GPU, twice the hidden vectors (2 kB "
        "each) that 24 all-to-alls save. Charged, it is slower across nodes; left out, as in the paper's formula, it gains what the share "
        "of all-to-alls in a step allows, which at the measured costs of NCCL is a tenth to two fifths.",
    ),
    Claim(
        "routing_latency",
        "reduction of the time of all-to-alls",
        "fraction",
        0.67,
        _DEFAULT,
        "up to; here 16 experts on 8 GPUs",
        "abstract",
        note="Half from dropping the second all-to-all, the rest from the placement, which keeps bytes and not calls away: it grows with "
        "the tokens per GPU.",
    ),
    Claim(
        "moe32",
        "throughput of generation",
        "ratio",
        1.6,
        _DEFAULT,
        "32 experts on 8 to 16 GPUs; here the mean of 8 and 16",
        _NOTES,
        note="As throughput_max.",
    ),
    Claim(
        "moe64_hops_4gpu",
        "reduction of tokens sent to other GPUs",
        "fraction",
        0.4,
        "experts placed by their number",
        "64 experts on 4 GPUs",
        _NOTES,
        unsimulated="An input: it says how narrow the matrices between layers are (concentration 0.0439, some 3.6 followers per expert).",
    ),
    Claim(
        "moe64_hops_32gpu",
        "reduction of tokens sent to other GPUs",
        "fraction",
        0.25,
        "experts placed by their number",
        "64 experts on 32 GPUs",
        _NOTES,
        note="Predicted from the 4 GPUs' figure: fewer experts per GPU hold fewer of an expert's followers. The published fall is "
        "steeper: real followers are more than the Dirichlet rows have that give the same 4 GPUs' figure, or the solver stopped early.",
    ),
    Claim(
        "traffic_formula",
        "vectors sent per iteration follow 2 G N L p without and G N (L p* + G) with coherence, on G GPUs of N tokens",
        "holds",
        None,
        _DEFAULT,
        "Table I of the paper; the last term is the all-gather of tokens",
        _NOTES,
        kind="order",
        note="Holds to 2 %, for the tokens' ids. Keys and values are not in the formula: gathered, they are 2 L vectors more for each GPU "
        "and token, and the sum is larger than without coherence.",
    ),
    Claim(
        "mixtral_4gpu",
        "GPUs changed per token over 32 layers",
        "hops (4 GPUs, 8 GPUs)",
        (17.5, 22.17),
        "23.25 and 27.13 for random placement",
        "Mixtral 8x7B, the repository's solutions for 4 and 8 GPUs",
        "readme (derived reading of a cost in a file name)",
        note="The first figure is an input (concentration 0.76: Mixtral's layers say far less about each other than the paper's own "
        "models), the second is predicted.",
    ),
)
"""What the paper claims, in the order of its figures."""

ASSUMPTIONS = (
    Assumption(
        "cache",
        "gathered",
        ("not counted",),
        "how keys and values of a token come to the GPUs that go on with it: by the all-gather at the end of the iteration, or, as the "
        "paper counts, not at all",
    ),
    Assumption("tokens", 128, (32, 512), "requests per GPU, each with one new token per iteration; the notes do not say"),
    Assumption("software", "pytorch", ("fastertransformer",), "whose overheads the GPUs have: Megatron-DeepSpeed runs PyTorch"),
    Assumption("layers", "all", ("alternating",), "which of the 24 layers have experts"),
    Assumption(
        "calls",
        "measured",
        ("links",),
        "what a call of the collective library costs: as measured of NCCL on such systems, or the links' latencies and rates alone",
    ),
    Assumption(
        "concentration", 0.0439, (0.1,), "of the matrices between layers: by the 4 GPUs' figure, or more than twice as many followers"
    ),
    Assumption("profile_tokens", 3000, (1000,), "tokens that the placement was solved for: 1000 to 3000"),
)
"""What it leaves open."""
