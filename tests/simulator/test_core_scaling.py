"""Replicas that start, drain, stop and sleep: when, and what that costs."""

from dataclasses import replace

import pytest

from edgewright.policies.families import Scale, Scaling
from edgewright.simulator.assemble_devices import device_of

ENGINE = {"preset": "ideal", "block_size": 16}


def chat(names, scaling, **keys):
    replicas = [{"name": name, "devices": [f"pi{number}"]} for number, name in enumerate(names)]
    startup = {"weights": "2 s", "engine": "1 s"}
    plain = {"model": "smollm-135m", "format": "q8_0", "engine": ENGINE, "replicas": replicas, "startup": startup}
    return {"chat": plain | {"scaling": scaling, "routing": "least_loaded"} | keys}


def states(simulation):
    return [replica.life.state for replica in simulation.replicas.values()]


def test_serverless_starts_cold_and_goes_when_idle(boards, ask):
    """Nobody runs until a job comes at 5 s; it waits 3 s for the start. Idle for 10 s after its end, the replica stops."""
    simulation = boards(1, services=chat("a", {"policy": "keep_alive", "idle": "10 s"}))
    simulation.run_until(5.0)
    assert states(simulation) == ["stopped"]
    job = ask(simulation, 0, 64, 10)
    simulation.run_until(6.0)
    assert states(simulation) == ["starting"]
    simulation.run_until(15.0)
    assert job.queued == pytest.approx(8.0)
    simulation.run_until(job.finished + 9.9)
    assert states(simulation) == ["ready"]
    simulation.run_until(job.finished + 10.1)
    assert states(simulation) == ["stopped"]
    assert simulation.result().frame("availability").set_index(["what", "name"]).up["replica", "chat.a"] < 0.7


def test_thresholds_follow_the_load_up_and_down(boards, ask):
    """Twelve jobs on one replica are more than four each: a second starts at the look at 5 s. When all is done, it goes again."""
    scaling = {"policy": "threshold", "low": 1, "high": 4, "period": 5, "hold": 10}
    simulation = boards(2, services=chat("ab", scaling))
    simulation.run_until(1.0)
    assert states(simulation) == ["ready", "stopped"]
    jobs = [ask(simulation, number, 64, 400) for number in range(12)]
    simulation.run_until(5.5)
    assert states(simulation) == ["ready", "starting"]
    simulation.run_until(8.5)
    assert states(simulation) == ["ready", "ready"]
    late = ask(simulation, 20, 64, 10)
    simulation.run_until(9.0)
    assert late.replica == "chat.b"
    simulation.run_until(119.0)
    assert {job.status for job in jobs} == {"completed"}
    assert states(simulation).count("stopped") == 1


def test_draining_serves_what_it_has(boards, ask):
    """Two until 3 s, one from then on: the one with less to do takes nothing more, and stops when its job is done."""
    scaling = {"policy": "scheduled", "plan": [[0, 2], [3, 1]]}
    simulation = boards(2, services=chat("ab", scaling))
    simulation.run_until(1.0)
    jobs = [ask(simulation, number, 64, 300) for number in range(3)]
    simulation.run_until(3.5)
    assert [job.replica for job in jobs] == ["chat.a", "chat.b", "chat.a"]
    assert states(simulation) == ["ready", "draining"]
    more = ask(simulation, 9, 64, 1)
    simulation.run_until(60.0)
    assert more.replica == "chat.a"
    assert [job.status for job in jobs] == ["completed"] * 3
    assert states(simulation) == ["ready", "stopped"]


def test_sleeping_replicas_keep_their_weights_and_draw_less(boards, monkeypatch):
    """Asleep at once, as idle; woken by the schedule at 20 s: up as soon as the board is, without loading anything."""

    def sleeper(group, files=()):
        return replace(device_of(group, files), sleep_W=0.5, wake_s=2.0)

    monkeypatch.setattr("edgewright.simulator.assemble.device_of", sleeper)
    scaling = {"policy": "scheduled", "plan": [[0, 1], [20, 2]], "rest": "sleep"}
    simulation = boards(2, services=chat("ab", scaling))
    spec = simulation.machine.cluster.devices["pi1"]
    simulation.run_until(10.0)
    assert states(simulation) == ["ready", "asleep"]
    simulation.run_until(20.0 + spec.wake_s + 0.001)
    assert states(simulation) == ["ready", "ready"]
    energy = simulation.result().energy
    mine = energy[energy.owner == "pi1"].set_index("part").joules
    assert mine["sleep"] == pytest.approx(spec.sleep_W * 20.0)


