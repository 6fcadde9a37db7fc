"""The Python in the documents runs, block after block, as a reader would type it."""

import re

import pytest

FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DOCUMENTS = ("README.md", "CONTRIBUTING.md")


def _program(text):
    """The document with all but its Python blanked out: blocks share one namespace, and errors name the document's lines."""
    lines = [""] * len(text.splitlines())
    for match in FENCE.finditer(text):
        start = text.count("\n", 0, match.start(1))
        block = match.group(1).splitlines()
        lines[start : start + len(block)] = block
    return "\n".join(lines)


def _documents(repository):
    return [repository / name for name in DOCUMENTS] + sorted((repository / "docs").rglob("*.md"))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_blocks_of_a_document_run(name, repository, run_fresh, tmp_path):
    program = _program((repository / name).read_text())
    if not program.strip():
        pytest.skip(f"{name} shows no Python")
    run_fresh(program, cwd=tmp_path)


def test_the_blocks_of_the_docs_folder_run(repository, run_fresh, tmp_path):
    programs = [_program(path.read_text()) for path in sorted((repository / "docs").rglob("*.md"))]
    if not any(map(str.strip, programs)):
        pytest.skip("docs/ shows no Python")
    for program in programs:
        run_fresh(program, cwd=tmp_path)


def test_blocks_keep_their_lines_and_share_a_namespace():
    text = "# T\n```python\na = 1\n```\nwords\n```\nnot python\n```\n```python\nb = a + 1\n```\n"
    assert _program(text).splitlines() == ["", "", "a = 1", "", "", "", "", "", "", "b = a + 1"]


def test_links_to_files_lead_somewhere(repository):
    broken = [
        f"{path.name}: {target}"
        for path in _documents(repository)
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text())
        if not (path.parent / target).exists()
    ]
    assert broken == []
