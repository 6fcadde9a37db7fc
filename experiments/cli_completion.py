"""What a shell proposes where a command takes a name; each list is read when somebody presses the key, not before."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem

__all__ = ["Completer", "devices", "families", "models", "of_family", "scenarios", "systems", "trace_formats"]

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
"""What click asks for the words that begin with a text."""


def scenarios(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Shipped scenarios, and files."""
    from edgewright.simulator.loader import shipped_scenarios

    return [*_begun(shipped_scenarios(), begun), CompletionItem(begun, type="file")]


def devices(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Devices of the catalogue, and companions."""
    from edgewright.hwmodels import catalog

    return _begun((*catalog.devices(), *catalog.companions()), begun)


def models(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Models of the zoo, and files."""
    from edgewright.workloads import zoo

    return [*_begun(zoo.names(), begun), CompletionItem(begun, type="file")]


def trace_formats(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Trace formats."""
    from edgewright.workloads.traces import trace_formats as formats

    return _begun(formats(), begun)


def families(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Families of policies."""
    from edgewright.policies.registry import family_names

    return _begun(family_names(), begun)


def of_family(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Policies of the family that was given before."""
    from edgewright.policies.registry import family_names, policies_of

    family = ctx.params.get("family")
    return _begun(policies_of(family), begun) if family in family_names() else []


def systems(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Published systems that are reproduced."""
    from edgewright.experiments.reproductions import catalogue

    return _begun(catalogue.names(), begun)


def _begun(names: Iterable[str], begun: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(begun)]