def test_stopped_weights_are_not_in_memory(boards):
    """Of two replicas on one board, one never runs: the peak is that of one."""
    replicas = [{"name": "a", "devices": ["pi0"]}, {"name": "b", "devices": ["pi0"]}]
    both = boards(1, services=chat("a", "fixed", replicas=replicas))
    one = boards(1, services=chat("a", {"policy": "fixed", "replicas": 1}, replicas=replicas))
    peaks = []
    for simulation in (both, one):
        simulation.run_until(10.0)
        memory = simulation.result().memory
        peaks.append(memory[memory.allocation == "total"].peak_bytes.iloc[0])
    assert peaks[1] == pytest.approx(peaks[0] / 2.0)


def test_a_replica_that_is_called_back_has_not_been_idle(boards):
    """Else a policy that lets idle ones go would call it back and let it go at the same moment, for ever."""
    simulation = boards(2, services=chat("ab", "fixed"))
    simulation.run_until(30.0)
    life, scaler = simulation.replicas["chat.a"].life, simulation.services["chat"].scaler
    assert life.idle_s == 30.0
    life.draining = True
    life.look()
    scaler._do(Scale("chat.a", "start"))
    assert (life.state, life.idle_s) == ("ready", 0.0)


def test_a_policy_that_undoes_what_it_does_is_stopped(boards):
    """It would stop time: started when stopped, stopped when started, at every change."""

    class Flip:
        def act(self, view):
            verb = "start" if view.replicas[0].state == "stopped" else "stop"
            return Scaling((Scale("chat.a", verb),), change=True)

    simulation = boards(1, services=chat("a", "fixed", startup={"weights": 0}))
    simulation.services["chat"].scaler.agent = Flip()
    simulation.machine.at(5.0, simulation.services["chat"].scaler.act)
    with pytest.raises(ValueError, match="undoes what it does"):
        simulation.run_until(10.0)


def test_a_board_of_two_services_sleeps_while_neither_needs_it(boards, ask):
    """Each is idle for 5 s; a job at 20 s waits 2 s for the board, not for the other service, which goes on to rest."""
    each = chat("a", {"policy": "keep_alive", "idle": "5 s", "rest": "sleep"})["chat"]
    simulation = boards(1, services={"chat": each, "other": each}, device={"sleep": "0.5 W", "wake": "2 s"})
    simulation.run_until(20.0)
    assert (states(simulation), simulation.machine.up("pi0")) == (["asleep", "asleep"], False)
    job = ask(simulation, 0, 64, 10)
    simulation.run_until(22.01)
    assert (states(simulation), job.queued) == (["ready", "asleep"], pytest.approx(22.0))
    simulation.run_until(40.0)
    assert (states(simulation), job.status) == (["asleep", "asleep"], "completed")
    assert not simulation.machine.up("pi0")


def test_a_replica_at_rest_is_not_kept_from_jobs_by_a_board_that_stays_awake(boards, ask):
    """The other service never rests: the board stays up, and the first job is served at once."""
    resting = chat("a", {"policy": "keep_alive", "idle": "5 s", "rest": "sleep"})["chat"]
    other = {key: value for key, value in resting.items() if key != "scaling"}
    simulation = boards(1, services={"chat": resting, "other": other}, device={"sleep": "0.5 W", "wake": "2 s"})
    simulation.run_until(20.0)
    assert (states(simulation), simulation.machine.up("pi0")) == (["asleep", "ready"], True)
    job = ask(simulation, 0, 64, 10)
    simulation.run_until(30.0)
    assert (job.queued, job.status) == (20.0, "completed")


def test_who_starts_wakes_a_board_that_another_service_let_sleep(boards, ask):
    """One stops when idle, which lets the board sleep for the one at rest; a job of it at 20 s: 2 s to wake, 3 s to start."""
    keep = {"policy": "keep_alive", "idle": "5 s"}
    services = {"chat": chat("a", keep)["chat"], "other": chat("a", keep | {"rest": "sleep"})["chat"]}
    simulation = boards(1, services=services, device={"sleep": "0.5 W", "wake": "2 s"})
    simulation.run_until(20.0)
    assert (states(simulation), simulation.machine.up("pi0")) == (["stopped", "asleep"], False)
    job = ask(simulation, 0, 64, 10)
    simulation.run_until(40.0)
    assert (job.queued, job.status) == (pytest.approx(25.0), "completed")
    assert (states(simulation), simulation.machine.up("pi0")) == (["stopped", "asleep"], False)
