"""Benchmarks `llm` and `growth`: the workload beside `sched-sim`, at several sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from statistics import median

import numpy as np

from edgewright.experiments.benchmarks.llm import llm_scenario, run_llm
from edgewright.experiments.benchmarks.llm_peer import StepTimes, jobs_of, peer_name, simulator_of
from edgewright.experiments.benchmarks.rows import Row, Target
from edgewright.experiments.benchmarks.timing import cpu_seconds, in_turn
from edgewright.simulator import Simulation

__all__ = ["agreement", "growth", "llm"]

TARGETS = {2.0: 20.0, 4.0: 12.0}
"""Requests per second, and how many times the peer's requests per CPU second are asked there."""

MIXED = {"policy": "chunked_prefill", "budget": 1_000_000}
"""The batching that makes every step compute what waits and decode what runs, as the peer's scheduler does."""


def llm(requests: int = 10_000, turns: int = 3, rates: Sequence[float] = tuple(TARGETS)) -> Iterator[Row]:
    """Requests and iterations per CPU second, of both, at these rates; and how closely their times agree where both schedule alike."""
    for rate in rates:
        yield from _race(rate, requests, turns)


def _race(rate: float, requests: int, turns: int) -> Iterator[Row]:
    scenario = llm_scenario(rate, requests)
    start_up, simulation = cpu_seconds(partial(Simulation, scenario))
    jobs, blocks, times = jobs_of(simulation), _blocks(simulation), StepTimes()
    ours = [Simulation(scenario, express=True) for _ in range(turns + 1)]
    theirs = [simulator_of(jobs, times, blocks) for _ in range(turns + 1)]
    steps = {"ours": 0, "theirs": 0}

    def run_ours() -> None:
        steps["ours"] = int(run_llm(ours.pop()).tables["steps"]["iterations"].sum())

    def run_theirs() -> None:
        steps["theirs"] = theirs.pop().run().total_iterations

    taken = in_turn({"ours": run_ours, "theirs": run_theirs}, turns)
    name, peer, count = f"llm, {rate:g} requests/s, {requests} requests", peer_name(), len(jobs)
    mine, other = taken["ours"], taken["theirs"]
    yield Row(name, count / mine, "requests/CPU s", Target(TARGETS[rate], True, of_peer=True), peer, count / other)
    yield Row(f"{name}: iterations", steps["ours"] / mine, "1/CPU s", None, peer, steps["theirs"] / other)
    yield Row(f"{name}: iterations per request", steps["ours"] / count, "", None, peer, steps["theirs"] / count)
    yield Row(f"{name}: start-up", start_up, "CPU s")
    yield Row(f"{name}: largest relative difference of times", agreement(rate, min(requests, 2000)), "", Target(1e-9, False), peer)


def _blocks(simulation: Simulation) -> int:
    (replica,) = simulation.replicas.values()
    assert replica.kv is not None, "a language model that caches keys and values has blocks for them"
    return replica.kv.capacity


def agreement(rate: float, requests: int) -> float:
    """The largest relative difference between the times of first and last tokens of both simulators, where both schedule alike.

    Answers of one token are left out: there the peer has no step without decoding.
    """
    simulation = Simulation(llm_scenario(rate, requests, MIXED))
    jobs = jobs_of(simulation)
    peer = simulator_of(jobs, StepTimes(), _blocks(simulation))
    peer.run()
    table = run_llm(simulation).tables["jobs"]
    several = np.array([job.output > 1 for job in jobs])
    pairs = (("first_token_s", "first_token_at"), ("finished_s", "completed_at"))
    theirs = {column: np.array([getattr(request, name) for request in peer.all_requests]) for column, name in pairs}
    return max(float(np.max(np.abs(table[column] / values - 1.0)[several])) for column, values in theirs.items())


def growth(sizes: Sequence[int] = (10_000, 100_000), rate: float = 2.0, turns: int = 3) -> Iterator[Row]:
    """Requests per CPU second as runs grow, and the time per request beside that of the smallest.

    Runs of all sizes take turns, the smaller ones several times in each: else a slow minute would look like growth. Figures are medians.
    """
    run_llm(Simulation(llm_scenario(rate, 3000), express=True))
    taken: dict[int, list[float]] = {size: [] for size in sizes}
    turn = [size for size in sizes for _ in range(min(5, max(sizes) // size))]
    for size in turn * turns:
        seconds, result = cpu_seconds(partial(run_llm, Simulation(llm_scenario(rate, size), express=True)))
        taken[size].append(seconds / len(result.tables["jobs"]["job"]))
        del result
    each = {size: median(found) for size, found in taken.items()}
    for size in sizes:
        yield Row(f"growth, {size} requests", 1.0 / each[size], "requests/CPU s")
        if size != sizes[0]:
            rise = each[size] / each[sizes[0]] - 1.0
            yield Row(f"growth, {sizes[0]} to {size} requests: time per request", rise, "rise", Target(0.1, False))
