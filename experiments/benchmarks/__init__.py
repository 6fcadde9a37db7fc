"""How fast and how large: `python -m edgewright.experiments.benchmarks`, beside peers that run in the same session.

Read first: `README.md` (how to repeat it, and what came out), `rows.py` (what a figure is), `llm.py` (the workload of the comparison).
May import: every other house, SimPy, and (extra `benchmarks`) the simulators that are compared.
"""

__all__: list[str] = []
