"""The documents run, block after block, as a reader would type them.

Python runs in one interpreter up to the next command; lines of a `console` block that begin with `$` run in a shell; a block with a file
name behind its language is that file.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
FENCE = re.compile(r"^```(?P<language>\w+)(?: (?P<file>[\w.-]+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
DOCUMENTS = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
NAMES = [str(path.relative_to(REPOSITORY)) for path in DOCUMENTS]


def _steps(text):
    """Files to write, then commands and programs in order. A program has the document's lines, so that errors name them."""
    files, steps, lines = {}, [], [""] * len(text.splitlines())
    for match in FENCE.finditer(text):
        language, file, block = match["language"], match["file"], match["text"]
        if file:
            files[file] = block
        elif language == "python":
            start = text.count("\n", 0, match.start("text"))
            lines[start : start + len(block.splitlines())] = block.splitlines()
        elif language == "console" and (commands := [line[2:] for line in block.splitlines() if line.startswith("$ ")]):
            steps += [("python", "\n".join(lines))] if any(lines) else []
            steps += [("shell", command) for command in commands]
            lines = [""] * len(lines)
    return files, [*steps, *([("python", "\n".join(lines))] if any(lines) else [])]


@pytest.mark.parametrize("name", NAMES)
def test_the_blocks_of_a_document_run(name, run_fresh, tmp_path):
    files, steps = _steps((REPOSITORY / name).read_text(encoding="utf-8"))
    if not steps:
        pytest.skip(f"{name} shows nothing that runs")
    for file, text in files.items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    for kind, source in steps:
        if kind == "python":
            run_fresh(source, cwd=tmp_path)
        else:
            _shell(source, tmp_path)


def _shell(command, folder):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(["bash", "-c", command], cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"


def test_blocks_keep_their_lines_share_a_namespace_and_stand_between_commands():
    text = "# T\n```python\na = 1\n```\nwords\n```\nnot python\n```\n```python\nb = a + 1\n```\n"
    text += "```console\n$ ls\nshown\n```\n```yaml x.yaml\nc: 1\n```\n"
    files, steps = _steps(text)
    assert files == {"x.yaml": "c: 1\n"}
    assert [kind for kind, _ in steps] == ["python", "shell"]
    assert steps[0][1].splitlines()[:10] == ["", "", "a = 1", "", "", "", "", "", "", "b = a + 1"]
    assert steps[1][1] == "ls"


@pytest.mark.parametrize("name", NAMES)
def test_links_to_files_lead_somewhere(name):
    path = REPOSITORY / name
    targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []
