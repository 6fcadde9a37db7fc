"""Conformance of models and of trace formats: named checks on one of them. Yours too.

    from edgewright.workloads.conformance import check_model, check_trace_format
    check_model(from_config("config.json"))                # raises AssertionError, naming the checks that fail and what happened
    check_trace_format("mine", "when,in,out\n0.0,12,3\n1.5,40,9\n")    # a format under its name, and a sample of it

Read first: `model.py`, `trace.py`; what a suite is stands in `edgewright.hwmodels.conformance`.
May import: `workloads`, `hwmodels`. Nothing in `workloads` imports this package: it costs nothing unless it is used.

Passing says that what is counted is consistent, not that it is true: compare parameters with the published count.
"""

from edgewright.workloads.conformance.model import MODEL, check_model
from edgewright.workloads.conformance.trace import TRACE, TraceSample, check_trace_format

__all__ = ["MODEL", "TRACE", "TraceSample", "check_model", "check_trace_format"]
