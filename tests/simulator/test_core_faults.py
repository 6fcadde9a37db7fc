"""Faults, one at a time, on small boards: what becomes of the job in flight, and when the replica serves again."""

from dataclasses import replace

import pytest

from edgewright.hwmodels import Cluster, Connection
from edgewright.hwmodels.ideal import ideal_device, ideal_link
from edgewright.simulator import Scenario, ScenarioError, simulate
from edgewright.simulator.availability import Cause
from edgewright.simulator.machine import Machine

ENGINE = {"preset": "ideal", "block_size": 16}
SD = {"storage": {"sd": {"read": "90 MB/s", "write": "50 MB/s", "latency": "1 ms"}}}


def chat(*replicas, **keys):
    return {"model": "smollm-135m", "format": "q8_0", "engine": ENGINE, "replicas": list(replicas)} | keys


def on(device, name="only"):
    return {"name": name, "devices": [device]}


def crash(at, lasts, target="pi0"):
    return {"panic": {"kind": "crash", "targets": [target], "at": [at], "lasts": lasts}}


def alone(boards, ask, prompt, output):
    """Seconds that an untroubled job takes."""
    simulation = boards(1, services={"chat": chat(on("pi0"))})
    job = ask(simulation, 0, prompt, output)
    simulation.run_until(60.0)
    return job.finished


def row(simulation, what, name):
    frame = simulation.result().frame("availability")
    return frame[(frame.what == what) & (frame.name == name)].iloc[0]


def test_a_crash_takes_the_job_and_the_replica_loads_its_weights_again(boards, ask):
    """Down from 2 s to 5 s; then the weights from the card (bytes / rate + 1 ms) and 1.5 s for the engine."""
    services = {"chat": chat(on("pi0"), startup={"engine": "1.5 s"})}
    simulation = boards(1, services=services, device=SD, faults=crash(2, 3))
    job = ask(simulation, 0, 64, 2000)
    simulation.run_until(4.0)
    assert (job.status, job.reason, job.finished) == ("failed", "crashed: pi0", 2.0)
    assert simulation.replicas["chat.only"].life.state == "down"
    weights = sum(part.weight_bytes for part in simulation.replicas["chat.only"].placement.parts["pi0"])
    start = weights / 90e6 + 1e-3 + 1.5
    simulation.run_until(5.0 + start - 0.01)
    assert simulation.replicas["chat.only"].life.state == "starting"
    waiting = ask(simulation, 1, 64, 1)
    assert waiting.replica == ""
    simulation.run_until(5.0 + start + 1.0)
    assert waiting.queued == pytest.approx(5.0 + start)
    simulation.run_until(20.0)
    assert row(simulation, "device", "pi0").up == pytest.approx(17.0 / 20.0)
    assert row(simulation, "replica", "chat.only").repair_s == pytest.approx(3.0 + start)
    assert simulation.machine.resources["pi0.sd.read"].moved == pytest.approx(weights)


def test_a_retried_job_computes_its_context_again_and_keeps_its_tokens(boards, ask):
    """Down for 1 s from 2 s on, ready at once; 0.5 s later the job is there, waits, and begins with a prompt of all that it had."""
    retry = {"policy": "retry", "pause": 2.0, "jitter": 0.0}
    simulation = boards(1, services={"chat": chat(on("pi0"), failure=retry, startup={"weights": 0.0})}, faults=crash(2, 1))
    job = ask(simulation, 0, 64, 200)
    simulation.run_until(3.0)
    had = job.generated
    assert had > 10
    assert (job.lost, job.cached, job.interruptions) == (64 + had - 1, 0, 1)
    simulation.run_until(60.0)
    assert (job.status, job.generated, job.retries, job.wasted) == ("completed", 200, 1, 0)
    prefill = alone(boards, ask, 64 + had, 1)
    rest = alone(boards, ask, 64 + had, 200 - had) - prefill
    assert job.finished == pytest.approx(4.0 + prefill + rest, rel=1e-6)


def test_a_client_that_asks_again_begins_anew(boards, ask):
    retry = {"policy": "retry", "pause": 2.0, "jitter": 0.0, "keep": False}
    simulation = boards(1, services={"chat": chat(on("pi0"), failure=retry, startup={"weights": 0.0})}, faults=crash(2, 1))
    job = ask(simulation, 0, 64, 200)
    simulation.run_until(60.0)
    assert (job.status, job.generated, job.wasted) == ("completed", 200, job.lost - 64 + 1)
    assert job.finished == pytest.approx(4.0 + alone(boards, ask, 64, 200))


