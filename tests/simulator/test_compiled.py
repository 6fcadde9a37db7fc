"""The compiled core is used only where it was compiled of the sources that are there, and says what it lacks."""

import importlib.machinery
import importlib.util
import shutil

import pytest

from edgewright.simulator import compile_core, compiled


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """A copy of the modules, and nothing compiled."""
    for house in ("simulator", "workloads"):
        shutil.copytree(compiled.FOLDER.parent.parent / house, tmp_path / house, ignore=shutil.ignore_patterns("_compiled"))
    monkeypatch.setattr(compiled, "FOLDER", tmp_path / "simulator" / "_compiled")
    monkeypatch.setenv("EDGEWRIGHT_COMPILED", "on")
    return tmp_path


@pytest.mark.parametrize("changed", ["simulator/lane.py", "workloads/jobs.py"])
def test_what_was_compiled_of_other_sources_is_left_aside(sources, monkeypatch, changed):
    assert compiled.compiled_core() is None
    folder = compiled.FOLDER / compiled.digest()
    folder.mkdir(parents=True)
    assert compiled.compiled_core() == folder
    monkeypatch.setenv("EDGEWRIGHT_COMPILED", "off")
    assert compiled.compiled_core() is None
    monkeypatch.setenv("EDGEWRIGHT_COMPILED", "on")
    with (sources / changed).open("a") as file:
        file.write("# changed\n")
    assert compiled.compiled_core() is None


def test_the_newest_takes_the_place_of_all_before(sources, monkeypatch):
    monkeypatch.setattr(compile_core, "FOLDER", compiled.FOLDER)
    out = sources / "out" / "edgewright"
    out.mkdir(parents=True)
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    (out / f"lane{suffix}").write_bytes(b"new")
    (out / "lane.c").write_bytes(b"")
    (compiled.FOLDER / "before").mkdir(parents=True)
    assert compile_core._keep(sources / "out") == compiled.compiled_core()
    assert [each.name for each in compiled.FOLDER.rglob("*")] == [compiled.digest(), f"lane{suffix}"]


def test_compiling_says_what_it_needs(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert compile_core.main() == 1
    assert "pip install 'edgewright[compiled]'" in capsys.readouterr().err


def test_compiling_says_what_went_wrong(monkeypatch, capsys):
    monkeypatch.setattr(compile_core, "MODULES", ("no_such_module",))
    assert compile_core.main() == 1
    assert "no_such_module" in capsys.readouterr().err
