"""A real network to check against: the plans that are simulated, run by host processes over shaped links, with real kernels and bytes.

    python -m edgewright.experiments.testbed              the committed comparison
    python -m edgewright.experiments.testbed --measure    run for real what is not measured yet (root, iproute2; minutes)

Read first: `cases.py` (what is run), `twin.py` (what the simulator is told, and where each figure comes from), `wire.py` (what a link is).
Then: `executor.py` (plans by real processes), `bed.py` (set up and taken down), `compare.py` (the errors).
"""

__all__: list[str] = []