def test_the_other_replica_takes_over_jobs_in_the_batch_and_in_the_queue(boards, ask):
    """One slot: one job runs, one waits; both are at the other replica a moment after the crash, the running one first."""
    engine = ENGINE | {"max_sequences": 1}
    services = {
        "chat": chat(
            on("pi0", "first"),
            on("pi1", "second"),
            engine=engine,
            failure={"policy": "retry", "pause": 0.0},
            startup={"weights": 1.0},
        )
    }
    simulation = boards(2, services=services, faults=crash(1, 100))
    jobs = [ask(simulation, number, 64, 100) for number in range(2)]
    simulation.run_until(1.5)
    assert [job.replica for job in jobs] == ["chat.second", "chat.second"]
    assert jobs[0].admitted_order == 1
    simulation.run_until(60.0)
    assert [job.status for job in jobs] == ["completed", "completed"]
    assert jobs[0].finished < jobs[1].finished


def test_a_job_resumes_where_a_sleeping_board_left_it(boards, ask):
    """Asleep from 2 s to 5 s; what is cached stays. The step that was cut is done again, and the pause of half a second is over by then."""
    resume = {"policy": "resume", "pause": 0.5, "jitter": 0.0}
    simulation = boards(1, services={"chat": chat(on("pi0"), failure=resume)})
    job = ask(simulation, 0, 64, 200)
    machine, cause = simulation.machine, Cause("asleep", "test")
    machine.at(2.0, lambda: machine.up.hold("pi0", cause))
    machine.at(5.0, lambda: machine.up.release("pi0", cause))
    simulation.run_until(4.0)
    assert simulation.replicas["chat.only"].life.state == "asleep"
    simulation.run_until(60.0)
    assert (job.status, job.resumes, job.lost, job.generated) == ("completed", 1, 0, 200)
    whole = alone(boards, ask, 64, 200)
    step = (whole - alone(boards, ask, 64, 1)) / 150
    assert whole + 3.0 <= job.finished <= whole + 3.0 + 2 * step
    assert simulation.replicas["chat.only"].kv.used == 0


def test_a_failed_link_holds_up_a_tensor_parallel_step_and_no_more(boards, ask):
    """Star of three boards: the step in flight waits for the link. What was computed meanwhile is saved: less than a step."""
    split = {"name": "only", "devices": ["pi0", "pi1", "pi2"], "partitioning": {"policy": "tensor_parallel", "algorithm": "star"}}
    cut = {"cut": {"kind": "link_down", "targets": ["lan1"], "at": [2], "lasts": 4}}
    plain, troubled = (boards(3, services={"chat": chat(split)}, faults=faults) for faults in ({}, cut))
    jobs = [ask(simulation, 0, 64, 100) for simulation in (plain, troubled)]
    for simulation in (plain, troubled):
        simulation.run_until(60.0)
    late = jobs[1].finished - jobs[0].finished
    assert (jobs[1].status, jobs[1].interruptions) == ("completed", 0)
    assert 4.0 - (jobs[0].finished / 50) < late <= 4.0 + 1e-9
    assert row(troubled, "link", "lan1").repair_s == pytest.approx(4.0)


def test_patience_with_a_dead_link_ends(boards, ask):
    """The link dies at 2 s for good; a second later the step is given up, and there is no other attempt."""
    split = {"name": "only", "devices": ["pi0", "pi1", "pi2"], "partitioning": {"policy": "tensor_parallel", "algorithm": "star"}}
    cut = {"cut": {"kind": "link_down", "targets": ["lan1"], "at": [2]}}
    simulation = boards(3, services={"chat": chat(split, failure={"policy": "drop", "stall": 1})}, faults=cut)
    job = ask(simulation, 0, 64, 500)
    simulation.run_until(60.0)
    assert (job.status, job.reason, job.finished) == ("failed", "stalled: chat.only", pytest.approx(3.0, abs=0.1))
    assert simulation.replicas["chat.only"].kv.used == 0


def test_an_input_takes_another_way_or_waits_for_its_own(boards, ask):
    """1 MB over a way around at 1 MB/s takes a second; without one, it waits until the link is back, 5 s after."""
    cut = {"cut": {"kind": "link_down", "targets": ["lan"], "at": [0], "lasts": 5}}
    queued = []
    for around in (False, True):
        simulation = boards(1, services={"chat": chat(on("pi0"))}, faults=cut)
        if around:
            tables = simulation.scenario.tables()
            tables["cluster"]["links"].append({"name": "detour", "bandwidth": 1e6, "latency": 1.0, "between": ["user", "pi0"]})
            simulation = type(simulation)(simulation.scenario.of(tables))
        simulation.run_until(1.0)
        job = ask(simulation, 0, 64, 1, entry="user", ingress_bytes=1e6)
        simulation.run_until(30.0)
        queued.append(job.queued)
    assert queued[0] == pytest.approx(5.0 + 1e6 / 117e6, abs=0.01)
    assert queued[1] == pytest.approx(1.0 + 1.0 + 1.0, abs=1e-3)


