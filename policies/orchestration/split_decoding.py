"""A decoder cut between edge and cloud without anything kept in the cloud: the naive baseline of Jin and Wu, CE-CoLLM, 2024.

Without a cache in the cloud every token needs the hidden states of the whole context there: the bytes of an answer of n tokens to a prompt
of p are the sum of (p + t) over t < n, times those of one state, which grows with the square of its length.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.hwmodels.units import Bytes
from edgewright.policies.families import Script
from edgewright.policies.orchestration.calls import call, result_of
from edgewright.policies.plan import Transfer, seq
from edgewright.policies.registry import register
from edgewright.policies.views import JobView

__all__ = ["SplitDecoding"]


@register("orchestration", "split_decoding")
@dataclass(frozen=True, slots=True, kw_only=True)
class SplitDecoding:
    """Per token the edge's layers, then the states of the whole context to the cloud, then the cloud's layers over all of it.

    Attributes:
        first, cloud: services of the layers before and behind the cut.
        edge, gateway: devices between which hidden states travel.
        state: bytes of one hidden state on the wire.

    How wrong it can be: as `early_exit`; nothing overlaps.
    """

    first: str
    cloud: str
    edge: str
    gateway: str
    state: Bytes

    @property
    def services(self) -> tuple[str, ...]:
        """The services that it calls."""
        return self.first, self.cloud

    @property
    def nodes(self) -> tuple[str, ...]:
        """The devices between which it sends."""
        return self.edge, self.gateway

    def serve(self, job: JobView) -> Script:
        """Token after token, until the job has all of them."""
        known, cached, done = job.prompt, 0, False
        while not done:
            yield call(self.first, prompt=known, prefilled=cached, output=1, emits=0)
            states = Transfer(self.edge, self.gateway, known * self.state)
            outcome = yield seq(states, call(self.cloud, prompt=known, prefilled=0, output=1, emits=1))
            known, cached, done = known + 1, known, bool(result_of(outcome)["done"])
