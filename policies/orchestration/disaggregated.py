"""Prefill and decode on different replicas.

Patel et al., Splitwise: Efficient Generative LLM Inference Using Phase Splitting, ISCA 2024; Zhong et al., DistServe, OSDI 2024.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.policies.families import Script
from edgewright.policies.orchestration.calls import call, result_of
from edgewright.policies.registry import register
from edgewright.policies.views import JobView

__all__ = ["Disaggregated"]


@register("orchestration", "disaggregated")
@dataclass(frozen=True, slots=True, kw_only=True)
class Disaggregated:
    """One service computes the prompt and the first token, another the rest; the cache travels between them.

    Attributes:
        prefill, decode: the services, of the same model.

    How wrong it can be: the cache is sent when the prefill has ended; Splitwise sends it layer by layer behind the computation, which
    hides most of it. The decoding replica is chosen when the prefill has ended, not with it.
    """

    prefill: str
    decode: str

    @property
    def services(self) -> tuple[str, ...]:
        """The services that it calls."""
        return self.prefill, self.decode

    def serve(self, job: JobView) -> Script:
        """Prefill and one token, then the rest with the cache carried over, unless the first token was the last."""
        outcome = yield call(self.prefill, output=1)
        first = result_of(outcome)
        if not first["done"]:
            yield call(self.decode, prefilled=job.prompt, kv_from=first["replica"])
