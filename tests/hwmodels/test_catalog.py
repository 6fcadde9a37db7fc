"""Every entry of the catalogue is whole, consistent and says where its figures come from."""

from pathlib import Path

import pytest
import yaml

from edgewright.hwmodels import Work, catalog, peak_W, price
from edgewright.hwmodels.catalog import documents
from edgewright.hwmodels.efficiency import DEFAULTS
from edgewright.hwmodels.roofline import FALLBACKS
from edgewright.hwmodels.specs import provenance_of

EVERYONE = catalog.devices() + catalog.companions()
FACTS = Path(__file__).resolve().parents[2] / "../shared/catalog/devices.yaml"


@pytest.mark.parametrize("stem", [*catalog.FAMILIES, "links", "storages"])
def test_entries_read_alone_are_those_of_the_whole_file(stem: str) -> None:
    whole = yaml.safe_load(Path(documents.__file__).with_name(f"{stem}.yaml").read_text(encoding="utf-8"))
    for section, held in whole.items():
        assert documents.value(stem, section) == held
        if section in ("devices", "aliases", "links", "storages"):
            assert list(documents.names(stem, section)) == list(held)
            assert {name: documents.entry(stem, section, name) for name in held} == held
    assert documents.names(stem, "no such section") == ()


def test_there_is_enough_of_everything() -> None:
    assert len(catalog.devices()) >= 100
    assert len(catalog.storages()) >= 10
    assert len(catalog.links()) >= 30


@pytest.mark.parametrize("name", EVERYONE)
def test_device(name: str) -> None:
    device = catalog.device(name)
    assert device.name == name
    assert device.title
    assert 0 < device.idle_W < device.tdp_W
    assert peak_W(device) == pytest.approx(device.tdp_W, rel=1e-9)
    assert 0 <= device.main_pool.reserved < device.main_pool.capacity
    assert 0 < device.supply_efficiency <= 1
    for pool in device.pools.values():
        assert pool.bus in device.buses
        assert device.buses[pool.bus].bandwidth > 0
    for engine in device.engines.values():
        assert engine.kind in DEFAULTS
        assert engine.bus in device.buses
        assert engine.peaks
        assert set(engine.peaks) <= set(FALLBACKS)
        assert all(peak > 0 for peak in engine.peaks.values())
        assert engine.launch_overhead > 0
        assert 0 < engine.clock_min <= engine.clock_max
        assert engine.static_W > 0
        dtype = next(iter(engine.peaks))
        assert price(Work.of("gemm", dtype, 1e9, weights=1e6), device, engine.name).seconds > 0


@pytest.mark.parametrize("name", EVERYONE)
def test_wider_formats_are_never_faster(name: str) -> None:
    for engine in catalog.device(name).engines.values():
        for narrow, wide in (("fp16", "fp32"), ("bf16", "fp32"), ("int8", "fp16"), ("fp8", "fp16"), ("int4", "int8")):
            if narrow in engine.peaks and wide in engine.peaks and not (name.startswith("v100") and narrow == "int8"):
                assert engine.peaks[narrow] >= engine.peaks[wide], (narrow, wide)


@pytest.mark.parametrize("name", catalog.devices())
def test_every_figure_has_an_origin(name: str) -> None:
    device = catalog.device(name)
    for engine in device.engines:
        assert provenance_of(device, f"{engine}.peaks.fp16").source
        assert provenance_of(device, f"{engine}.static_W").kind == "assumed"
        assert provenance_of(device, f"{engine}.efficiency.gemm").kind == "assumed"
    assert provenance_of(device, "memory.capacity").source
    groups = {
        "memory",
        "default",
        "reserved_bytes",
        "board_W",
        "supply_efficiency",
        "nic_seconds_per_message",
        "idle_W",
        "tdp_W",
        "thermal",
    }
    known = groups | set(device.engines) | set(device.pools)
    assert {figure.split(".")[0] for figure in device.provenance} <= known


def test_companions_are_the_same_device_with_another_engine_first() -> None:
    whole, companion = catalog.device("jetson_agx_orin_64gb"), catalog.device("jetson_agx_orin_64gb_cpu")
    assert whole.main_engine.name == "gpu"
    assert companion.main_engine.name == "cpu"
    assert dict(whole.engines) == dict(companion.engines)
    assert companion.pools == whole.pools
    assert set(catalog.companions()).isdisjoint(catalog.devices())


def test_facts_name_what_exists() -> None:
    for name in EVERYONE:
        facts = catalog.facts(name)
        assert facts.storage is None or facts.storage in catalog.storages()
        assert facts.host_link is None or facts.host_link in catalog.links()
        assert all(mode.watts > 0 for mode in facts.power_modes.values())
    assert catalog.facts("jetson_agx_orin_64gb").power_modes["30W"].watts == 30
    assert catalog.facts("rtx4090").host_link == "pcie_gen4_x16"


