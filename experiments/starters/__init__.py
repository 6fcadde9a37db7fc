"""Scenarios to start from, for `edgewright new`."""

__all__: list[str] = []
