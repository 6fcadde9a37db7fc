"""Early exits at the edge, a cloud for the tokens that no exit is sure of: Jin and Wu, CE-CoLLM, 2024 (arXiv 2411.02829).

A decoder is cut at its first exit, and has a second one deeper at the edge. Per token: the layers up to the first exit, and if that is not
confident those up to the second, and if that is not either the cloud, which holds all layers behind the first exit. The cloud needs the
hidden state of *every* token at the first exit for its own keys and values; each is sent as soon as it exists, beside what the edge
computes next, and the cloud takes the pending ones as one small batch when it is asked.

    token = t(first) + miss1 t(second) + miss2 (max(0, states arrived - now) + round trip + t(cloud, pending))
"""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.hwmodels.units import Bytes
from edgewright.policies.families import Script
from edgewright.policies.orchestration.calls import call, result_of
from edgewright.policies.plan import Delay, Signal, Transfer, Wait, detach, seq
from edgewright.policies.registry import register
from edgewright.policies.views import JobView

__all__ = ["EarlyExit", "exit_taken"]


@register("orchestration", "early_exit")
@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyExit:
    """Each token leaves at the first exit, at the second, or from the cloud, as the service's outcome `exit` says: 0, 1, or 2 and more.

    Attributes:
        first, second: services at the edge, of the layers up to the first exit (with it) and from there to the second.
        cloud: service of the layers behind the first exit; None: standalone, the second exit's token is taken in any case.
        edge, gateway: devices between which hidden states travel.
        state: bytes of one hidden state on the wire.

    How wrong it can be: exits are drawn per token, independent of each other unless recorded; they are known before the token is computed,
    which changes nothing before its end. Tokens that left at the first exit have no keys and values behind it: the next to go on computes
    them in the same step, at the edge as in the cloud. Each call queues anew, as if the caches waited for it where it is served: their
    memory between calls is not held. A request to the cloud carries 4 bytes per pending token besides the states.
    """

    first: str
    second: str
    edge: str
    gateway: str
    state: Bytes
    cloud: str | None = None

    @property
    def services(self) -> tuple[str, ...]:
        """The services that it calls."""
        return (self.first, self.second) if self.cloud is None else (self.first, self.second, self.cloud)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The devices between which it sends."""
        return self.edge, self.gateway

    def serve(self, job: JobView) -> Script:
        """Token after token, until the job has all of them."""
        known, sent, deeper, above, done = job.prompt, 0, 0, 0, False
        while not done:
            outcome = yield Delay(0.0, reveals="exit")
            taken = exit_taken(outcome.revealed["exit"], 1 if self.cloud is None else 2)
            outcome = yield call(self.first, prompt=known, prefilled=sent, output=1, emits=int(taken == 0))
            if self.cloud is not None:
                fresh = known - sent
                upload = seq(Transfer(self.edge, self.gateway, fresh * self.state, "states"), Signal("arrived", fresh))
                yield detach(upload, "upload")
            sent = known
            if taken > 0:
                outcome = yield call(self.second, prompt=known, prefilled=deeper, output=1, emits=int(taken == 1))
                deeper = known
            if taken > 1 and self.cloud is not None:
                outcome = yield seq(Wait("arrived", known - above), call(self.cloud, prompt=known, prefilled=above, output=1, emits=1))
                above = known
            known, done = known + 1, bool(result_of(outcome)["done"])


def exit_taken(drawn: float, last: int) -> int:
    """An outcome as the number of an exit, from 0 to `last`."""
    return max(0, min(int(drawn), last))
