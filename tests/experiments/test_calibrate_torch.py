"""`edgewright calibrate --torch` on the CPU backend, with a suite of a few points. What needs a GPU is not run here."""

import json
from datetime import date
from math import log

import pytest
import yaml
from click.testing import CliRunner

from edgewright.experiments.cli import main
from edgewright.hwmodels import catalog
from edgewright.hwmodels.calibration import Calibration, Point, Timing, torch_suite
from edgewright.hwmodels.calibration.power import MachinePower
from edgewright.hwmodels.calibration.profile import Unit, document
from edgewright.hwmodels.calibration.readers import Reading
from edgewright.hwmodels.calibration.suite import COLD
from edgewright.hwmodels.calibration.timing import reach_of, read_timings
from edgewright.hwmodels.calibration.torch_reduce import fit_all_reduce
from edgewright.hwmodels.calibration.torch_suite import TorchDevice, torch_points
from edgewright.kernels import Effort

L2, PEAK, MEMORY, CACHE, LAUNCH = 2**25, 1e14, 1e12, 4e12, 5e-6


def invented(point):
    """A card on which a kernel takes its start, and then as long as the slower of arithmetic (80 % of the peak) and memory."""
    if point.kernel.startswith("peak_"):
        return timing(point, 2.0 * point.shape[0] / PEAK)
    reach = max(reach_of(point.kernel, point.shape, point.dtype), point.footprint)
    term = timing(point, 1.0).work.terms[0]
    rate = MEMORY if reach > L2 else CACHE
    start = 0.0 if point.kernel == "read" else LAUNCH
    return timing(point, start + max(term.flops / (0.8 * PEAK), term.bytes / rate))


def timing(point, seconds):
    reach = max(reach_of(point.kernel, point.shape, point.dtype), point.footprint)
    return Timing(point.kernel, point.shape, point.dtype, 1, "torch cuda", reach, seconds, seconds, seconds)


def test_a_card_of_known_constants_is_recovered_as_a_device():
    """The profile of an invented GPU: the suite's own points, timed by formula."""
    rows = [invented(point) for point in torch_points(TorchDevice("cuda:0"), quick=True)]
    calibration = Calibration({"L2": L2}, 1).fit(rows)
    facts = {"cpu": "invented", "cores": 1, "caches": {"L2": L2}, "memory": 2**36, "kernels": {}}
    idle = MachinePower.of_idle(Reading(140.0, 2.0, "measured", "NVML: 1 cards"))
    found = document(calibration, facts, "card", "h100_sxm", date(2026, 1, 2), idle, Unit("gpu", "vram", LAUNCH, "test"))
    device = catalog.build_device("card", found["devices"]["card"])
    unit = device.main_engine
    assert unit.name == "gpu"
    assert unit.launch_overhead == LAUNCH
    assert unit.peaks["fp16"] == pytest.approx(PEAK)
    assert device.buses["vram"].bandwidth == pytest.approx(MEMORY)
    assert unit.cache_bytes == L2
    assert device.idle_W == pytest.approx(70.0)
    for name in ("gemv.fp16", "gemm.bf16"):
        efficiency = unit.efficiency[name]
        assert efficiency.memory == pytest.approx(1.0, rel=0.1)
        assert efficiency.ramp < 0.3 * LAUNCH  # what a kernel's start takes is the launch's, and counted once
    assert device.provenance["gpu.peaks"].kind == "measured"


def test_work_of_a_call_counts_its_operands_in_their_own_width():
    """(4, 512, 256): 2 * 4 * 512 * 256 operations; at two bytes 512 * 256 weights, and 4 * (512 + 256) activations."""
    term = Timing("torch_gemm", (4, 512, 256), "fp16", 1, "", 0.0, 1.0, 1.0, 1.0).work.terms[0]
    assert (term.flops, term.weights, term.activations) == (2 * 4 * 512 * 256, 2 * 512 * 256, 2 * 4 * (512 + 256))
    causal = Timing("torch_attention", (1, 8, 2, 4, 64), "bf16", 1, "", 0.0, 1.0, 1.0, 1.0).work.terms[0]
    assert causal.flops == 4 * 8 * 64 * (8 * 9 // 2)


def test_two_constants_of_an_all_reduce_are_found():
    seconds = {size: 2e-5 + size / 1e10 for size in (2**10, 2**14, 2**18, 2**22)}
    found = fit_all_reduce("gloo", 2, seconds)
    assert found.latency == pytest.approx(2e-5, rel=1e-3)
    assert found.rate == pytest.approx(1e10, rel=1e-3)
    assert found.miss < 1e-3


def few(device, *, quick):
    reads = [Point("read", (count, 1), "fp32") for count in (2**16, COLD // 4)]
    products = [Point("torch_gemm", (rows, 64, side), "fp32") for rows in (2, 16, 64) for side in (64, 256)]
    return (*reads, Point("peak_fp32", (128**3,), "fp32"), *products)


def test_the_cpu_backend_becomes_a_profile(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(torch_suite, "torch_points", few)
    path = tmp_path / "card.yaml"
    arguments = ["calibrate", "--torch", "--out", str(path), "--name", "card", "--json"]
    ran = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    report = json.loads(ran.stdout)
    assert report["machine"]["path"] == "torch cpu"
    assert report["errors"]["gemm.fp32, 32 bits per weight"]["timings"] == 6
    assert report["all_reduce"]["backend"] == "gloo"
    assert 1e-7 < report["launch"] < 1e-3
    entry = yaml.safe_load(path.read_text())["devices"]["card"]
    device = catalog.build_device("card", entry)
    assert device.main_engine.efficiency["gemm.fp32"].compute <= 1.0
    assert abs(log(device.main_engine.peaks["fp32"] / max(report["one_core"]["peaks"].values()))) < 1e-3
    rows, device = read_timings(path.with_suffix(".timings.jsonl"))[1], TorchDevice("cpu")
    torch_suite.time_torch(device, few(device, quick=True), rows, pytest.fail, Effort())  # what is known is not timed again


def test_a_device_that_is_not_there_is_refused(tmp_path):
    pytest.importorskip("torch")
    for option, value, what in (
        ("--device", "cuda:99", "no device"),
        ("--only", "gemm", "no kernel of PyTorch"),
        ("--like", "epyc", "no device"),
    ):
        ran = CliRunner().invoke(main, ["calibrate", "--torch", option, value, "--out", str(tmp_path / "p.yaml")])
        assert ran.exit_code == 2
        assert what in ran.output
