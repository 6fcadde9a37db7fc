"""The same workload in `sched-sim` 0.2.1 (Prajwal Pujari, PyPI; extra `benchmarks`), the fastest Python simulator of its kind known to us.

It gets the very jobs that our source sends, the same step-time function, batch limit, block size and number of blocks. Its first-come
scheduler computes waiting prompts whole, in one step with all that decodes; `chunked_prefill` with a budget that no step reaches does the
same here, and a row of the table says how closely times then agree. Its decoding starts with the second token, as here: the first is the
prompt's.

Step times are ours, and cost it no more than its own: each batch size and each prompt is priced once, in the turn that warms up, so that a
step that is timed is a look-up and, for the tokens attended, one multiplication. Its own function (`hardware/latency_model.py`) is longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from edgewright.experiments.benchmarks.llm import BATCH
from edgewright.hwmodels import catalog, price
from edgewright.workloads import Attended, Job, Part, Step, format_named, zoo

if TYPE_CHECKING:
    from edgewright.simulator import Simulation

__all__ = ["StepTimes", "jobs_of", "peer_name", "run_peer", "simulator_of"]


def peer_name() -> str:
    """`sched-sim 0.2.1`; raises `PackageNotFoundError` if it is not installed."""
    return f"sched-sim {version('sched-sim')}"


def jobs_of(simulation: Simulation) -> list[Job]:
    """The jobs that the workload will send, in order of arrival."""
    (source,) = simulation.sources.values()
    return list(source.source.jobs(source.stream, 0.0, source.stop, iter(range(1 << 62))))


class StepTimes:
    """Seconds of a step of Llama-2-7B on the A100, as Edgewright prices it.

    Decoding is affine in the tokens attended, since reading them binds at every size (a test compares it with the price itself).

    Attributes:
        slope: seconds per token attended by decoding sequences.
    """

    def __init__(self) -> None:
        self._part: Part = zoo.model("llama-2-7b").part(format_named("fp16"))
        self._device = catalog.device("a100_80gb_sxm")
        self._known: dict[tuple[tuple[int, ...], int], float] = {}
        far = Step(decode=1, emits=1, full=Attended(context=1e6))
        self.slope = (self._price(far) - self.base((), 1)) / 1e6

    def _price(self, step: Step) -> float:
        return float(price(self._part(step), self._device).seconds)

    def base(self, prompts: tuple[int, ...], decoding: int) -> float:
        """Seconds of a step that computes these prompts whole while so many sequences decode, but for the tokens that these attend to."""
        found = self._known.get((prompts, decoding))
        if found is None:
            step = Step.of(prefill=[(0, tokens) for tokens in prompts], decode=[0] * decoding)
            found = self._known[prompts, decoding] = self._price(step)
        return found

    def seconds(self, prompts: tuple[int, ...], decoding: int, context: int) -> float:
        """Seconds of a step; `context`: tokens cached of those that decode, before it."""
        return self.base(prompts, decoding) + self.slope * (context + decoding)


def simulator_of(jobs: Sequence[Job], times: StepTimes, blocks: int) -> Any:
    """Their simulator with our step times and `blocks` of KV memory, the jobs submitted, ready to run."""
    from sched_sim.core.event_engine import Simulator
    from sched_sim.core.request import Request
    from sched_sim.hardware.latency_model import RooflineLatencyModel
    from sched_sim.hardware.presets import get_hardware_profile
    from sched_sim.memory.block_manager import BlockManager
    from sched_sim.memory.preemption import PreemptionHandler
    from sched_sim.schedulers.fcfs import FCFSScheduler

    class Latency(RooflineLatencyModel):  # type: ignore[misc]
        prompts: tuple[int, ...] = ()

        def compute_prefill_step_time(self, num_prefill_tokens: int) -> float:
            return times.base(self.prompts, 0)

        def compute_decode_step_time(self, batch_size: int, total_context_tokens: int) -> float:
            return times.seconds((), batch_size, total_context_tokens)

        def compute_mixed_step_time(self, num_prefill_tokens: int, num_decode_requests: int, total_decode_context_tokens: int) -> float:
            return times.seconds(self.prompts, num_decode_requests, total_decode_context_tokens)

    class Scheduler(FCFSScheduler):  # type: ignore[misc]
        def schedule_iteration(self, current_time: float) -> Any:
            decision = super().schedule_iteration(current_time)
            self.latency_model.prompts = tuple(tokens for _, tokens in decision.prefill_requests)
            return decision

    hardware = get_hardware_profile("a100")
    memory, latency = BlockManager(hardware), Latency(hardware)
    memory.total_gpu_blocks = blocks
    memory.free_gpu_blocks = list(range(blocks))
    simulator = Simulator(hardware, Scheduler(memory, latency, PreemptionHandler(memory, latency), BATCH))
    simulator.submit_workload(
        [
            Request(
                request_id=str(job.id),
                arrived_at=job.arrival,
                prompt_tokens=job.prompt,
                output_tokens=max(job.output - 1, 1),
                slo_ttft=2.0,
                slo_tpot=0.1,
            )
            for job in jobs
        ]
    )
    return simulator


def run_peer(simulator: Any) -> Any:
    """Run to the end; its metrics."""
    return simulator.run()
