"""What partitioning policies ask of a replica before they plan."""

from __future__ import annotations

from edgewright.policies.views import ReplicaSpec

__all__ = ["require_devices"]


def require_devices(policy: str, replica: ReplicaSpec, least: int, most: int | None = None) -> tuple[str, ...]:
    """The replica's devices, if there are `least` to `most` of them (None: no bound) and none twice; raises `ValueError`."""
    devices = replica.devices
    if len(set(devices)) != len(devices):
        raise ValueError(f"{replica.name}: a device is named twice in {list(devices)}")
    if len(devices) < least or (most is not None and len(devices) > most):
        accepted = f"exactly {least}" if most == least else f"{least} or more" if most is None else f"{least} to {most}"
        raise ValueError(f"{replica.name}: partitioning {policy!r} needs {accepted} device(s), not {len(devices)}: {list(devices)}")
    return devices
