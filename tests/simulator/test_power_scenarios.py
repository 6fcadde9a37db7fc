"""Power of whole scenarios: what is refused before the clock starts, and that jumping equals stepping with all of it on."""

from copy import deepcopy

import pytest

from edgewright.simulator import Scenario, ScenarioError, Simulation, simulate
from edgewright.simulator.check import check

ORIN = {"device": "jetson_agx_orin_64gb", "priority": 1}
TABLES = {
    "name": "site",
    "seed": 3,
    "run": {"window": "20 s", "drain": "60 s"},
    "cluster": {
        "devices": {"orin": ORIN, "pi": {"device": "rpi5_8gb", "sleep": "0.5 W", "wake": "2 s"}},
        "switches": ["hub"],
        "nodes": ["user"],
        "links": [
            {"name": "a", "link": "eth_1g", "between": ["hub", "orin"]},
            {"name": "b", "link": "eth_1g", "between": ["hub", "pi"]},
            {"name": "c", "link": "eth_1g", "between": ["user", "hub"]},
        ],
    },
    "power": {
        "site": {
            "battery": {"capacity": "10 kJ", "charge": 0.45},
            "solar": {"peak": "50 W", "latitude": 48, "hour": 5},
            "supply": {"rated": "100 W", "curve": [[0.1, 0.8], [0.5, 0.9], [1.0, 0.88]]},
            "breaker": {"rated": "200 W"},
            "policy": {"policy": "charge_saver", "low": 0.44, "critical": 0.0, "clock": 0.7},
        },
        "desk": {"devices": ["orin", "pi"], "parent": "site", "overhead": "3 W", "ports": {"port_class": 8}},
        "gpu_rail": {
            "rail": ["orin.gpu"],
            "budget": "3 W",
            "policy": "static_cap",
            "telemetry": {"period": "0.5 s", "resolution": "0.1 W"},
            "actuator": {"delay": "0.7 s", "window": "2 s", "watts_step": "0.5 W"},
        },
    },
    "services": {
        "chat": {"model": "llama-3.2-1b", "format": "w4a16", "replicas": [{"name": "only", "devices": ["orin"]}], "startup": {"weights": 1}}
    },
    "workloads": {
        "talk": {
            "service": "chat",
            "entry": "user",
            "arrivals": {"process": "poisson", "rate": 0.5},
            "lengths": {"lengths": "joint", "prompt": {"shape": "fixed", "value": 200}, "output": {"shape": "fixed", "value": 100}},
        }
    },
}


def changed(key, value):
    tables = deepcopy(TABLES)
    *path, last = key.split(".")
    place = tables
    for part in path:
        place = place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return tables


