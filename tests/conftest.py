"""What all tests share: Hypothesis without deadlines, the repository's root, a tiny model, and programs run in fresh interpreters."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("EDGEWRIGHT_COMPILED", "off")  # tests reach into modules; `on` tries what was compiled: those that do fail then

settings.register_profile("everywhere", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "everywhere")


@pytest.fixture(scope="session")
def repository():
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def two_layers():
    """A model of two layers of four heads of two numbers: 32 bytes of cache per token, where a number has one."""
    from edgewright.workloads import from_config

    config = {
        "model_type": "llama",
        "hidden_size": 8,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": 10,
    }
    return from_config(config, "tiny")


@pytest.fixture(scope="session")
def run_fresh():
    """`run_fresh(program, cwd=None, **environment) -> stdout`: run Python source in a fresh interpreter, warnings being errors."""

    def run(program, cwd=None, **environment):
        command = [sys.executable, "-W", "error", "-c", program]
        done = subprocess.run(command, env=os.environ | environment, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"the program failed:\n{program}\n{done.stdout}{done.stderr}"
        return done.stdout

    return run


@pytest.fixture(scope="session")
def same_in_every_process(run_fresh):
    """`same_in_every_process(program) -> stdout`: run it under three hash seeds, and require the same output of all."""

    def same(program):
        first, *others = (run_fresh(program, PYTHONHASHSEED=seed) for seed in ("0", "1", "4242"))
        assert others == [first, first]
        return first

    return same
