"""TPI-LLM: tensor parallelism over devices that stream their shards from disk."""

from edgewright.experiments.reproductions.tpi_llm.system import SYSTEM

__all__ = ["SYSTEM"]
