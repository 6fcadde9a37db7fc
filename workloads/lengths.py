"""Request lengths by name: `{lengths: joint, prompt: {shape: lognormal, median: 512, sigma: 1}, output: {shape: fixed, value: 128}}`.

`LENGTHS` maps the name to a frozen dataclass; `pydantic.TypeAdapter` of the class validates what a scenario says.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edgewright.workloads.azure import AzureLengths
from edgewright.workloads.lengths_joint import Conditional, Joint, LengthProcess, Lengths, OneShot, Recorded, fixed
from edgewright.workloads.lengths_marginals import Empirical, Fixed, LogNormal, Marginal, Uniform

__all__ = [
    "LENGTHS",
    "AzureLengths",
    "Conditional",
    "Empirical",
    "Fixed",
    "Joint",
    "LengthProcess",
    "Lengths",
    "LogNormal",
    "Marginal",
    "OneShot",
    "Recorded",
    "Uniform",
    "fixed",
]

LENGTHS: Mapping[str, type[LengthProcess]] = MappingProxyType(
    {"azure": AzureLengths, "conditional": Conditional, "joint": Joint, "one_shot": OneShot, "recorded": Recorded}
)
"""All length processes by name."""
