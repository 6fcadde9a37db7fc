"""Arrival processes by name: `{process: poisson, rate: 2}`.

`ARRIVALS` maps the name to a frozen dataclass of hyper-parameters; `pydantic.TypeAdapter` of the class validates what a scenario says.
`OpenProcess.arrivals` gives the arrivals of an open process; `Feedback.first` and `.following` those that wait for completions.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edgewright.workloads.arrivals_open import Diurnal, GammaBurst, MarkovModulated, Periodic, Poisson, Replay
from edgewright.workloads.arrivals_process import Arrival, Feedback, OpenProcess
from edgewright.workloads.azure import AzureArrivals
from edgewright.workloads.sessions import ClosedLoop, Sessions

__all__ = [
    "ARRIVALS",
    "Arrival",
    "AzureArrivals",
    "ClosedLoop",
    "Diurnal",
    "Feedback",
    "GammaBurst",
    "MarkovModulated",
    "OpenProcess",
    "Periodic",
    "Poisson",
    "Replay",
    "Sessions",
]

ARRIVALS: Mapping[str, type[OpenProcess] | type[Feedback]] = MappingProxyType(
    {
        "azure": AzureArrivals,
        "closed": ClosedLoop,
        "diurnal": Diurnal,
        "gamma": GammaBurst,
        "markov": MarkovModulated,
        "periodic": Periodic,
        "poisson": Poisson,
        "replay": Replay,
        "sessions": Sessions,
    }
)
"""All arrival processes by name."""
