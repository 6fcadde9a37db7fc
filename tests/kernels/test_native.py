"""The native library: built, found, refused, switched off; and the code paths of another processor, under an emulator."""

import gc
import os
import shutil
import subprocess
import sys
import tomllib
import weakref

import numpy as np
import pytest

from edgewright.kernels import kernel, native_status
from edgewright.kernels.native import code_path, library, native_function
from edgewright.kernels.native.build import SOURCES, NoCompiler, build, compiler

needs_library = pytest.mark.skipif(not native_status().available, reason=native_status().reason)
needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C compiler")


def test_the_status_says_what_is_in_use_and_why():
    status = native_status()
    assert status.reason.startswith("native kernels on the path" if status.available else "Numba kernels: ")
    assert status.path in (*status.paths, "")


def test_without_the_library_kernels_run_in_numba_and_say_so(run_fresh):
    program = """
from edgewright.kernels import kernel, native_status, measure, Effort
print(native_status().reason)
sample = measure(kernel("triad"), (100, 1), effort=Effort(budget=0.01))
print(sample.implementation, kernel("triad").implementation, *kernel("triad").forms)
"""
    reason, implementations = run_fresh(program, EDGEWRIGHT_NATIVE="off").splitlines()
    assert reason == "Numba kernels: native ones are switched off by EDGEWRIGHT_NATIVE=off"
    assert implementations == "numba numba numba"


@needs_compiler
def test_the_library_builds_from_its_sources(tmp_path):
    built = build(tmp_path / "_edgewright.so")
    program = "import ctypes, sys; library = ctypes.CDLL(sys.argv[1]); print(library.ew_interface(), library.ew_runs(0))"
    done = subprocess.run([sys.executable, "-c", program, str(built)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(library.INTERFACE), "1"]
    assert [path.name for path in tmp_path.iterdir()] == ["_edgewright.so"]


@needs_compiler
def test_sources_that_do_not_compile_leave_the_old_library(tmp_path):
    target = tmp_path / "_edgewright.so"
    target.write_text("old")
    with pytest.raises(NoCompiler, match="failed"):
        build(target, cc=shutil.which("false"))
    assert target.read_text() == "old"


def test_a_machine_without_a_compiler_is_told_so(monkeypatch, tmp_path):
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(NoCompiler, match="no C compiler: neither cc, gcc nor clang"):
        build(tmp_path / "_edgewright.so")


def test_the_installer_builds_the_same_sources(repository):
    (extension,) = tomllib.loads((repository / "pyproject.toml").read_text())["tool"]["setuptools"]["ext-modules"]
    assert extension["sources"] == sorted(f"kernels/native/{path.name}" for path in SOURCES.glob("*.c"))
    assert extension["depends"] == sorted(f"kernels/native/{path.name}" for path in SOURCES.glob("*.h"))
    assert extension["optional"] is True


@needs_library
def test_a_path_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="no native code path 'neon_2'"), code_path("neon_2"):
        pass


@needs_library
def test_a_path_is_left_as_it_was():
    before = native_status().path
    with code_path("plain"):
        assert native_status().path == "plain"
    assert native_status().path == before


@needs_library
@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((np.zeros(4), np.zeros(4)), "takes arrays of float32, float32, not of float64, float64"),
        ((np.zeros(4, np.float32), np.zeros((4, 2), np.float32)[:, 0]), "operand 1 is not one"),
        ((np.zeros((1, 1, 1, 1, 4), np.float32), np.zeros(4, np.float32)), "operand 0 is not one"),
    ],
)
def test_arrays_that_c_would_misread_are_refused(arrays, message):
    with pytest.raises(ValueError, match=message):
        native_function("ew_copy_past", ("float32", "float32"))(*arrays)


def test_operands_are_kept_alive_by_the_call_they_are_bound_to():
    chosen = kernel("triad")
    operands = chosen.operands((1000, 1), "fp32", np.random.default_rng(0))
    kept = [weakref.ref(each) for each in operands]
    call = chosen.bound(operands)
    del operands
    gc.collect()
    assert [each() for each in kept if each() is None] == []
    call()
    del call
    gc.collect()
    assert [each() for each in kept if each() is not None] == []


CROSS = shutil.which("aarch64-linux-gnu-gcc")
EMULATOR = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")


def _paths(tmp_path, cc, *command):
    """What a program says that runs every entry point on every path; compiled by `cc`, run by `command`."""
    program = str(tmp_path / "paths")
    sources = [*sorted(map(str, SOURCES.glob("*.c"))), os.path.join(os.path.dirname(__file__), "native_paths.c")]
    subprocess.run([cc, "-O2", "-std=gnu11", "-Wall", "-Wextra", "-static", f"-I{SOURCES}", "-o", program, *sources, "-lm"], check=True)
    done = subprocess.run([*command, program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    return done.stdout.splitlines()


@needs_compiler
def test_every_path_of_this_processor_agrees_with_plain_c(tmp_path):
    said = _paths(tmp_path, compiler())
    if native_status().available:
        assert said == [f"{path}: ok" for path in native_status().paths if path != "plain"]


@pytest.mark.skipif(not (CROSS and EMULATOR), reason="needs aarch64-linux-gnu-gcc and qemu-aarch64")
def test_neon_agrees_with_plain_c_under_an_emulator(tmp_path):
    """Compiled for 64-bit Arm, each entry point leaves the same on its NEON path as in plain C. Says nothing of its speed."""
    assert _paths(tmp_path, CROSS, EMULATOR) == ["neon: ok"]
