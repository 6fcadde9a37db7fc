"""The tables of kernel speeds: peers compute what they are compared for, and the README holds what the command writes."""

import numpy as np
import pytest
from click.testing import CliRunner

from edgewright.experiments import kernel_speed
from edgewright.experiments.cli import main
from edgewright.experiments.kernel_peers import c_triad, ggml_gemv, numpy_matmul, onnx_runtime
from edgewright.kernels import Effort, kernel_names, native_status

PEERS = [numpy_matmul(), *onnx_runtime(2), *onnx_runtime(3), *ggml_gemv()]
ROUNDED = {"fp32": 1e-5, "fp16": 2e-3, "int8": 0.05, "q8_0": 0.02, "q4_0": 0.2}


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: f"{peer.name} {peer.dtypes[0]}")
def test_a_peer_computes_the_product(peer):
    shape = {2: (32, 256), 3: (4, 32, 256)}[len(peer.axes)]
    operands = peer.operands(shape, peer.dtypes[0], np.random.default_rng(0))
    peer.run(*operands)
    exact = peer.reference(*operands)
    # formats of few bits round weights and activations: an error of some steps of each, beside results of size 1
    np.testing.assert_allclose(operands[0].reshape(exact.shape), exact, rtol=0, atol=ROUNDED[peer.dtypes[0]] * 3)


def test_there_is_a_triad_to_compare_with():
    assert "triad" in [peer.name for peer in c_triad()]


def test_tables_go_between_the_marks_of_the_readme(monkeypatch, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{kernel_speed.MARKS[0]}\nold\n{kernel_speed.MARKS[1]}\nafter\n")
    monkeypatch.setattr(kernel_speed, "README", readme)
    monkeypatch.setattr(kernel_speed, "EFFORT", Effort(budget=0.0))
    monkeypatch.setattr(kernel_speed, "LEVELS", {"16 KiB": 2**14})
    monkeypatch.setattr(kernel_speed, "TABLES", kernel_speed.TABLES[:1])
    monkeypatch.setattr("sys.argv", ["kernel_speed", "--update"])
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    assert kernel_speed.main() == 0
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    rows = [line for line in text.splitlines() if line.startswith("| 16 KiB | ")]
    forms = 2 if native_status().available else 1
    assert len(rows) == 2 * forms  # read and triad; what goes past the caches is left to large sets


def test_the_readme_has_its_marks():
    text = kernel_speed.README.read_text()
    assert [text.count(mark) for mark in kernel_speed.MARKS] == [1, 1]
    assert all(f"### {title}" in text for title, *_ in kernel_speed.TABLES)


def test_the_command_lists_the_kernels_and_says_what_runs_them():
    done = CliRunner().invoke(main, ["kernels"])
    assert done.exit_code == 0
    assert all(name in done.stdout for name in kernel_names())
    assert native_status().reason in done.stderr
