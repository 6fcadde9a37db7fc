"""Names of the outcomes that tell a step what its routers chose: written by agents, read by the amounts and works of plans.

`layer` is the number of the model's layer (`Block.layer`), `device` a device's name.

| name                        | value                                                           | read by                       |
|-----------------------------|-----------------------------------------------------------------|-------------------------------|
| `moe{layer}.distinct`       | distinct experts that the step touches                          | a part's routed experts       |
| `moe{layer}.missing`        | experts to read from storage                                    | `MissingBytes`                |
| `moe{layer}.routes`         | the routes `(tokens, top_k)`, revealed by the router            | the scripts of `prefetch`     |
| `moe{layer}.{device}.rows`  | token-expert pairs computed on the device                       | `ExpertGroup`                 |
| `moe{layer}.{device}.distinct` | distinct experts touched on the device                       | `ExpertGroup`                 |
| `moe{layer}.dispatch`       | hidden vectors sent to devices that hold chosen experts         | `CrossingBytes`               |
| `moe{layer}.combine`        | results sent back                                               | `CrossingBytes`               |

All are floats for one step, arrays with one entry per step for a run of steps; `routes` is an integer array, of single steps only.
A plan's amounts stand without them too: they then take their expectation under uniform, independent routing.
"""

from __future__ import annotations

__all__ = ["combine_key", "dispatch_key", "distinct_key", "group_key", "missing_key", "routes_key"]


def distinct_key(layer: int) -> str:
    """Distinct experts touched."""
    return f"moe{layer}.distinct"


def missing_key(layer: int) -> str:
    """Experts to read from storage."""
    return f"moe{layer}.missing"


def routes_key(layer: int) -> str:
    """The routes themselves."""
    return f"moe{layer}.routes"


def group_key(layer: int, device: str) -> str:
    """Prefix of what falls on the experts of one device: followed by `.rows` and `.distinct`."""
    return f"moe{layer}.{device}"


def dispatch_key(layer: int) -> str:
    """Hidden vectors sent to experts elsewhere."""
    return f"moe{layer}.dispatch"


def combine_key(layer: int) -> str:
    """Results sent back from experts elsewhere."""
    return f"moe{layer}.combine"
