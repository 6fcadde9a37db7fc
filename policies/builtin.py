"""Imports every module of built-in policies, so that they register. Read by `policies.registry`."""

import edgewright.policies.batching
import edgewright.policies.experts
import edgewright.policies.failure
import edgewright.policies.kv
import edgewright.policies.orchestration
import edgewright.policies.partitioning
import edgewright.policies.power
import edgewright.policies.residency
import edgewright.policies.routing
import edgewright.policies.scaling  # noqa: F401

__all__ = []
