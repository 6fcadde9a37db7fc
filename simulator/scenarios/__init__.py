"""Scenarios that ship with the package, as files: `Scenario.load("quickstart")` finds them here by name."""

__all__: list[str] = []