@pytest.mark.parametrize("name", catalog.storages())
def test_storage(name: str) -> None:
    storage = catalog.storage(name)
    assert storage.name == name
    assert 0 < storage.write <= storage.read
    assert storage.random_read is None or 0 < storage.random_read <= storage.read
    assert storage.latency > 0
    assert storage.idle_W < storage.active_W
    assert storage.provenance["default"].source


@pytest.mark.parametrize("name", catalog.links())
def test_link(name: str) -> None:
    link = catalog.link(name)
    assert link.name == name
    assert link.bandwidth > 0
    assert link.latency > 0
    assert link.joules_per_byte > 0
    assert link.bandwidth_back is None or link.duplex != "half"
    assert link.provenance["default"].source


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(catalog.UnknownEntry, match="unknown device 'rtx4091': did you mean rtx4090"):
        catalog.device("rtx4091")
    with pytest.raises(catalog.UnknownEntry, match="unknown link 'eth_1gb': did you mean eth_1g"):
        catalog.link("eth_1gb")
    with pytest.raises(catalog.UnknownEntry, match="unknown storage 'QQQ': accepted are apple_ssd, emmc51"):
        catalog.storage("QQQ")


def test_microcontrollers_have_a_scratchpad_and_flash() -> None:
    device = catalog.device("stm32f746")
    assert (device.main_pool.name, device.main_pool.capacity) == ("sram", 340 * 1024)
    assert (device.pools["flash"].capacity, device.pools["flash"].bus) == (2**20, "flash")
    assert catalog.facts("stm32f746").storage == "stm32f746_flash"


def entry(**changes: object) -> dict[str, object]:
    engine = {"kind": "cpu", "peaks": {"fp32": 1e9}}
    memory = {"capacity": "1 GiB", "bandwidth": "10 GB/s"}
    return {"title": "T", "kind": "cpu_sbc", "memory": memory, "idle_W": "500 mW", "tdp_W": 5, "engines": {"cpu": engine}} | changes


def test_an_entry_of_ones_own() -> None:
    measured = {"gemm": {"compute": 0.9, "memory": 0.5, "ramp": 1e-6}}
    engine = {"kind": "cpu", "peaks": {"fp32": 1e9}, "clock_max": "2 GHz", "cache_bytes": "1 MiB"}
    engine |= {"memory_ceiling": 0.3, "efficiency": measured}
    device = catalog.build_device("mine", entry(engines={"cpu": engine}, measured={"cpu.peaks": "own run"}), {"cache_ratio": 4.0})
    assert (device.idle_W, device.main_pool.capacity, device.main_pool.bus) == (0.5, 2**30, "dram")
    cpu = device.main_engine
    assert (cpu.efficiency["gemm"].compute, cpu.efficiency["gemv"].memory) == (0.9, 0.3)
    assert (cpu.clock_max, cpu.clock_min, cpu.cache_bandwidth) == (2e9, 0.5e9, 40e9)
    assert provenance_of(device, "cpu.peaks.fp32").kind == "measured"
    assert provenance_of(device, "idle_W") is None  # nobody said


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"idle_w": 3}, "mine: unknown key idle_w; accepted are assumed"),
        ({"idle_W": "3 V"}, "mine.idle_W: '3 V' is not accepted"),
        ({"memory": {"capacity": 1}}, "mine.memory: missing bandwidth"),
        ({"engines": {"cpu": {"kind": "cpu"}}}, "mine.cpu: missing peaks"),
        ({"engines": {"cpu": {"kind": "cpu", "peaks": {}, "clock": 1}}}, "mine.cpu: unknown key clock;"),
    ],
)
def test_bad_entries_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        catalog.build_device("mine", entry(**changes))


def test_bad_links_are_refused() -> None:
    with pytest.raises(ValueError, match=r"mine\.duplex: 'both' is not accepted"):
        catalog.build_link("mine", {"title": "T", "bandwidth": 1, "latency": 0, "duplex": "both"})


@pytest.mark.skipif(not FACTS.exists(), reason="the file of device facts is not at hand")
def test_every_known_fact_has_an_entry() -> None:
    known = yaml.safe_load(FACTS.read_text(encoding="utf-8"))
    for fact in known["devices"]:
        device = catalog.device(fact["id"])
        assert device.main_pool.capacity == fact["memory_bytes"], fact["id"]
        peaks = {dtype: peak for dtype, peak in fact["peak_flops"].items() if peak and dtype in FALLBACKS}
        assert dict(device.main_engine.peaks) == peaks, fact["id"]
    assert {fact["id"] for fact in known["storage"]} <= set(catalog.storages())
    assert {fact["id"] for fact in known["links"]} <= set(catalog.links())
