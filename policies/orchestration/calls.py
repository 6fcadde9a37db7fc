"""What scripts say to the services that they call, and what they hear back.

A call makes a job like the calling one, with these overrides:

| override    | meaning                                                                          | default                          |
|-------------|----------------------------------------------------------------------------------|----------------------------------|
| `prompt`    | prompt tokens                                                                    | the calling job's                |
| `output`    | tokens to generate                                                               | what the calling job still lacks |
| `prefilled` | of the prompt, tokens whose keys and values come with the job                    | 0                                |
| `kv_from`   | replica that holds those: they travel from its root before the job queues        | nothing travels                  |
| `emits`     | tokens of the calling job that the call is worth when it ends                    | those it generates               |

A call returns a mapping: `replica` (name of the replica that served it), `tokens` (generated), `done` (whether the calling job now has
all its tokens: the end-of-sequence token has been seen), and times.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgewright.policies.families import Outcome
from edgewright.policies.plan import Call

__all__ = ["call", "result_of"]


def call(
    service: str,
    *,
    prompt: int | None = None,
    output: int | None = None,
    prefilled: int | None = None,
    kv_from: str | None = None,
    emits: int | None = None,
) -> Call:
    """A call with the overrides that are given."""
    said = {"prompt": prompt, "output": output, "prefilled": prefilled, "kv_from": kv_from, "emits": emits}
    return Call(service, tuple((name, value) for name, value in said.items() if value is not None))


def result_of(outcome: Outcome) -> Mapping[str, Any]:
    """What the plan's call returned (the last to end, if there were several)."""
    result: Mapping[str, Any] = outcome.revealed["call"]
    return result