def test_an_attempt_that_takes_too_long_leaves_the_batch_between_two_steps(boards, ask):
    """The other job of the batch goes on; the one that is over holds no memory any more."""
    simulation = boards(1, services={"chat": chat(on("pi0"), failure={"policy": "drop", "timeout": 2})})
    first = ask(simulation, 0, 64, 2000)
    simulation.run_until(1.0)
    second = ask(simulation, 1, 64, 50)
    simulation.run_until(30.0)
    assert (first.status, first.reason) == ("failed", "timeout: chat")
    assert 2.0 <= first.finished < 2.2
    assert (second.status, second.generated) == ("completed", 50)
    assert simulation.replicas["chat.only"].kv.used == 0


def test_a_straggler_takes_as_many_times_as_long(boards, ask):
    """A quarter of the speed from the start on: four times the seconds."""
    slow = {"hot": {"kind": "straggler", "targets": ["pi0"], "factor": 0.25, "at": [0]}}
    simulation = boards(1, services={"chat": chat(on("pi0"))}, faults=slow)
    simulation.run_until(1.0)
    job = ask(simulation, 0, 64, 20)
    simulation.run_until(60.0)
    assert job.finished - 1.0 == pytest.approx(4.0 * alone(boards, ask, 64, 20))


def test_reads_that_fail_are_repeated(boards):
    """Loading weights after a crash: with a chance of 0.9, some reads fail; each costs the whole read and a second more."""
    faults = crash(2, 1) | {"worn": {"kind": "storage_errors", "targets": ["pi0.sd"], "chance": 0.9, "delay": 1, "at": [0]}}
    simulation = boards(1, services={"chat": chat(on("pi0"))}, device=SD, faults=faults, seed=3)
    weights = sum(part.weight_bytes for part in simulation.replicas["chat.only"].placement.parts["pi0"])
    stream = simulation.faults["worn"].stream.child("pi0.sd.reads")
    failures = next(number for number in range(1000) if not stream.bernoulli(0.9, number))
    assert failures > 0
    simulation.run_until(60.0)
    took = (failures + 1) * (weights / 90e6 + 1e-3) + failures
    assert row(simulation, "replica", "chat.only").repair_s == pytest.approx(1.0 + took)
    assert simulation.machine.resources["pi0.sd.read"].moved == pytest.approx((failures + 1) * weights)


def test_power_loss_of_a_domain_takes_all_behind_it(boards):
    faults = {"dark": {"kind": "power_loss", "targets": ["rack"], "at": [10], "lasts": 5}}
    power = {"rack": {"devices": ["pi0"], "parent": "room"}, "room": {"devices": ["pi1"]}}
    simulation = boards(2, services={"chat": chat(on("pi0"), on("pi1", "b"), startup={"weights": 1})}, faults=faults, power=power)
    simulation.run_until(12.0)
    assert [replica.life.state for replica in simulation.replicas.values()] == ["down", "ready"]
    assert simulation.machine.up.causes("pi0") == (Cause("unpowered", "fault dark rack"),)


def test_a_cascade_brings_others_down_after_a_while(boards):
    spread = {"targets": ["pi1"], "chance": 1.0, "delay": 2}
    faults = {"panic": {"kind": "crash", "targets": ["pi0"], "at": [10], "lasts": 5, "spread": spread}}
    simulation = boards(2, services={"chat": chat(on("pi0"), startup={"weights": 1})}, faults=faults)
    simulation.run_until(30.0)
    frame = simulation.result().frame("faults")
    assert list(zip(frame.target, frame.start_s, frame.end_s, strict=True)) == [("pi0", 10.0, 15.0), ("pi1", 12.0, 17.0)]


