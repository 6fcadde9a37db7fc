"""`edgewright devices`, `policies` and `schema`: what a scenario may say."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgewright.experiments import cli_completion as completion
from edgewright.experiments.cli_output import print_json, print_table, quantity
from edgewright.experiments.cli_scenario import with_plugins

if TYPE_CHECKING:
    from edgewright.hwmodels import Device

__all__ = ["device_named", "devices", "policies", "require_family", "schema"]


@click.command()
@click.argument("name", required=False, shell_complete=completion.devices)
@click.option("--profile", "profiles", multiple=True, type=click.Path(path_type=Path), help="A YAML file with devices of your own.")
@click.option("--beside", shell_complete=completion.devices, help="Another device, whose figures stand beside those of NAME.")
@click.option("--json", "machine", is_flag=True, help="Print as JSON.")
def devices(name: str | None, profiles: tuple[Path, ...], beside: str | None, machine: bool) -> None:
    """List the catalogue's devices, or every figure of the device NAME with where it comes from."""
    if name is None:
        from edgewright.hwmodels import catalog

        own = _own(profiles)
        _list_devices([*(catalog.device(each) for each in catalog.devices() if each not in own), *own.values()], machine)
        return
    figures = _figures(device_named(name, profiles))
    if beside:
        other = {each["figure"]: each["value"] for each in _figures(device_named(beside, profiles))}
        figures = [{**each, beside: other.get(each["figure"], "unavailable")} for each in figures]
    if machine:
        print_json({"device": name, "figures": figures})
    else:
        keys = ("figure", "value", *([beside] if beside else []), "kind", "source")
        header = ["known from" if key == "kind" else key for key in keys]
        print_table(header, [[each[key] for key in keys] for each in figures])


def device_named(name: str, profiles: Sequence[Path] = ()) -> Device:
    """The device of that name: one of the files', of the catalogue, or a companion; raises `ScenarioError`."""
    from edgewright.hwmodels import catalog
    from edgewright.simulator.errors import ScenarioError, choices

    own = _own(profiles)
    known = (*own, *catalog.devices(), *catalog.companions())
    if name not in known:
        raise ScenarioError("catalogue", "", f"{name!r} is no device", choices(name, known, "edgewright devices"))
    return own[name] if name in own else catalog.device(name)


def _own(profiles: Sequence[Path]) -> dict[str, Device]:
    from edgewright.simulator.assemble_devices import devices_of

    return {name: device for path in profiles for name, device in devices_of(path).items()}


@click.command()
@click.argument("family", required=False, shell_complete=completion.families)
@with_plugins
@click.option("--json", "machine", is_flag=True, help="Print as JSON.")
def policies(family: str | None, machine: bool) -> None:
    """List the policies of every FAMILY, or of one with their parameters and defaults."""
    from edgewright.policies.registry import family_names, policies_of

    if family:
        require_family(family)
    found = {each: policies_of(each) for each in ([family] if family else family_names())}
    listed = [_described(each, name, choice) for each, choices in found.items() for name, choice in choices.items()]
    if machine:
        print_json(listed)
    elif family is None:
        print_table(("family", "policy", ""), [[each["family"], each["policy"], each["summary"]] for each in listed])
    else:
        for each in listed:
            click.echo(f"{each['policy']}: {each['summary']}")
            for parameter, default in each["parameters"].items():
                click.echo(f"    {parameter}: {default}")


def require_family(family: str) -> None:
    """Refuse a name that is no family of policies with a `ScenarioError`."""
    from edgewright.policies.registry import family_names
    from edgewright.simulator.errors import ScenarioError, choices

    if family not in family_names():
        raise ScenarioError("policies", "", f"{family!r} is no family of policies", choices(family, family_names()))


@click.command()
@click.option("--json", "machine", is_flag=True, help="The schema is JSON in any case.")
def schema(machine: bool) -> None:
    """Print the JSON schema of scenario files, for editors that complete and check them."""
    from edgewright.simulator.scenario import Scenario

    print_json(Scenario.file_schema())


def _list_devices(specs: list[Device], machine: bool) -> None:
    rows = [_device_row(spec) for spec in specs]
    if machine:
        print_json(rows)
    else:
        header = tuple(rows[0])
        units = {"memory": "B", "bandwidth": "B/s", "fp16": "FLOP/s", "idle": "W", "tdp": "W"}
        print_table(header, [[quantity(row[key], units[key]) if key in units else str(row[key]) for key in header] for row in rows])


def _device_row(spec: Device) -> dict[str, Any]:
    pool, engine = spec.main_pool, spec.main_engine
    return {
        "name": spec.name,
        "kind": spec.kind,
        "memory": pool.capacity,
        "bandwidth": spec.buses[pool.bus].bandwidth,
        "fp16": engine.peaks.get("fp16"),
        "idle": spec.idle_W,
        "tdp": spec.tdp_W,
        "title": spec.title,
    }


def _figures(spec: Device) -> list[dict[str, str]]:
    """Every number of a device by dotted name, with its provenance."""
    return [{"figure": key, "value": f"{value:.6g}", **_known_from(spec, key)} for key, value in _numbers(spec, "")]


def _numbers(value: Any, prefix: str) -> list[tuple[str, float]]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [(prefix, float(value))]
    if isinstance(value, dict) or hasattr(value, "items"):
        return [pair for key, each in value.items() for pair in _numbers(each, f"{prefix}.{key}".lstrip("."))]
    if is_dataclass(value):
        named = ((each.name, getattr(value, each.name)) for each in fields(value) if each.name != "provenance")
        return [pair for name, each in named for pair in _numbers(each, f"{prefix}.{name}".lstrip("."))]
    return []


def _known_from(spec: Device, figure: str) -> dict[str, str]:
    """The provenance of a figure: its own, that of the table around it, or the device's default."""
    plain = figure.removeprefix("engines.").removeprefix("buses.").removeprefix("pools.")
    parts = plain.split(".")
    for length in range(len(parts), 0, -1):
        if found := spec.provenance.get(".".join(parts[:length])):
            return {"kind": found.kind, "source": found.source}
    default = spec.provenance.get("default")
    return {"kind": default.kind, "source": default.source} if default else {"kind": "unavailable", "source": "unavailable"}


def _described(family: str, name: str, choice: type[Any]) -> dict[str, Any]:
    summary = (inspect.getdoc(choice) or "").partition("\n\n")[0].replace("\n", " ")
    parameters = {each.name: _default(each) for each in fields(choice)} if is_dataclass(choice) else {}
    return {"family": family, "policy": name, "summary": summary, "parameters": parameters}


def _default(parameter: Field[Any]) -> str:
    if parameter.default_factory is not MISSING:
        return str(parameter.default_factory())
    return "required" if parameter.default is MISSING else str(parameter.default)
