"""Demand: models as operators and tensors, jobs, arrivals, traces, routing and attention statistics.

Read first: `step.py` (what an engine computes), `model.py` (what that asks of hardware), `jobs.py` (who asks).
May import: `hwmodels`, `kernels`.
"""

from edgewright.workloads.arrivals import ARRIVALS, Arrival, Feedback, OpenProcess
from edgewright.workloads.attention_stats import AttentionProcess
from edgewright.workloads.formats import Format, UnknownFormat, format_named, format_names
from edgewright.workloads.hf import BadConfig, from_config
from edgewright.workloads.jobs import Job, Kind
from edgewright.workloads.jobs_source import Source
from edgewright.workloads.lengths import LENGTHS, LengthProcess, Lengths
from edgewright.workloads.model import Block, ExpertShape, Model, Part
from edgewright.workloads.outcomes import OUTCOMES, Outcomes, OutcomeSource, UnknownOutcome
from edgewright.workloads.routing_markov import MarkovRouting
from edgewright.workloads.routing_stats import Router, RoutingProcess, expert_loads, follow_table
from edgewright.workloads.routing_stats_replay import RecordedRouting, read_routes
from edgewright.workloads.step import Attended, Step
from edgewright.workloads.streams import Stream
from edgewright.workloads.traces import Trace, TraceError, TraceRow, read_trace
from edgewright.workloads.traces_download import download

__all__ = [
    "ARRIVALS",
    "LENGTHS",
    "OUTCOMES",
    "Arrival",
    "Attended",
    "AttentionProcess",
    "BadConfig",
    "Block",
    "ExpertShape",
    "Feedback",
    "Format",
    "Job",
    "Kind",
    "LengthProcess",
    "Lengths",
    "MarkovRouting",
    "Model",
    "OpenProcess",
    "OutcomeSource",
    "Outcomes",
    "Part",
    "RecordedRouting",
    "Router",
    "RoutingProcess",
    "Source",
    "Step",
    "Stream",
    "Trace",
    "TraceError",
    "TraceRow",
    "UnknownFormat",
    "UnknownOutcome",
    "download",
    "expert_loads",
    "follow_table",
    "format_named",
    "format_names",
    "from_config",
    "read_routes",
    "read_trace",
]
