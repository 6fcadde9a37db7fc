"""How much KV memory each replica gets, and how that number comes about.

    room = min(pool - reserve, memory_fraction x pool) - weights and workspaces of every replica on the device - KV set by hand
           - what replicas on cards swap to it

On each device the room is divided evenly among the replicas that did not set theirs. What the first of a replica's devices can hold is
what the replica can hold: sequences are on all of its devices at once.

How wrong can this be? Workspaces are the engine preset's (measured for one engine and card, or assumed); activations of generating
models are in them. Against the one published run at hand (vLLM 0.19, RTX 4090, Llama-3.1-8B) it is exact, because the workspace was read
off that run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgewright.hwmodels import Device
from edgewright.simulator.assemble import Setup

__all__ = [
    "Capacity",
    "Shortage",
    "activation_bytes",
    "kv_bytes_per_token",
    "kv_capacities",
    "kv_memory",
    "resident_bytes",
    "set_aside",
    "state_bytes",
    "swap_on_hosts",
    "weight_bytes",
]


class Shortage(ValueError):
    """A device's memory cannot hold what is placed there; `setup` is the replica for which nothing is left."""

    def __init__(self, setup: Setup, text: str) -> None:
        self.setup = setup
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Capacity:
    """KV memory of one replica.

    Attributes:
        bytes: on each of its devices that holds a part of the cache.
        tokens: tokens of context that fit, over all sequences; None: the model keeps no cache that grows with context.
        blocks: the same in whole blocks of the engine's size.
        sequences: sequences whose recurrent state fits at once; None: the model keeps none.
        derivation: how the number came about, in words and figures, for the summary.
    """

    bytes: Mapping[str, float]
    tokens: int | None
    blocks: int | None
    sequences: int | None
    derivation: str


def resident_bytes(setup: Setup) -> dict[str, float]:
    """Bytes that a replica always needs on each of its devices besides its workspace: weights and activations."""
    activations = activation_bytes(setup)
    return {device: weights + activations for device, weights in weight_bytes(setup).items()}


def weight_bytes(setup: Setup) -> dict[str, float]:
    """Bytes of weights that a replica keeps in memory on each of its devices: what starting it loads."""
    placement = setup.placement
    held = {device: sum(part.weight_bytes for part in parts) for device, parts in placement.parts.items()}
    return held if placement.resident is None else {**held, **placement.resident}


def activation_bytes(setup: Setup) -> float:
    """Bytes of activations on each device of a replica; for models that generate they are in the engine's workspace."""
    return 0.0 if setup.model.generates else setup.model.peak_activation_bytes(setup.format)


def kv_bytes_per_token(setup: Setup) -> dict[str, float]:
    """Bytes that one token of context takes on each device of a replica."""
    return {device: sum(part.kv_bytes_per_token for part in parts) for device, parts in setup.placement.parts.items()}


def state_bytes(setup: Setup) -> dict[str, float]:
    """Bytes of recurrent state that one sequence takes on each device of a replica."""
    return {device: sum(part.state_bytes for part in parts) for device, parts in setup.placement.parts.items()}


def swap_on_hosts(setup: Setup) -> dict[str, float]:
    """Bytes of swap space that a replica has in the memory of other devices: the hosts of its cards."""
    engine, hosts = setup.engine, setup.spec.cluster.hosts
    found: dict[str, float] = {}
    for device, each in kv_bytes_per_token(setup).items():
        if engine.preemption == "swap" and engine.swap_to == "host" and each > 0.0 and device in hosts:
            found[hosts[device]] = found.get(hosts[device], 0.0) + engine.swap_space
    return found


def set_aside(setups: Sequence[Setup], capacities: Mapping[str, Capacity]) -> dict[str, float]:
    """Bytes of every device's first pool that replicas have to themselves, whatever plans take: weights (or page cache), activations,
    workspaces, all of their KV memory or states, and what cards swap to it. Of replicas that scaling has stopped, too."""
    found: dict[str, float] = {}
    for setup in setups:
        capacity = capacities[setup.scope]
        tokens, sequences = (capacity.blocks or 0) * setup.engine.block_size, capacity.sequences or 0
        per_token, state = kv_bytes_per_token(setup), state_bytes(setup)
        for device, nbytes in resident_bytes(setup).items():
            cached = tokens * per_token.get(device, 0.0) + sequences * state.get(device, 0.0)
            found[device] = found.get(device, 0.0) + nbytes + setup.engine.workspace + cached
        for host, nbytes in swap_on_hosts(setup).items():
            found[host] = found.get(host, 0.0) + nbytes
    return found


def kv_memory(setups: Sequence[Setup], devices: Mapping[str, Device]) -> dict[str, dict[str, float]]:
    """Bytes of KV memory by replica's scope and device; raises `Shortage` where weights leave nothing."""
    shares: dict[str, dict[str, float]] = {setup.scope: {} for setup in setups}
    there: dict[str, list[Setup]] = {}
    swapped_to: dict[str, float] = {}
    for setup in setups:
        for name in setup.placement.parts:
            there.setdefault(name, []).append(setup)
        for name, nbytes in swap_on_hosts(setup).items():
            swapped_to[name] = swapped_to.get(name, 0.0) + nbytes
    for name, device in devices.items():
        here, swapped = there.get(name, []), swapped_to.get(name, 0.0)
        sharing = [setup for setup in here if setup.tables[1].kv_capacity is None and _caches(setup, name)]
        for setup in here:
            own = setup.tables[1].kv_capacity
            room = _room(setup, here, name, device) - swapped
            share = room / max(1, len(sharing)) if own is None else own
            if room < 0 or (own is not None and own > room + own):
                raise Shortage(setup, _too_small(here, name, device, swapped))
            shares[setup.scope][name] = share if own is not None or setup in sharing else 0.0
    return shares


