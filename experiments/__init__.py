"""Questions: the command line, and experiments that sweep, reproduce, validate and benchmark.

Read first: `cli.py` (the commands), `golden.py` (what a change moved).
May import: every other house.
"""

__all__: list[str] = []