BAD = {
    "a rail of nothing": ("power.gpu_rail.rail", ["orin.gpo"], "power.gpu_rail.rail.0", "'orin.gpo'", "orin.gpu"),
    "a rail of two devices": ("power.gpu_rail.rail", ["orin.gpu", "pi.cpu"], "power.gpu_rail.rail.1", "'pi.cpu'", "of orin"),
    "an engine on two rails": ("power.more", {"rail": ["orin.gpu"]}, "power.more.rail.0", "'orin.gpu'", "no other rail"),
    "a rail with a breaker": ("power.gpu_rail.breaker", {"rated": 5}, "power.gpu_rail.breaker", "is given for a rail", "a budget"),
    "sources within": ("power.desk.battery", {"capacity": 5}, "power.desk.parent", "'site'", "outermost"),
    "a battery that never comes back": ("power.site.battery.recover", 0.05, "power.site.battery.recover", "0.05", "0.1 or more"),
    "half a sky": ("power.site.solar.latitude", None, "power.site.solar.latitude", "is missing", "a `trace`"),
    "a missing trace": ("power.site.solar", {"trace": "no.csv"}, "power.site.solar.trace", "'no.csv'", "the path of a file"),
    "a breaker below idle": ("power.site.breaker.rated", "5 W", "power.site.breaker.rated", "5.0", "more than"),
    "a rising curve": ("power.site.breaker.curve", [[2, 1], [3, 2]], "power.site.breaker.curve", "(2.0, 1.0)", "do not rise"),
    "a falling supply": ("power.site.supply.curve", [[0.5, 0.5], [1, 0.9]], "power.site.supply.curve", "0.5", "losses that do not fall"),
    "a port too small": ("power.desk.ports.port_class", 1, "power.desk.ports.port_class", "1", "one of the classes"),
    "no such class": ("power.desk.ports.port_class", 9, "power.desk.ports.port_class", "9", "8"),
    "who cannot sleep": (
        "cluster.devices.pi.sleep",
        None,
        "power.site.policy",
        "puts devices to sleep, and pi cannot",
        "`sleep: WATTS` for pi",
    ),
    "no such mode": ("cluster.devices.orin.mode", "60W", "cluster.devices.orin.mode", "'60W'", "30W"),
    "unknown heat": ("cluster.devices.x", {"device": "rtx4090", "heat": {}}, "cluster.devices.x.heat.resistances", "rtx4090", "a figure"),
    "a late trip point": ("cluster.devices.pi.heat", {"trip": 90, "critical": 85}, "cluster.devices.pi.heat.critical", "85", "90"),
    "leakage without end": ("cluster.devices.pi.heat", {"leakage": 0.2}, "cluster.devices.pi.heat.leakage", "0.2", "less than 0.111"),
    "a limit below the trip point": ("cluster.devices.pi.heat", {"critical": 20}, "cluster.devices.pi.heat.critical", "20", "above"),
    "masses below zero": ("cluster.devices.pi.heat", {"resistances": [-1.0]}, "cluster.devices.pi.heat.resistances.0", "-1.0", "than 0"),
    "masses of two kinds": ("cluster.devices.pi.heat", {"capacities": [1]}, "cluster.devices.pi.heat", "resistances", "one or two"),
    "infinite heat": ("cluster.devices.pi.heat", {"trip": float("inf")}, "cluster.devices.pi.heat.trip", "inf", "finite"),
    "air that comes again": ("cluster.devices.pi.heat", {"repeat": 5}, "cluster.devices.pi.heat.repeat", "without a file", "a file"),
    "a sky that comes again": ("power.site.solar.repeat", 5, "power.site.solar.repeat", "without a trace", "a trace"),
    "a grid that comes again": ("power.site.grid", {"limit": 5, "repeat": 7}, "power.site.grid.repeat", "without a trace", "a trace"),
    "a rail that feeds": ("power.desk.parent", "gpu_rail", "power.desk.parent", "'gpu_rail'", "site"),
    "a rail with a supply": ("power.gpu_rail.supply_efficiency", 0.5, "power.gpu_rail.supply_efficiency", "for a rail", "a budget"),
    "no sources to restore": ("power.desk.restore", "3 s", "power.desk.restore", "without sources", "`battery`"),
    "ports of nothing": ("power.site.ports", {"port_class": 3}, "power.site.ports", "no devices", "`devices`"),
    "a budget that is missing": ("power.gpu_rail.budget", None, "power.gpu_rail.budget", "is missing", "watts"),
}


@pytest.mark.parametrize(("key", "value", "named", "problem", "accepted"), BAD.values(), ids=BAD)
def test_bad_power_is_refused(key, value, named, problem, accepted):
    with pytest.raises(ScenarioError) as refused:
        check(Scenario.of(changed(key, value)))
    assert refused.value.key == named
    assert problem in str(refused.value)
    assert accepted in refused.value.accepted


@pytest.mark.parametrize(("rows", "problem"), [("5,1", "begin at 0"), ("0,nan", "not finite"), ("0,-5", "below 0")])
def test_bad_traces_are_refused(tmp_path, rows, problem):
    """Of watts, and, as far as that is no temperature, of the air."""
    trace = tmp_path / "trace.csv"
    trace.write_text(f"seconds,value\n{rows}\n")
    with pytest.raises(ScenarioError, match=problem) as refused:
        check(Scenario.of(changed("power.site.solar", {"trace": str(trace)})))
    assert refused.value.key == "power.site"
    if rows != "0,-5":
        with pytest.raises(ScenarioError, match=problem) as refused:
            check(Scenario.of(changed("cluster.devices.pi.heat", {"air": str(trace)})))
        assert refused.value.key == "cluster.devices.pi.heat.air"


