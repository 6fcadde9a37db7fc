"""Fetch public trace files, checked against a known hash, into the user's cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

__all__ = ["PUBLISHED", "MissingExtra", "Published", "download"]


class MissingExtra(ImportError):
    """An optional dependency is missing; the message says what to install."""


@dataclass(frozen=True, slots=True)
class Published:
    """A trace file that its authors publish.

    Attributes:
        url: where.
        sha256: of the file as it was when it was last checked; a file that differs is refused.
        format: for `read_trace`.
        citation: source and licence.
    """

    url: str
    sha256: str
    format: str
    citation: str


_AZURE = "https://raw.githubusercontent.com/Azure/AzurePublicDataset/master/data/"
_SPLITWISE = "AzurePublicDataset, CC-BY 4.0; Patel et al., Splitwise, ISCA 2024"

PUBLISHED: Mapping[str, Published] = MappingProxyType(
    {
        "azure-2023-code": Published(
            url=f"{_AZURE}AzureLLMInferenceTrace_code.csv",
            sha256="54e9a6d2a4bd06ba1e060304b900abbc74cbea53de96506e60fe5bb4f2277fb6",
            format="azure",
            citation=_SPLITWISE,
        ),
        "azure-2023-conversation": Published(
            url=f"{_AZURE}AzureLLMInferenceTrace_conv.csv",
            sha256="2f1e5b666d4e3055fdbba98598ce2ec307767b9064e03e2fa46676dbcc7d0bf8",
            format="azure",
            citation=_SPLITWISE,
        ),
        "mooncake-synthetic": Published(
            url="https://raw.githubusercontent.com/kvcache-ai/Mooncake/main/FAST25-release/traces/synthetic_trace.jsonl",
            sha256="bd070915a98fc0ed264d7cfef2ce746002eb3076a695ec31ba2674c0111ec131",
            format="mooncake",
            citation="Mooncake, Apache-2.0; Qin et al., FAST 2025",
        ),
    }
)
"""Traces that can be fetched, by name."""


def download(name: str) -> Path:
    """The path of a published trace, fetched on first use.

    Raises:
        ValueError: no such trace, or a file whose hash is not the known one.
        MissingExtra: the extra `trace` is not installed.
        OSError: the file cannot be fetched.
    """
    if name not in PUBLISHED:
        raise ValueError(f"unknown trace {name!r}: accepted are {', '.join(sorted(PUBLISHED))}")
    try:
        import pooch
    except ImportError as error:
        raise MissingExtra("fetching traces needs pooch: pip install 'edgewright[trace]'") from error
    chosen = PUBLISHED[name]
    return Path(pooch.retrieve(chosen.url, known_hash=f"sha256:{chosen.sha256}", path=pooch.os_cache("edgewright"), progressbar=False))
