"""Devices, storages and links by name: `catalog.device("jetson_agx_orin_64gb")`.

The entries are in the YAML files beside this one, each figure with its provenance; an entry is parsed when it is first asked for
(`documents.py`). Some names are *companions*: `sd8gen3_npu` is the device `sd8gen3` with the engine `npu` first; such a device's `name`
is the companion's.

How to add a device: an entry in the file of its family (storages and links likewise).

    my_board:
      title: 'My board (4x Cortex-A76)'
      kind: cpu_sbc
      memory: {pool: ram, capacity: 8 GiB, bandwidth: 17.1 GB/s}     # the main pool; its bus is `dram` for `ram`, else the pool's name
      tiers: {flash: {capacity: 2 MiB, bandwidth: 1 GB/s}}           # further memories, optional
      idle_W: 3
      tdp_W: 12                                                      # sustained limit of the module
      engines:                                                       # the first is where work goes if nothing else is said
        cpu:
          kind: cpu                                                  # chooses default efficiencies, see `hwmodels.efficiency`
          peaks: {fp32: 1.5e+11, fp16: 3.1e+11, int8: 6.1e+11}       # operations/s, dense; a multiply-accumulate is two
          launch_overhead: 8 us
          clock_max: 2.4 GHz
          clock_min: 1.5 GHz
          cache_bytes: 2 MiB                                         # the last level
          memory_ceiling: 0.65                                       # share of the bus that streams reach, optional; `compute_ceiling` too
          efficiency: {gemm: {compute: 0.8, memory: 0.7, ramp: 4.0e-6}}    # measured classes, optional
      thermal: {resistances: [1, 8], capacities: [3, 40], trip: 80}    # K/W and J/K of die and heat sink, degrees Celsius; optional
      power_modes: {7W: 7, MAXN: {watts: 12, clocks: {cpu: 2 GHz}, units: {cpu: 0.5}, memory: 0.8}}    # optional, by name
      storage: nvme_gen3                                             # what it is usually used with, optional; `host_link` for cards
      assumed: [idle_W, cpu.launch_overhead]                         # figures that no document states
      measured: {cpu.peaks: 'cpufp, own run'}                        # figures and where they were measured
      uncertainty: {cpu.time: 0.1}                                   # how far figures may be off, see `hwmodels.uncertainty`; optional

What is in neither list comes from the file's `source`. Unknown figures stay out: what pricing needs and nobody states is derived as
an assumption that the provenance names. Run the tests under `tests/hwmodels`: they check every entry.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import cache

from edgewright.hwmodels.catalog import documents
from edgewright.hwmodels.catalog.entries import Facts, build_device, build_facts, build_link, build_storage
from edgewright.hwmodels.specs import Device, Link, Storage

__all__ = [
    "Facts",
    "UnknownEntry",
    "build_device",
    "build_link",
    "build_storage",
    "companions",
    "device",
    "devices",
    "facts",
    "link",
    "links",
    "storage",
    "storages",
]

FAMILIES = ("boards", "jetson", "microcontrollers", "phones", "apple", "gpus_workstation", "gpus_server", "servers")


class UnknownEntry(ValueError):
    """The catalogue has no entry of that name; the message lists the nearest."""


@cache
def device(name: str) -> Device:
    """The specification of a device, or of a companion; raises `UnknownEntry`."""
    if name not in _aliases():
        family = _family_of(name)
        entry = documents.entry(family, "devices", name)
        host_link = entry.get("host_link")
        built = build_device(name, entry, documents.value(family, "family"))
        return replace(built, host_link=None if host_link is None else link(host_link))
    alias = _alias(name)
    whole = device(alias["device"])
    first = alias["engine"]
    engines = {first: whole.engines[first]} | dict(whole.engines)
    return replace(whole, name=name, title=alias["title"], engines=engines)


@cache
def storage(name: str) -> Storage:
    """The specification of a kind of storage; raises `UnknownEntry`."""
    _require("storage", name, storages())
    return build_storage(name, documents.entry("storages", "storages", name), documents.value("storages", "source"))


@cache
def link(name: str) -> Link:
    """The specification of a kind of link; raises `UnknownEntry`."""
    _require("link", name, links())
    return build_link(name, documents.entry("links", "links", name), documents.value("links", "source"))


def facts(name: str) -> Facts:
    """Usual storage, host link, power modes and notes of a device or companion; raises `UnknownEntry`."""
    whole = _alias(name)["device"] if name in _aliases() else name
    return build_facts(documents.entry(_family_of(whole), "devices", whole))


def devices() -> tuple[str, ...]:
    """Names of all devices, sorted; without companions, which are the same devices."""
    return tuple(sorted(_devices()))


def companions() -> tuple[str, ...]:
    """Names that select a device with another engine first, sorted."""
    return tuple(sorted(_aliases()))


def storages() -> tuple[str, ...]:
    """Names of all storages, sorted."""
    return tuple(sorted(documents.names("storages", "storages")))


def links() -> tuple[str, ...]:
    """Names of all links, sorted."""
    return tuple(sorted(documents.names("links", "links")))


@cache
def _devices() -> Mapping[str, str]:
    """The family, which is the file, of every device."""
    return {name: family for family in FAMILIES for name in documents.names(family, "devices")}


@cache
def _aliases() -> Mapping[str, str]:
    """The family of every companion."""
    return {name: family for family in FAMILIES for name in documents.names(family, "aliases")}


def _alias(name: str) -> Mapping[str, str]:
    found: Mapping[str, str] = documents.entry(_aliases()[name], "aliases", name)
    return found


def _family_of(name: str) -> str:
    _require("device", name, (*devices(), *companions()))
    return _devices()[name]


def _require(what: str, name: str, known: Collection[str]) -> None:
    if name in known:
        return
    near = get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"accepted are {', '.join(sorted(known))}"
    raise UnknownEntry(f"unknown {what} {name!r}: {hint}")
