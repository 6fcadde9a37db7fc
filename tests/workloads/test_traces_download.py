"""Fetching published traces: by name, with a known hash, and a word on what to install."""

import hashlib
import sys
from pathlib import Path

import pytest

from edgewright.workloads import download
from edgewright.workloads.traces import trace_formats
from edgewright.workloads.traces_download import PUBLISHED, MissingExtra

SHARED = Path(__file__).resolve().parents[2] / "../shared/traces"
FILES = {
    "azure-2023-conversation": "azure_llm_2023_conv.csv",
    "azure-2023-code": "azure_llm_2023_code.csv",
    "mooncake-synthetic": "mooncake_synthetic.jsonl",
}


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(ValueError, match="accepted are azure-2023-code, azure-2023-conversation, mooncake-synthetic"):
        download("azure")


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingExtra, match=r"pip install 'edgewright\[trace\]'"):
        download("mooncake-synthetic")


def test_it_asks_for_the_published_file_with_its_hash(monkeypatch, tmp_path):
    pooch = pytest.importorskip("pooch")
    asked = {}

    def retrieve(url, known_hash, path, progressbar):
        asked.update(url=url, known_hash=known_hash)
        return str(tmp_path / "file")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert download("mooncake-synthetic") == tmp_path / "file"
    published = PUBLISHED["mooncake-synthetic"]
    assert asked == {"url": published.url, "known_hash": f"sha256:{published.sha256}"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_known_hash_is_that_of_the_file(name):
    path = SHARED / FILES[name]
    if not path.exists():
        pytest.skip(f"the trace file {FILES[name]} is not at hand")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == PUBLISHED[name].sha256
    assert PUBLISHED[name].format in trace_formats()
