"""A replica: a copy of a model on its devices, with its queue, KV memory, program and lanes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.policies.compile import CompiledPlan, Strand, compile_plan
from edgewright.policies.families import Placement, Program
from edgewright.policies.views import Stage
from edgewright.simulator.assemble_memory import Capacity, state_bytes
from edgewright.simulator.blocks import BlockPool
from edgewright.simulator.checkpoints import Checkpoints
from edgewright.simulator.courses import Courses
from edgewright.simulator.engines import MemoryPool
from edgewright.simulator.experts import ExpertsBinder
from edgewright.simulator.forecast import Forecast
from edgewright.simulator.interpreter import Scope
from edgewright.simulator.lane import Lane
from edgewright.simulator.lifecycle import Lifecycle
from edgewright.simulator.machine import Machine
from edgewright.simulator.operation import Operation
from edgewright.simulator.plan_runner import PlanRunner
from edgewright.simulator.presets import EnginePreset
from edgewright.simulator.program import program_of
from edgewright.simulator.request import Request
from edgewright.simulator.scripts import ScriptRun
from edgewright.simulator.stepping import step_at
from edgewright.simulator.stretch import Course, Stretch, can_stretch
from edgewright.simulator.swap import SwapSpace
from edgewright.workloads import Step, Stream
from edgewright.workloads.outcomes import Outcomes

if TYPE_CHECKING:
    from edgewright.simulator.assemble import Setup
    from edgewright.simulator.recorder import Recorder

__all__ = ["Replica"]


LONGEST_STRETCH = 4096
"""Iterations priced at once: bounds the arrays of a stretch, changes no result."""

OUTCOME_BLOCK = 64
"""The same where every iteration has outcomes (expert routes), which are drawn for all of them beforehand."""

_GIVEN = ("capacity", "env", "machine", "outcomes", "recorder", "setup", "stream")
_OF_SETUP = ("devices", "kv_policy", "model", "name", "placement", "preset", "service")
_PARTS = ("checkpoints", "courses", "experts", "forecast", "kv", "lanes", "life", "program", "scope", "strand", "swap", "waiting")
_KEPT = ("_needed", "_order", "_plan", "_runner", "_seen", "hit_tokens", "most", "most_iterations", "prompt_tokens")


class Replica:
    """One replica in time. Implements `ServerView` for routers.

    In slots: of more than thirty attributes Python keeps a dictionary, which ten thousand replicas have to fetch from memory.

    Attributes:
        waiting: its queue; preempted requests come first.
        lanes: steps in flight at once.
        most: jobs in its batches together, by the engine's limit.
        life: whether it serves, starts, or is down; `checkpoints`: of its requests' keys and values.
        kv: paged KV memory, None if the model caches nothing; `swap`: where preempted jobs' KV waits, None if it is not kept.
        prompt_tokens: tokens of the prompts admitted so far; `hit_tokens`: of these, found in the cache.
        strand: the plan's one strand if a run of steps may be jumped over, else None; `courses`: what is known of its steps.
        most_iterations: how many steps may be bound at once.
    """

    __slots__ = (*_GIVEN, *_OF_SETUP, *_PARTS, *_KEPT)

    def __init__(self, machine: Machine, setup: Setup, capacity: Capacity, outcomes: Outcomes, stream: Stream, recorder: Recorder) -> None:
        self.machine = machine
        self.env = machine.env
        self.setup = setup
        self.name = setup.scope
        self.service = setup.service
        self.model = setup.model
        self.preset: EnginePreset = setup.engine
        self.capacity = capacity
        self.outcomes = outcomes
        self.recorder = recorder
        self.devices = setup.spec.devices
        self.kv_policy = setup.tables[0].kv
        self.kv = self._block_pool()
        self._needed: dict[int, int] = {}
        self.swap = SwapSpace(machine, setup) if self.kv is not None and self.preset.preemption == "swap" else None
        self.prompt_tokens = self.hit_tokens = 0
        self.placement: Placement = setup.placement
        self.waiting: deque[Request] = deque()
        self.stream = stream
        self._plan: CompiledPlan | None = None
        self._runner: PlanRunner | None = None
        self.strand: Strand | None = None
        self.courses: Courses | None = None
        self._fresh_experts(None)
        self._rewire()
        self._find_strand()
        self.most_iterations = OUTCOME_BLOCK if self.experts is not None else LONGEST_STRETCH
        self.forecast = Forecast(machine.cluster, setup, self.strands)
        batching = setup.tables[0].batching
        most = min(self.preset.max_sequences, capacity.sequences or self.preset.max_sequences)
        share = max(1, most // setup.placement.lanes)
        self.most = share * setup.placement.lanes
        self.lanes = [
            Lane(self, batching.start(f"{self.name}.lane{index}", stream.child(f"batching{index}")), share)
            for index in range(setup.placement.lanes)
        ]
        self.life = Lifecycle(self)
        self.checkpoints = Checkpoints(machine, setup)
        self._order = 0
        self._seen = 0

    def _fresh_experts(self, before: ExpertsBinder | None) -> None:
        """Experts in memory as at the start, and the program that follows them; `before`: those whose place they take."""
        self.experts = ExpertsBinder.of(self.setup, self.stream.child("experts"), before)
        agent = self.experts.agent if self.experts is not None else None
        if before is None or isinstance(agent, Program):
            self.program = program_of(self.setup, agent if isinstance(agent, Program) else self.setup.placement.program)
            self._plan = None if isinstance(self.program, Program) else compile_plan(self.program)

    def _rewire(self) -> None:
        """Pools, flags and iterations as at the start."""
        pools = {name: MemoryPool(f"{self.name}.{name}", size) for name, size in self.setup.placement.pools.items()}
        traffic = self.setup.tables[0].traffic
        self.scope = Scope(self.machine, self.name, pools, weight=traffic.weight, priority=traffic.priority)
        self._runner = None if self._plan is None else PlanRunner(self.scope, self._plan)

    def _block_pool(self) -> BlockPool | None:
        if self.capacity.blocks is None:
            return None
        slots = self.preset.slot_tokens if self.preset.memory == "slots" else None
        preset, shares = self.preset, self.preset.prefix_caching and not any(state_bytes(self.setup).values())
        return BlockPool(self.capacity.blocks, preset.block_size, self.kv_policy, preset.watermark, slots, shares)

    def _find_strand(self) -> None:
        plan = self._plan
        if plan is not None and len(plan.strands) == 1 and can_stretch(plan.strands[0]) and self.placement.lanes == 1:
            self.strand = plan.strands[0]
            self.courses = Courses(self.machine, self.strand)

    # -- failing ---------------------------------------------------------------------------------------------------------------------------

    @property
    def serving(self) -> bool:
        """Whether it computes: its devices are up, and its weights in memory."""
        return self.life.serving

    def abort(self) -> None:
        """Stop all steps under way; requests stay where they are, as they were after the last whole step."""
        for lane in self.lanes:
            lane.cut()
        self.scope.abandon()
        for lane in self.lanes:
            lane.abort()
        self._rewire()

    def clear_batches(self) -> list[Request]:
        """Give up the requests in batches, in order of admission (after `abort`); their keys and values stay until they are taken away."""
        found = sorted((each for lane in self.lanes for each in lane.hand_over()), key=lambda each: each.admitted_order)
        self._noted()
        return found

    def hand_over(self) -> list[tuple[Request, Stage]]:
        """Stop all steps and give up every request, those in batches first; their keys and values stay until they are taken away."""
        self.abort()
        if self.swap is not None:
            self.swap.abort()
        batches = self.clear_batches()
        queue = list(self.waiting)
        self.waiting.clear()
        self._noted()
        return [*((request, "running") for request in batches), *((request, "queued") for request in queue)]

    def holds(self, request: Request) -> bool:
        """Whether the request is in its queue or in a batch."""
        return request in self.waiting or any(request in lane.running for lane in self.lanes)

    def wipe(self) -> None:
        """The memory of a device has lost what it held: keys and values, sessions, experts."""
        if self.kv is not None:
            self.kv.clear()
            self.note_blocks(self.kv)
        if self.experts is not None:
            self._fresh_experts(self.experts)
            self._rewire()

    def leave(self, request: Request, then: Callable[[], None]) -> None:
        """Let a request go as soon as it can, and call: from the queue at once, from a batch between two steps.

        Where the step hangs on a dead link or storage, it is aborted first.
        """
        if request in self.waiting:
            self.waiting.remove(request)
            self._changed()
            then()
            return
        lane = next(lane for lane in self.lanes if request in lane.running)
        lane.release(request, partial(self._left, then))
        if self.hanging_since() is not None:
            self.abort()

    def _left(self, then: Callable[[], None]) -> None:
        self._changed()
        then()

    def drop_kv(self, request: Request, kept: int = 0) -> None:
        """A request that has left goes on without its keys and values here, but for the first `kept`, which a checkpoint holds."""
        if self.swap is not None:
            self.swap.drop([request])
        if self.kv is not None and (self.kv.covered(request) or request.swapped):
            self.kv.release(request, retain=False)
            self._changed()
            request.lose(kept)
        else:
            request.forget()

    def hanging_since(self) -> float | None:
        """Since when a step under way has hung on a dead link or storage; None if none does."""
        found = [
            since
            for execution in self.scope.live
            for handle in execution.handles.values()
            if isinstance(handle, Operation) and (since := self.machine.impair.hanging_since(handle)) is not None
        ]
        return min(found, default=None)

    @property
    def strands(self) -> tuple[Strand, ...]:
        """Strands of the plan that run with each step; none if it is a script."""
        return self._runner.plan.paced if self._runner is not None else ()

    def start(self) -> None:
        """Start the lanes, and the strands of the plan that run ahead."""
        self.run_ahead()
        for lane in self.lanes:
            lane.go_on()

    def run_ahead(self) -> None:
        """Start the strands of the plan that run ahead of the steps."""
        if self._runner is not None:
            self._runner.start()

    # -- steps -----------------------------------------------------------------------------------------------------------------------------

    def may_jump(self) -> bool:
        """Whether a run of steps might be jumped over: the plan is of the kind, and its engines are free (its links may not be)."""
        return self.courses is not None and self.machine.free(self.courses.queues, ())

    def jump(
        self, step: Step, iterations: int, on_end: Callable[[Stretch, int, bool], None], on_token: Callable[[], None]
    ) -> Stretch | None:
        """A stretch over these steps, not yet begun; None if the plan is not alone, or in its own way."""
        if self.strand is None or self._runner is None or self.courses is None:
            return None
        known = self.courses.known(step)
        stretch = Stretch(self._runner, self.strand, step, iterations, on_end, on_token, step_at, known)
        return stretch if stretch.possible() and not self.courses.in_its_own_way(stretch.course) else None

    def known_course(self, step: Step) -> Course | None:
        """The course of a one-shot step (`Courses.known`); None for tokens, and of a plan that cannot be jumped over."""
        return None if self.courses is None else self.courses.known(step)

    def interpret(self, step: Step, requests: Sequence[Request], on_token: Callable[[], None]) -> None:
        """Run one step of these requests operation by operation."""
        if self._runner is not None:
            self._runner.step(step, on_token)
        elif isinstance(self.program, Program):
            ScriptRun(self.scope, self.program.step(step), step, on_token, reveal=partial(self._reveal, step, requests)).begin()

    def _reveal(self, step: Step, requests: Sequence[Request], name: str) -> Any:
        """An outcome of the step (routes), or of each of its requests: an array in the order of the batch, decoding ones first."""
        if name in step.outcomes:
            return step.outcomes[name]
        return np.array([self._drawn(name, request) for request in requests])

    def _drawn(self, name: str, request: Request) -> float:
        job = request.root.job
        return self.outcomes.draw(name, job.index, request.generated, key=job.key)

    # -- requests --------------------------------------------------------------------------------------------------------------------------

    def enqueue(self, request: Request, first: bool = False) -> None:
        """A request has reached the replica; `first`: before all others but those in the swap space, as it holds memory already."""
        if request.queued is None:
            request.queued = float(self.env.now)
        request.replica = self.name
        if self.kv is not None and _may_be_cached(request):
            self._seen = -1
        if first:
            self.waiting.insert(sum(1 for each in self.waiting if each.swapped), request)
        else:
            self.waiting.append(request)
        self._noted()
        for lane in self.lanes:
            lane.arrived()

    def refresh(self) -> None:
        """Look before a decision what the cache has for jobs in the queue, if that may have changed: their sessions' past, shared prefixes.

        A session's past is for the first of its turns; another has it once that one leaves it behind.
        """
        if self.kv is None or self.kv.changes == self._seen:
            return
        self._seen = self.kv.changes
        met: set[tuple[str, int]] = set()
        for request in self.waiting:
            if not _may_be_cached(request) or request.swapped or self.kv.covered(request):
                continue
            session = request.job.source, -1 if request.session is None else request.session
            request.cached = 0 if session in met else self.kv.remembered(request)
            if request.session is not None:
                met.add(session)

    def take(self, jobs: Sequence[int], lane: Lane) -> list[Request]:
        """Move waiting requests into a lane's batch, with the memory of their prompts."""
        if not jobs:
            return []
        taken, now = self._asked(jobs), float(self.env.now)
        if self.kv is not None:
            for request in taken:
                self.kv.recall(request)
        for request in taken:
            self.waiting.remove(request)
            if self.kv is not None:
                self.kv.grow(request, request.wanted)
            self._count_hits(request)
            self._order += not request.swapped
            request.admit(now, request.admitted_order if request.swapped else self._order)
            lane.running.append(request)
        self.recorder.admitted(self.name, self.running)
        self._changed()
        return taken

    def _asked(self, jobs: Sequence[int]) -> list[Request]:
        """The waiting requests of these numbers; those in the swap space, which stand first, go before all that were never preempted."""
        head = self.waiting[0] if self.waiting else None
        if head is not None and not head.swapped and len(jobs) == 1 and jobs[0] == head.id:
            return [head]
        by_id = {request.id: request for request in self.waiting}
        if missing := [job for job in jobs if job not in by_id]:
            raise ValueError(f"{self.name}: batching admitted jobs {missing}, which are not waiting")
        taken = [by_id[job] for job in jobs]
        left = [request.id for request in self.waiting if request.swapped and request not in taken]
        if left and not all(request.preemptions for request in taken):
            raise ValueError(f"{self.name}: batching admitted jobs {list(jobs)} before jobs {left}, which wait in the swap space")
        return taken

    def _count_hits(self, request: Request) -> None:
        if not request.preemptions and not request.kv_from:
            self.prompt_tokens += request.prompt
            self.hit_tokens += request.cached if request.cached and _may_be_cached(request) else 0

    def preempt(self, request: Request, lane: Lane) -> Generator[Any, Any, None]:
        """Take a request's memory away, once its KV has been copied if it is to be kept; it waits again, first in the queue.

        It fails if it has outgrown the whole cache, or if the engine rejects what it has no room for.
        """
        if self.kv is None:
            return
        if self.kv.blocks(request, request.prompt + request.generated) > self.kv.capacity:
            self.fail(request, lane, "KV cache smaller than what it has grown to")
            return
        if self.preset.preemption == "reject":
            self.fail(request, lane, "KV cache full")
            return
        swapped = 0
        if self.swap is not None and self.swap.take(request, self.kv.covered(request)):
            yield from self.swap.move(self.swap.held[request.id], inward=False)
            swapped = request.context
        if request not in lane.running:
            return
        lane.running.remove(request)
        self.kv.release(request, retain=False)
        request.preempt(swapped)
        self._seen = -1
        self.waiting.appendleft(request)
        self.recorder.preempted(self)
        self._changed()

    def swap_in(self, taken: Sequence[Request]) -> Generator[Any, Any, None]:
        """Bring back the KV of those of the admitted requests that were swapped out; what they share and is there does not travel."""
        back = [request for request in taken if request.swapped]
        if not back or self.swap is None or self.kv is None:
            return
        kv, swap = self.kv, self.swap
        yield from swap.move(sum(min(swap.held[each.id], kv.held.get(each.id, 0)) for each in back), inward=True)
        swap.drop([request for request in back if request.swapped])
        for request in back:
            request.swapped = 0

    def reclaim(self) -> bool:
        """Take the memory of a waiting request that was to go on with it, the last but the first in the queue; False if none has any."""
        kv = self.kv
        victim = None if kv is None else next((each for each in reversed(list(self.waiting)[1:]) if kv.covered(each)), None)
        if self.kv is None or victim is None:
            return False
        self.kv.release(victim, retain=False)
        victim.preempt()
        self.recorder.preempted(self)
        return True

    def complete(self, request: Request, lane: Lane) -> None:
        """A request has its last token."""
        self._leave(request, lane, retain=True)
        lane.pad(request)
        request.end("completed", float(self.env.now))

    def fail(self, request: Request, lane: Lane, reason: str) -> None:
        """A request cannot go on."""
        self._leave(request, lane, retain=False)
        request.end("failed", float(self.env.now), reason)

    def _leave(self, request: Request, lane: Lane, retain: bool) -> None:
        lane.running.remove(request)
        if self.kv is not None:
            self.kv.release(request, retain)
        if self.swap is not None:
            self.swap.drop([request])
        self._changed()

    def _noted(self) -> None:
        now, waiting, running = float(self.env.now), len(self.waiting), self.running
        self.recorder.queue(self.name, now, waiting, running)
        self.life.worked(now, waiting, running)

    def note_blocks(self, kv: BlockPool) -> None:
        """Blocks of its memory may have been taken or given back."""
        self.recorder.blocks(self.name, float(self.env.now), kv)

    def _changed(self) -> None:
        self._noted()
        if self.kv is not None:
            self.note_blocks(self.kv)
        if self.waiting:
            for lane in self.lanes:
                lane.wake()

    # -- view of routers -------------------------------------------------------------------------------------------------------------------

    @property
    def queued(self) -> int:
        """Requests waiting."""
        return len(self.waiting)

    @property
    def running(self) -> int:
        """Requests in batches."""
        if len(self.lanes) == 1:
            return len(self.lanes[0].running)
        return sum(len(lane.running) for lane in self.lanes)

    @property
    def queued_tokens(self) -> int:
        """Prompt tokens waiting to be computed."""
        self.refresh()
        return sum(request.tokens for request in self.waiting)

    @property
    def available(self) -> bool:
        """Whether it takes jobs: it serves, and is not to be stopped."""
        return self.life.state == "ready"

    def can_hold(self, job: Any) -> bool:
        """Whether the prompt and one token fit the KV memory at all."""
        if self.kv is None:
            return True
        if self.kv.slot_tokens is not None and job.prompt >= self.kv.slot_tokens:
            return False
        needed = self._needed.get(job.prompt)
        if needed is None:
            resident = self.kv_policy.footprint(job.prompt, job.prompt + 1).resident
            needed = self._needed[job.prompt] = -(-int(resident) // self.preset.block_size)
        return needed <= self.kv.capacity

    def predict_seconds(self, job: Any, expected_output: int) -> float:
        """See `Forecast.seconds_of`."""
        return self.forecast.seconds_of(job, expected_output, self.queued, self.queued_tokens, self._batch_with_one_more())

    def predict_joules(self, job: Any, expected_output: int) -> float:
        """See `Forecast.joules_of`."""
        return self.forecast.joules_of(job, expected_output, self._batch_with_one_more())

    def _batch_with_one_more(self) -> int:
        return min(self.running + self.queued + 1, self.preset.max_sequences)


def _may_be_cached(request: Request) -> bool:
    """Whether the replica's cache may hold some of a request's prompt: unless its keys and values come from elsewhere."""
    return (request.session is not None or bool(request.job.prefix)) and not request.kv_from
