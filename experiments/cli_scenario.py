"""What commands on a SCENARIO share: the argument itself, `--set KEY=VALUE`, and `--plugin FILE`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from edgewright.experiments.cli_completion import scenarios

if TYPE_CHECKING:
    from edgewright.simulator.scenario import Scenario

__all__ = ["changes_of", "on_scenario", "with_plugins"]


def with_plugins(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option `--plugin FILE`; the files are loaded before it runs."""

    @click.option(
        "--plugin", "plugins", multiple=True, metavar="FILE", help="Python file with policies of yours to load first; may be repeated."
    )
    @wraps(command)
    def loading(*args: Any, plugins: tuple[str, ...], **options: Any) -> Any:
        from edgewright.policies.plugins import load

        load(plugins)
        return command(*args, **options)

    return loading


def on_scenario(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the argument SCENARIO, which it receives read and changed by every `--set`; plugins are loaded before."""

    @click.argument("scenario", shell_complete=scenarios)
    @click.option(
        "--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a value, as `services.chat.kv=full`; may be repeated."
    )
    @with_plugins
    @wraps(command)
    def reading(scenario: str, changes: tuple[str, ...], **options: Any) -> Any:
        from edgewright.simulator.scenario import Scenario

        chosen = Scenario.load(scenario)
        return command(scenario=_changed(chosen, changes), **options)

    return reading


def changes_of(given: Sequence[str]) -> dict[str, object]:
    """What `Scenario.override` takes, of `KEY=VALUE` texts: a value is YAML as in a scenario file; `x0.5`, `+1` and `-1` are relative.

    Raises `ScenarioError` for a text without `=`, a key given twice, and what is no YAML.
    """
    from edgewright.simulator.errors import ScenarioError
    from edgewright.simulator.loader import parsed_value
    from edgewright.simulator.scenario_overrides import relative

    changes: dict[str, object] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ScenarioError(
                "--set", "", f"{text!r} is no change", "KEY=VALUE, as in services.chat.kv=full or cluster.links.wan.bandwidth=x0.5"
            )
        if key.strip() in changes:
            raise ScenarioError("--set", key.strip(), "is set twice", "one value")
        changes[key.strip()] = value if relative(value) else parsed_value(value, f"--set {key.strip()}")
    return changes


def _changed(scenario: Scenario, changes: Sequence[str]) -> Scenario:
    return scenario.override(changes_of(changes)) if changes else scenario
