"""Run the cases for real: messages and kernels alone first, then every case at its rate and latency.

A case is measured again if something spoke against its figure. What speaks against one: an interval wider than 5 %, time that a hypervisor
took, and processors that were busy with something else (the testbed's own processes use all that nobody else does).
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from edgewright.experiments.testbed.bed import Testbed, open_testbed
from edgewright.experiments.testbed.cases import Case
from edgewright.experiments.testbed.engine import kernel_calls
from edgewright.experiments.testbed.executor import RanPart
from edgewright.experiments.testbed.records import Figure, KernelTime, Records
from edgewright.hwmodels import Work
from edgewright.kernels import Effort, ThisHost
from edgewright.kernels.intervals import median_interval
from edgewright.policies.compile import compile_plan
from edgewright.policies.plan import Collective, Compute, Mark, Plan, seq
from edgewright.workloads import Step

__all__ = ["kernel_key", "measure_cases", "works_of"]

MESSAGE_SIZES = (4, 1024, 16384, 262144)
SHIFTS = 50
SHIFT_REPEATS = 60
WARM, REPEATS = 2, 15
KERNEL_REPEATS = 25
TRIES = 2
WIDE = 0.05
"""Half the width of a median's interval, over the median, above which a figure is in doubt."""
OTHERS = 0.05
"""The share of all cores that others may take meanwhile."""


def works_of(case: Case) -> dict[int, dict[Work, int]]:
    """By host: the works that it computes in one step, and how many times."""
    found: dict[int, dict[Work, int]] = {rank: {} for rank in range(case.hosts)}
    for plan in case.plans:
        for strand in compile_plan(plan).strands:
            for op in strand.ops:
                if isinstance(op, Compute):
                    work = op.work(case.step) if callable(op.work) else op.work
                    mine = found[int(op.device.removeprefix("host"))]
                    mine[work] = mine.get(work, 0) + 1
    return found


def kernel_key(share: float, work: Work) -> str:
    """What a kernel's time is filed under."""
    calls = (f"{each.times} x {each.name} {'x'.join(map(str, each.shape))}" for each in kernel_calls(work))
    return f"{share:g} of a core: {', '.join(calls)}"


def measure_cases(cases: Sequence[Case], records: Records, saved: Callable[[], None], *, seconds: float, again: bool = False) -> int:
    """Measure what the records lack, for at most so many seconds; returns how many cases are left. `saved` is called after each figure.

    `again`: measure even what is there. Raises `OSError` or `RuntimeError` where a testbed cannot be had (`why_unavailable`).
    """
    end = time.monotonic() + seconds
    left = [case for case in cases if again or case.name not in records.cases or records.cases[case.name].reasons]
    if not left:
        return 0
    with open_testbed(max(case.hosts for case in cases)) as bed:
        records.machine = _machine()
        if again or not records.messages or any(each.reasons for each in records.messages.values()):
            _measure_round_trips(bed, records)
            _measure_messages(bed, records)
            saved()
        while left and time.monotonic() < end:
            _measure_kernels(bed, left[0], records)
            records.cases[left[0].name] = _measure(bed, left[0])
            saved()
            del left[0]
    return len(left)


def _measure_messages(bed: Testbed, records: Records) -> None:
    """As many hosts as a case has, each sending the smallest message to the next at the same time, again and again, unshaped."""
    bed.shape(None)
    for hosts in range(2, len(bed.names) + 1):
        plan = seq(*[Collective("shift", bed.names[:hosts], 4.0)] * SHIFTS, Mark())

        def once(plan: Plan = plan, hosts: int = hosts) -> Figure:
            runs = [bed.run(plan, Step(), ranks=range(hosts)) for _ in range(WARM + SHIFT_REPEATS)]
            return _figure([_end_of(each) / SHIFTS for each in runs[WARM:]])

        records.messages[str(hosts)] = _undisturbed(bed, once)


def _measure_round_trips(bed: Testbed, records: Records) -> None:
    """What the timing harness says of a connection that nothing shapes, between two hosts."""
    bed.shape(None)
    for nbytes in MESSAGE_SIZES:
        effort = Effort(budget=0.3)
        found, _ = bed.each([("ping", (1, nbytes, effort)), ("answer", (0, nbytes, effort))])
        records.round_trips[str(nbytes)] = Figure(found.seconds, found.low, found.high, found.repeats, found.reasons)


def _measure_kernels(bed: Testbed, case: Case, records: Records) -> None:
    """Each distinct work at each distinct share, alone on the first host."""
    for rank, works in works_of(case).items():
        share = case.shares[rank]
        for work in works:
            key = kernel_key(share, work)
            if key in records.kernels and not records.kernels[key].reasons:
                continue
            bed.ask("limit", share, ranks=[0])
            figure = _undisturbed(bed, lambda work=work: _figure(bed.ask("time_work", work, KERNEL_REPEATS, ranks=[0])[0]))  # type: ignore[misc]
            flops = sum(float(each) for each in work.flops.values())
            records.kernels[key] = KernelTime(share, key.partition(": ")[2], flops, figure.seconds, figure.repeats, figure.reasons)


def _measure(bed: Testbed, case: Case) -> Figure:
    ranks = range(case.hosts)
    bed.shape(case.rate, case.latency)
    bed.each([("limit", (share,)) for share in case.shares])
    bed.ask("prepare", case.plans, case.step, ranks=ranks)

    def once() -> Figure:
        runs = [
            bed.run(case.program, case.step, ranks=ranks, steps=case.steps, lanes=case.lanes, outcomes=case.outcomes)
            for _ in range(WARM + REPEATS)
        ]
        return _figure([_end_of(each) for each in runs[WARM:]])

    return _undisturbed(bed, once)


def _undisturbed(bed: Testbed, once: Callable[[], Figure]) -> Figure:
    """The first of some tries against which nothing speaks, else the last."""
    for _ in range(TRIES):
        figure = _watched(bed, once)
        if not figure.reasons:
            break
    return figure


def _watched(bed: Testbed, once: Callable[[], Figure]) -> Figure:
    """A figure, and what went on meanwhile."""
    machine, start, used = ThisHost(), time.perf_counter(), bed.processor_seconds()
    stolen = machine.stolen(None)
    figure = once()
    wall, ours, taken = time.perf_counter() - start, bed.processor_seconds() - used, machine.stolen(None)
    reasons = list(figure.reasons)
    if stolen is not None and taken is not None and taken - stolen > max(0.01 * wall * bed.cores, 2 * machine.tick()):
        reasons.append(f"a hypervisor took {(taken - stolen) / wall / bed.cores:.1%} of the cores")
    if ours < (1 - OTHERS) * wall * bed.cores - 2 * machine.tick():
        reasons.append(f"others took {1 - ours / wall / bed.cores:.1%} of the cores")
    return replace(figure, reasons=tuple(reasons))


def _figure(times: Sequence[float]) -> Figure:
    low, high = median_interval(times, 0.95)
    seconds = median(times)
    wide = high - low > 2 * WIDE * seconds
    reasons = (f"the median is known to {(high - low) / 2 / seconds:.1%} only",) if wide else ()
    return Figure(seconds, low, high, len(times), reasons)


def _end_of(run: Sequence[Sequence[RanPart]]) -> float:
    return max(part.end for host in run for part in host)


def _machine() -> dict[str, str]:
    cores = str(len(os.sched_getaffinity(0)))
    return {"processor": _processor(), "cores": cores, "kernel": platform.release(), "date": time.strftime("%Y-%m-%d")}


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
