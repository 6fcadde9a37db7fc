"""Jobs: who asks, for what, when.

A job carries what its source knows, the output length included. Policies see it through `policies.views.JobView`, which has no output.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

__all__ = ["Job", "Kind"]

Kind = Literal["generate", "infer"]
"""`generate`: tokens one by one after a prompt. `infer`: one pass over one input (an image, a frame, a window of samples)."""


@dataclass(slots=True)
class Job:
    """One request. Nobody changes it; it is not frozen because making it would then take thrice the time, and runs make millions.

    Attributes:
        id: unique in a run.
        service: name of the service that it asks.
        source: name of the source that sent it; with `index` and `turn` it names the job's random draws (`key`).
        arrival: seconds.
        prompt: prompt tokens, history included; inputs for a one-shot job.
        output: tokens that will be generated; 0 for a one-shot job. No policy may see it.
        kind: see `Kind`.
        index: number of the job within its source, counted before thinning, so that draws do not depend on what else was kept.
        priority: higher is more urgent.
        deadline: seconds, absolute; None if there is none.
        session: number of the conversation within its source; None outside conversations.
        turn: number of the turn within the session, from 0.
        history: of `prompt`, the tokens that repeat the session's earlier prompts and answers (what a prefix cache could hold).
        prefix: of `prompt`, the first tokens, which it has in common with every job of the same `prefix_name`; 0: it shares none.
        ingress_bytes: bytes that travel to the service with the request.
        egress_bytes_per_token: bytes that travel back per generated token; per result for a one-shot job.
    """

    id: int
    service: str
    source: str
    arrival: float
    prompt: int
    output: int = 0
    kind: Kind = "generate"
    index: int = 0
    priority: int = 0
    deadline: float | None = None
    session: int | None = None
    turn: int = 0
    history: int = 0
    prefix: int = 0
    prefix_name: str = ""
    ingress_bytes: float = 0.0
    egress_bytes_per_token: float = 0.0

    @property
    def key(self) -> int:
        """A whole number below 2**63 that names the job's own draws (routes, outcomes): a hash of source, index and turn.

        Unlike `id`, it does not depend on what else runs. Two jobs of a run of n share it with probability about n**2 / 2**64.
        """
        name = f"{self.source}|{self.index}|{self.turn}"
        return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little") >> 1