def kv_capacities(setups: Sequence[Setup], devices: Mapping[str, Device]) -> dict[str, Capacity]:
    """The KV memory of every replica by scope.

    Raises `Shortage` if weights do not fit, if not even one block is left, or if an engine's slots do not fit.
    """
    memory = kv_memory(setups, devices)
    return {setup.scope: _capacity(setup, memory[setup.scope], devices) for setup in setups}


def _room(setup: Setup, here: Iterable[Setup], name: str, device: Device) -> float:
    """Bytes that are left on a device when every replica there has its weights, its workspace and the KV memory it set itself."""
    taken = sum(resident_bytes(other)[name] + other.engine.workspace + (other.tables[1].kv_capacity or 0.0) for other in here)
    return _usable(setup, device) - taken


def _usable(setup: Setup, device: Device) -> float:
    pool = device.main_pool
    return min(pool.capacity - pool.reserved, setup.engine.memory_fraction * pool.capacity)


def _capacity(setup: Setup, memory: Mapping[str, float], devices: Mapping[str, Device]) -> Capacity:
    per_token = {device: each for device, each in kv_bytes_per_token(setup).items() if each > 0}
    if not per_token:
        return _of_states(setup, memory)
    tightest = min(per_token, key=lambda device: memory[device] / per_token[device])
    engine = setup.engine
    tokens = int(memory[tightest] // per_token[tightest])
    if engine.kv_tokens is not None:
        tokens = _stated(setup, engine.kv_tokens, tokens, tightest)
    if engine.memory == "slots":
        tokens = _slots(setup, tokens, tightest)
    blocks = tokens // engine.block_size
    if blocks < 1:
        needed = engine.block_size * per_token[tightest]
        raise Shortage(setup, f"{tightest} has {_size(memory[tightest])} left for the KV cache, and one block takes {_size(needed)}")
    words = _derivation(setup, tightest, devices[tightest], memory[tightest], per_token[tightest], blocks)
    return Capacity(memory, blocks * engine.block_size, blocks, None, words)


def _caches(setup: Setup, device: str) -> bool:
    return kv_bytes_per_token(setup)[device] > 0 or state_bytes(setup)[device] > 0


def _of_states(setup: Setup, memory: Mapping[str, float]) -> Capacity:
    """The capacity of a model without a cache that grows: as many sequences as the memory holds recurrent states."""
    states = {device: each for device, each in state_bytes(setup).items() if each > 0}
    if not states:
        return Capacity(memory, None, None, None, "no cache that grows with context")
    tightest = min(states, key=lambda device: memory[device] / states[device])
    sequences = int(memory[tightest] // states[tightest])
    if sequences < 1:
        left = f"{tightest} has {_size(memory[tightest])} left for recurrent states"
        raise Shortage(setup, f"{left}, and one sequence takes {_size(states[tightest])}")
    words = f"{_size(memory[tightest])} / {_size(states[tightest])} of state per sequence = {sequences} sequences on {tightest}"
    return Capacity(memory, None, None, sequences, words)


def _stated(setup: Setup, wanted: int, room: int, device: str) -> int:
    if wanted > room:
        raise Shortage(setup, f"{device} has room for {room} tokens of KV cache, and {wanted} are stated (`kv_tokens`)")
    return wanted


def _slots(setup: Setup, tokens: int, device: str) -> int:
    engine = setup.engine
    assert engine.slot_tokens is not None, "a preset with slots says how long they are"
    reserved = engine.max_sequences * engine.slot_tokens
    if reserved > tokens:
        slots = f"{engine.max_sequences} slots of {engine.slot_tokens} tokens"
        raise Shortage(setup, f"{device} has room for {tokens} tokens of KV cache, and {slots} take {reserved}")
    return reserved


def _derivation(setup: Setup, name: str, device: Device, memory: float, per_token: float, blocks: int) -> str:
    engine = setup.engine
    end = f"{_size(memory)} / {per_token:.0f} B per token = {blocks} blocks of {engine.block_size} on {name}"
    if setup.tables[1].kv_capacity is not None:
        return f"set in the scenario: {end}"
    if engine.kv_tokens is not None:
        return f"{engine.kv_tokens} tokens ({engine.name}) = {blocks} blocks of {engine.block_size}"
    if engine.memory == "slots":
        return f"{engine.max_sequences} slots of {engine.slot_tokens} tokens ({setup.engine.name})"
    return (
        f"{_size(_usable(setup, device))} usable of {_size(device.main_pool.capacity)} ({engine.name}) less weights and workspaces: {end}"
    )


def _too_small(here: Sequence[Setup], name: str, device: Device, swapped: float) -> str:
    usable = min(_usable(setup, device) for setup in here)
    parts = ", ".join(f"{setup.scope} {_size(resident_bytes(setup)[name])}" for setup in here)
    extra = sum(setup.engine.workspace + (setup.tables[1].kv_capacity or 0.0) for setup in here)
    also = f", {_size(extra)} for workspaces and KV memory set by hand" if extra else ""
    also += f", {_size(swapped)} for what cards swap to it" if swapped else ""
    return f"{name} has {_size(usable)} of memory to give, and must hold weights of {parts}{also}"


def _size(amount: float) -> str:
    return f"{amount / 2**30:.2f} GiB" if abs(amount) >= 2**28 else f"{amount / 2**10:.1f} KiB"