def test_a_script_whose_call_fails_leaves_no_sibling_running(boards, ask):
    """Draft and target prefill side by side; the target's board crashes, and the draft's call is taken out of its batch after the chunk
    of its prompt that is under way."""
    services = {
        "draft": chat(on("pi0", "d"), startup={"weights": 1}, batching={"policy": "chunked_prefill", "budget": 64}),
        "target": chat(on("pi1", "t"), startup={"weights": 1}),
        "chat": {
            "orchestration": {"policy": "speculative", "draft": "draft", "target": "target"},
            "outcomes": {"accepted": {"outcome": "acceptance", "rate": 1.0, "drafted": 4}},
        },
    }
    simulation = boards(2, services=services, faults=crash(0.05, 5, "pi1"))
    calls = []
    simulation.machine.signals.submitted.subscribe(lambda request: request.caller is not None and calls.append(request))
    job = ask(simulation, 0, 1000, 50)
    simulation.run_until(30.0)
    assert (job.status, job.reason) == ("failed", "call: target: crashed: pi1")
    assert sorted(call.reason for call in calls) == ["crashed: pi1", "its caller is over"]
    assert all(call.finished < 2.0 for call in calls)


def test_a_service_fails_over_to_another(boards, ask):
    services = {
        "chat": chat(on("pi0"), failure={"policy": "failover", "service": "spare", "jitter": 0.0}, startup={"weights": 1}),
        "spare": chat(on("pi1", "s"), startup={"weights": 1}),
    }
    simulation = boards(2, services=services, faults=crash(1, 100))
    job = ask(simulation, 0, 64, 200)
    simulation.run_until(60.0)
    assert (job.status, job.replica, job.generated, job.retries) == ("completed", "spare.s", 200, 1)


def test_a_device_that_joins_late_serves_from_then_on(boards, ask):
    faults = {"late": {"kind": "leave", "targets": ["pi0"], "at": [0], "lasts": 10}}
    services = {"chat": chat(on("pi0"), startup={"weights": 2, "engine": 1}, failure={"policy": "retry", "pause": 4, "jitter": 0})}
    simulation = boards(1, services=services, faults=faults)
    simulation.run_until(8.0)
    job = ask(simulation, 0, 64, 1)
    simulation.run_until(30.0)
    assert job.queued == pytest.approx(13.0)


