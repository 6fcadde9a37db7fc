"""Weights and priorities: from an operation, from a service, and both together, down to the bytes per second."""

import pytest

from edgewright.hwmodels import Cluster, Connection
from edgewright.hwmodels.ideal import ideal_device, ideal_link, ideal_storage
from edgewright.hwmodels.topology import Attachment
from edgewright.policies.plan import Collective, Load, Store, Transfer, par
from edgewright.simulator import Scenario, ScenarioError, Simulation
from edgewright.simulator.interpreter import Scope
from edgewright.simulator.machine import Machine
from edgewright.simulator.plan_run import run_plan, start_program
from edgewright.workloads import Step

LINK = Cluster(
    dict.fromkeys("ab", ideal_device(1.0, 1000.0)),
    connections=(Connection("lan", ("a", "b"), ideal_link(100.0)),),
    attachments=(Attachment("disk", "a", ideal_storage(100.0)),),
)


def ends(*operations):
    trace = run_plan(par(*operations), LINK)
    return [trace.times(each.name)[0][1] for each in operations]


def test_three_times_the_weight_three_times_the_bytes():
    """75 and 25 B/s: the heavy one's 150 B take 2 s; the other has sent 50 of 150 B, and the rest takes 1 s."""
    heavy, light = Transfer("a", "b", 150.0, weight=3.0, name="heavy"), Transfer("a", "b", 150.0, name="light")
    assert ends(heavy, light) == pytest.approx([2.0, 3.0])


def test_a_higher_class_is_served_first():
    """200 B alone at 100 B/s, whatever the weights below it; then the other's 100 B."""
    urgent, other = Transfer("a", "b", 200.0, priority=1, name="urgent"), Transfer("a", "b", 100.0, weight=50.0, name="other")
    assert ends(urgent, other) == pytest.approx([2.0, 3.0])


def test_loads_stores_and_collectives_stand_among_others_too():
    """A broadcast beside a transfer, and two loads: 200 B at 80 and 100 B at 20 B/s for 2.5 s, then 50 B at 100 B/s."""
    first = Collective("broadcast", ("a", "b"), 200.0, weight=4.0, name="first")
    loads = Load("a", 200.0, weight=4.0, name="loads"), Load("a", 100.0, name="slower")
    stores = Store("a", 200.0, priority=1, name="stores"), Store("a", 100.0, name="waits")
    assert ends(first, Transfer("a", "b", 100.0, name="second")) == pytest.approx([2.5, 3.0])
    assert ends(*loads) == pytest.approx([2.5, 3.0])
    assert ends(*stores) == pytest.approx([2.0, 3.0])


def test_what_a_service_says_comes_on_top():
    """Weights multiply: 2 times 3 against 2 are 75 to 25 B/s. Priorities add: class 0 of a service of class 2 is above class 1."""
    assert _two_scopes(Transfer("a", "b", 150.0, weight=3.0), {"weight": 2.0}, Transfer("a", "b", 150.0), {"weight": 2.0}) == [2.0, 3.0]
    assert _two_scopes(Transfer("a", "b", 200.0), {"priority": 2}, Transfer("a", "b", 100.0, priority=1), {}) == [2.0, 3.0]


def _two_scopes(one, first, other, second):
    machine, found = Machine(LINK), {}
    for name, operation, traffic in (("one", one, first), ("other", other, second)):
        scope = Scope(machine, name, **traffic)
        start_program(scope, operation, lambda name=name: found.update({name: machine.env.now}))(Step())
    machine.env.run()
    return [pytest.approx(found[name]) for name in ("one", "other")]


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_a_weight_that_is_none_is_refused(weight):
    with pytest.raises(ValueError, match="weight of a Transfer must be more than 0"):
        Transfer("a", "b", 1.0, weight=weight)


def frames(**traffic):
    """Two services whose frames of 1 MB arrive together over one wire of 100 Mbit/s."""

    def service(name):
        eye = {"model": "yolov8n", "format": "int8", "batching": {"policy": "static", "size": 1}}
        return eye | {"replicas": [{"name": name, "devices": [name]}], "traffic": traffic.get(name, {})}

    def workload(name):
        arrivals = {"process": "periodic", "period": 10}
        return {"service": name, "entry": "user", "arrivals": arrivals, "lengths": "one_shot", "bytes": "1 MB"}

    links = [{"name": f"to-{name}", "link": "eth_1g", "between": ["hub", name]} for name in ("left", "right")]
    wire = {"name": "wire", "link": "eth_100m", "between": ["user", "hub"]}
    return {
        "name": "frames",
        "run": {"window": 5, "drain": 5},
        "cluster": {
            "devices": {name: {"device": "rpi5_8gb"} for name in ("left", "right")},
            "switches": ["hub"],
            "nodes": ["user"],
            "links": [*links, wire],
        },
        "services": {name: service(name) for name in ("left", "right")},
        "workloads": {name: workload(name) for name in ("left", "right")},
    }


def queued(**traffic):
    """Seconds that the input of each service's first frame took to arrive."""
    simulation = Simulation(Scenario.of(frames(**traffic)))
    simulation.run_until(5.0)
    jobs = simulation.recorder.tables(simulation.now)["jobs"]
    first = dict(zip(reversed(jobs["service"]), reversed(jobs["queued_s"] - jobs["arrival_s"]), strict=True))
    return first["left"], first["right"]


def test_a_services_traffic_is_that_of_its_jobs_inputs():
    equal, weighted, urgent = queued(), queued(left={"weight": 3}), queued(left={"priority": 1})
    assert equal[0] == pytest.approx(equal[1])
    fluid = pytest.approx(equal[0], rel=0.02)  # latencies are a few tenths of a millisecond of some 170
    assert weighted[1] == urgent[1] == fluid
    assert weighted[0] == pytest.approx(equal[0] * 2 / 3, rel=0.02)
    assert urgent[0] == pytest.approx(equal[0] / 2, rel=0.02)


@pytest.mark.parametrize(("key", "value"), [("weight", 0), ("weight", ".inf"), ("priority", 1.5), ("wait", 1)])
def test_traffic_that_makes_no_sense_is_refused(key, value):
    with pytest.raises(ScenarioError, match=rf"services\.left\.traffic\.{key}"):
        Scenario.of(frames(left={key: value}))