def frames(tables):
    """Tables of the run, and its simulation."""
    simulation = Simulation(Scenario.of(tables))
    while not simulation.drained and simulation.now < simulation.end:
        simulation.run_until(simulation.now + 2.0)
    return simulation.result(), simulation


def test_jumping_equals_stepping_with_all_of_it_on(monkeypatch):
    """Battery, sun, a supply with a curve, a breaker, ports, a running cap on a rail: identities equal, floats to 1e-9."""
    jumped, _ = frames(deepcopy(TABLES))
    with monkeypatch.context() as patch:
        patch.setattr("edgewright.simulator.replica.can_stretch", lambda strand: False)
        stepped, _ = frames(deepcopy(TABLES))
    assert len(jumped.steps) < len(stepped.steps)
    for name in ("jobs", "energy", "power", "actuations", "sources", "power_events", "resources"):
        mine, other = jumped.frame(name), stepped.frame(name)
        assert len(mine) == len(other), name
        for column in mine.columns:
            if mine[column].dtype.kind == "f":
                assert mine[column].to_numpy() == pytest.approx(other[column].to_numpy(), rel=1e-9, abs=1e-7, nan_ok=True), (
                    f"{name}.{column}"
                )
            else:
                assert mine[column].tolist() == other[column].tolist(), f"{name}.{column}"
    assert (jumped.actuations.domain == "gpu_rail").any()
    assert (jumped.actuations.domain == "site").any()
    assert jumped.sources.sun_J.sum() > 0.0


def test_parts_add_up_with_rails_supplies_and_batteries():
    result, simulation = frames(deepcopy(TABLES))
    plugs = simulation.domains["site"].joules() + simulation.domains["other"].joules()
    assert result.energy.joules.sum() == pytest.approx(plugs, rel=1e-9)
    assert result.power.joules.sum() == pytest.approx(plugs, rel=1e-9)
    rail = result.energy[result.energy.domain == "gpu_rail"]
    assert set(rail.owner) == {"orin.gpu"}
    sources = result.sources
    given, taken = sources.sun_J + sources.grid_J + sources.unmet_J, sources.load_J + sources.lost_J + sources.stored_J
    assert given.to_numpy() == pytest.approx(taken.to_numpy(), rel=1e-9)
    assert sources.carbon_g.isna().all()


def test_a_running_cap_holds_the_mean_of_its_window():
    """3 W on the gpu's rail over windows of 2 s: means over the bins of 10 s are within the cap, and the gpu would draw more without."""
    free = simulate(Scenario.of(changed("power.gpu_rail.policy", "none")))
    capped, _ = frames(deepcopy(TABLES))
    peak = {name: run.power[run.power.domain == "gpu_rail"].mean_W.max() for name, run in (("free", free), ("capped", capped))}
    assert peak["free"] > 3.0 * 1.1
    assert peak["capped"] <= 3.0 * 1.02


def test_a_mode_makes_a_slower_device():
    """The Orin in its mode of 30 W: less peak, and fewer tokens per second than the whole device."""
    slow = Scenario.of(changed("cluster.devices.orin.mode", "30W"))
    assert check(slow).cluster.devices["orin"].engines["gpu"].clock_max == 624.75e6
    rates = [simulate(each).row()["tpot_p50_s"] for each in (Scenario.of(deepcopy(TABLES)), slow)]
    assert rates[1] > rates[0]


def test_the_shipped_scenario_lives_on_the_sun():
    """Charge falls all evening: clocks first, then the camera's board sleeps; sources, parts and plugs agree."""
    result = simulate(Scenario.load("solar"))
    assert list(dict.fromkeys(result.actuations.kind)) == ["clock", "sleep"]
    assert set(result.actuations.target[result.actuations.kind == "sleep"]) == {"eye"}
    sources = result.sources
    assert (sources.charge.diff().dropna() < 0).all()
    taken = sources.load_J + sources.lost_J + sources.stored_J
    assert sources.sun_J.sum() + sources.unmet_J.sum() == pytest.approx(taken.sum(), rel=1e-9)
    assert result.energy[result.energy.part == "sleep"].joules.sum() > 0.0
    assert set(result.thermal.device) == {"eye", "pi0", "pi1"}
    text = result.summary_text()
    assert "Sources over the whole run" in text
    assert "Heat over the whole run" in text