def test_a_job_goes_on_from_its_checkpoint_after_a_crash(boards, ask):
    """A checkpoint every 32 tokens: of the context at the crash, all but a part of one and what was on its way is read back."""
    resume = {"policy": "resume", "checkpoint": 32, "pause": 0.0, "jitter": 0.0}
    services = {"chat": chat(on("pi0"), failure=resume, startup={"weights": 0.0})}
    simulation = boards(1, services=services, device=SD, faults=crash(2, 1))
    job = ask(simulation, 0, 64, 400)
    simulation.run_until(2.5)
    context = 64 + job.generated - 1
    assert job.cached == job.stored == context // 32 * 32
    assert job.lost == context % 32
    written = simulation.machine.resources["pi0.sd.write"].moved
    per_token = sum(part.kv_bytes_per_token for part in simulation.replicas["chat.only"].placement.parts["pi0"])
    assert written == pytest.approx(job.stored * per_token)
    simulation.run_until(60.0)
    assert (job.status, job.generated, job.resumes) == ("completed", 400, 1)
    assert simulation.machine.resources["pi0.sd.read"].moved == pytest.approx(context // 32 * 32 * per_token)


def test_a_power_loss_takes_what_else_is_behind_the_plug_along(boards):
    """3 W of fans, dark from 2 s to 5 s of 10 s."""
    power = {"site": {"devices": ["pi0"], "overhead": "3 W"}}
    loss = {"out": {"kind": "power_loss", "targets": ["site"], "at": [2], "lasts": 3}}
    simulation = boards(1, services={"chat": chat(on("pi0"), startup={"weights": 0.0})}, power=power, faults=loss)
    simulation.run_until(10.0)
    rows = {(owner, part): joules for owner, part, joules in simulation.domains["site"].energy_rows()}
    assert rows["site", "board"] == pytest.approx(21.0)


def test_an_inner_domain_stays_dark_when_the_outer_one_is_back(boards):
    """The outer one from 2 s to 5 s; the inner one follows at 3 s, until 6 s."""
    power = {"site": {}, "desk": {"devices": ["pi0"], "parent": "site"}}
    spread = {"targets": ["desk"], "chance": 1.0, "delay": 1}
    loss = {"out": {"kind": "power_loss", "targets": ["site"], "at": [2], "lasts": 3, "spread": spread}}
    simulation = boards(1, services={"chat": chat(on("pi0"), startup={"weights": 0.0})}, power=power, faults=loss)
    simulation.run_until(5.5)
    assert not simulation.machine.up("pi0")
    simulation.run_until(6.5)
    assert simulation.machine.up("pi0")


def test_no_job_goes_to_another_replica_on_the_device_that_went_down(boards, ask):
    """Both are down before anybody looks for another place: its attempts are not spent on what dies at the same moment."""
    retry = {"policy": "retry", "pause": 0.0, "jitter": 0.0, "attempts": 2}
    kept = {"startup": {"weights": 0.0}, "failure": retry}
    simulation = boards(1, services={"chat": chat(on("pi0", "a"), on("pi0", "b"), **kept)}, faults=crash(2, 1))
    job = ask(simulation, 0, 64, 200)
    simulation.run_until(2.5)
    assert (job.replica, job.status, job.reason) == ("chat.a", "failed", "unavailable: chat (given up after 2 attempts)")
    assert not any(replica.queued + replica.running for replica in simulation.replicas.values())


def test_trying_again_at_once_uses_up_attempts_without_recursion():
    """The one replica is down: a hundred attempts at one moment, one after another, and the job has failed; thousands are refused."""
    scenario = Scenario.load("hello").override(
        {
            "services.chat.failure": {"policy": "retry", "pause": 0.0, "attempts": 100},
            "faults": {"out": {"kind": "crash", "targets": ["pi"], "at": [1.0], "lasts": 600.0}},
            "services.chat.startup": {"weights": 1.0},
        }
    )
    jobs = simulate(scenario).jobs
    assert set(jobs.status) == {"failed"}
    assert all(reason.endswith("(given up after 100 attempts)") for reason in jobs.reason)
    with pytest.raises(ScenarioError, match="accepted: pauses above 0"):
        scenario.override({"services.chat.failure.attempts": 5000})


def test_a_card_goes_down_and_comes_back_with_its_host():
    """The host crashes at 10 s for 20 s: its card is down for as long, and is free for jobs again when it has its weights back."""
    tables = Scenario.load("hello").tables()
    tables["cluster"]["devices"] = {"pc": {"device": "rpi5_8gb"}, "card": {"device": "rtx4090", "host": "pc"}}
    tables["cluster"]["switches"] = ["hub"]
    tables["cluster"]["links"] = [{"name": f"lan-{end}", "link": "eth_1g", "between": [end, "hub"]} for end in ("user", "pc", "card")]
    tables["services"]["chat"] |= {"replicas": [{"name": "only", "devices": ["card"]}], "startup": {"weights": 2}}
    tables |= {"power": {}, "faults": {"panic": {"kind": "crash", "targets": ["pc"], "at": [10], "lasts": 20}}}
    found = simulate(Scenario.of(tables))
    rows = found.faults.set_index("target")
    assert list(rows.loc["card", ["kind", "start_s", "end_s"]]) == ["crashed", 10.0, 30.0]
    assert rows.loc["card", "fault"].startswith("host pc: ")
    outages = found.frame("availability").set_index("name").outages
    assert (outages["pc"], outages["card"], outages["chat.only"]) == (1, 1, 1)


@pytest.mark.parametrize(("kind", "ends"), [("crashed", 2), ("unpowered", 1), ("absent", 1)])
def test_a_link_draws_at_the_ends_that_have_power(kind, ends):
    """2 W of a link, 1 W at each end: for 10 s with both, for 10 s with one of them down."""
    link = replace(ideal_link(1e6), idle_W=2.0)
    machine = Machine(Cluster({"pi": ideal_device()}, ("hub",), (Connection("lan", ("pi", "hub"), link),)))
    machine.env.run(until=10.0)
    machine.up.hold("pi", Cause(kind, "test"))
    machine.env.run(until=20.0)
    assert machine.ledger.joules(["lan"], 20.0) == pytest.approx(10 * 2.0 + 10 * ends)
    machine.up.release("pi", Cause(kind, "test"))
    machine.env.run(until=30.0)
    assert machine.ledger.joules(["lan"], 30.0) == pytest.approx(20 * 2.0 + 10 * ends)


@pytest.mark.parametrize(("kind", "watts"), [("crashed", 1.0), ("unpowered", 0.0), ("absent", 0.0), ("asleep", 1.0)])
def test_a_card_draws_what_its_hosts_state_leaves_it(kind, watts):
    """Shares of its idle power: a card that cannot sleep draws on while its host does."""
    host, card = ideal_device(), replace(ideal_device(), idle_W=10.0)
    machine = Machine(Cluster({"pc": replace(host, sleep_W=0.5), "card": card}, hosts={"card": "pc"}))
    machine.up.hold("pc", Cause(kind, "test"))
    machine.env.run(until=1.0)
    machine.settle()
    assert not machine.up("card")
    assert machine.ledger.joules(["card"], 1.0, ("idle", "sleep")) == pytest.approx(10.0 * watts)
    machine.up.release("pc", Cause(kind, "test"))
    assert machine.up("card")
