"""`edgewright conform`: does a device, a model, a trace format or a policy keep what all of its kind promise?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click

from edgewright.experiments import cli_completion as completion
from edgewright.experiments.cli_output import print_json, print_table
from edgewright.experiments.cli_scenario import changes_of, with_plugins

if TYPE_CHECKING:
    from edgewright.workloads import Model

__all__ = ["conform"]

_as_machine = click.option("--json", "machine", is_flag=True, help="Print the checks as JSON.")


@click.group()
def conform() -> None:
    """Check a device, a model, a trace format or a policy of yours against what all of its kind promise.

    Every check is printed with what happened in it. Exit code 1: something is broken.
    """


@conform.command("device")
@click.argument("name", shell_complete=completion.devices)
@click.option("--profile", "profiles", multiple=True, type=click.Path(path_type=Path), help="A YAML file with devices of your own.")
@_as_machine
def _device(name: str, profiles: tuple[Path, ...], machine: bool) -> None:
    """Check the device NAME, of a --profile or of the catalogue."""
    from edgewright.experiments.cli_catalogue import device_named
    from edgewright.hwmodels.conformance import DEVICE

    found = device_named(name, profiles)
    _report("device", name, DEVICE.promises(), DEVICE.broken(found), machine)


@conform.command("model")
@click.argument("source", shell_complete=completion.models)
@_as_machine
def _a_model(source: str, machine: bool) -> None:
    """Check a model: SOURCE is a Hugging Face config.json, a GGUF or ONNX file, or a name of the zoo."""
    from edgewright.workloads.conformance import MODEL

    found = _model(source)
    if not machine:
        click.echo(f"{found.name}: {found.parameters / 1e6:.4g} million parameters, {len(found.blocks)} blocks", err=True)
    _report("model", found.name, MODEL.promises(), MODEL.broken(found), machine)


@conform.command("trace")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_",
    default="azure",
    show_default=True,
    shell_complete=completion.trace_formats,
    help="The trace format that the file is a sample of.",
)
@with_plugins
@_as_machine
def _trace(file: Path, format_: str, machine: bool) -> None:
    """Check a trace format, built in or a plugin's, on a sample: FILE holds a few requests in it."""
    from edgewright.simulator.errors import ScenarioError, choices
    from edgewright.workloads.conformance import TRACE, TraceSample
    from edgewright.workloads.traces import trace_formats

    if format_ not in trace_formats():
        raise ScenarioError("conform trace", "--format", f"{format_!r} is no trace format", choices(format_, trace_formats()))
    try:
        sample = TraceSample(format_, file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(str(file), "", f"cannot be read: {error}", "a text file with a few requests") from None
    _report("trace format", format_, TRACE.promises(), TRACE.broken(sample), machine)


@conform.command("policy")
@click.argument("family", shell_complete=completion.families)
@click.argument("name", shell_complete=completion.of_family)
@click.option("--set", "changes", multiple=True, metavar="PARAMETER=VALUE", help="A parameter of the policy; may be repeated.")
@with_plugins
@_as_machine
def _policy(family: str, name: str, changes: tuple[str, ...], machine: bool) -> None:
    """Check the policy NAME of a FAMILY, built in or a plugin's."""
    from edgewright.policies.conformance import check_policy

    built = _built(family, name, changes_of(changes))
    promise = f"the contract of its family, as `edgewright.policies.conformance.check_{family}` describes it"
    found: dict[str, str] = {}
    try:
        check_policy(built, family=family)
    except AssertionError as broken:
        found[family] = str(broken)
    except Exception as error:
        found[family] = f"raises {type(error).__name__}: {error}"
    _report(f"{family} policy", name, {family: promise}, found, machine)


def _report(of: str, name: str, promises: Mapping[str, str], broken: Mapping[str, str], machine: bool) -> None:
    """Print every check; leave with exit code 1 if one is broken."""
    if machine:
        named = ({"check": check, "promise": said, "happened": broken.get(check)} for check, said in promises.items())
        checks = [{**each, "holds": each["check"] not in broken} for each in named]
        print_json({"of": of, "name": name, "conforms": not broken, "checks": checks})
    else:
        rows = [(check, "BROKEN" if check in broken else "holds", broken.get(check, said)) for check, said in promises.items()]
        print_table(("check", "", "what it requires, or what happened"), rows)
    if broken:
        click.echo(f"{of} {name!r} fails {len(broken)} of {len(promises)} checks", err=True)
        raise SystemExit(1)


def _model(source: str) -> Model:
    """The model of a file, by what the file's name ends in, or of the zoo."""
    from edgewright.simulator.errors import ScenarioError, choices
    from edgewright.workloads import zoo

    path = Path(source)
    if path.suffix.lower() not in (".json", ".gguf", ".onnx"):
        if source.lower() not in zoo.names():
            accepted = f"a .json, .gguf or .onnx file, or a name of the zoo: {choices(source, zoo.names())}"
            raise ScenarioError("conform model", "", f"{source!r} is no model", accepted)
        return zoo.model(source)
    if not path.is_file():
        raise ScenarioError("conform model", "", f"{source} is no file", "a Hugging Face config.json, a GGUF or an ONNX file")
    try:
        return _read(path)
    except (ValueError, ImportError) as error:
        raise ScenarioError(source, "", f"cannot be read: {error}", "a Hugging Face config.json, a GGUF or an ONNX file") from None


def _read(path: Path) -> Model:
    if path.suffix.lower() == ".gguf":
        from edgewright.workloads.gguf_reader import from_gguf

        return from_gguf(path)[0]
    if path.suffix.lower() == ".onnx":
        from edgewright.workloads.onnx_reader import from_onnx

        return from_onnx(path)
    from edgewright.workloads.hf import from_config

    return from_config(path)


def _built(family: str, name: str, parameters: Mapping[str, object]) -> Any:
    """The policy with its parameters, read as a scenario's are."""
    from pydantic import TypeAdapter, ValidationError

    from edgewright.experiments.cli_catalogue import require_family
    from edgewright.simulator.errors import Origin, translate
    from edgewright.simulator.schema_choices import PolicyChoice

    require_family(family)
    try:
        return TypeAdapter(Annotated[Any, PolicyChoice(family)]).validate_python({"policy": name, **parameters})
    except ValidationError as report:
        raise translate(report, Origin(f"conform policy {family}")) from None
