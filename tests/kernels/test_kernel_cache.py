"""Compiled code is kept between processes: in the cache directory, or beside the installed source."""

import os
import subprocess
import sys

PROGRAM = """
import numpy as np
from edgewright.kernels import gemv
operands = gemv.GEMV.operands((2, 3), "fp32", np.random.default_rng(0))
gemv.GEMV.run(*operands)
stats = gemv.gemv.stats
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def _hits_and_misses(directory):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(directory)}
    done = subprocess.run([sys.executable, "-W", "error", "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_second_process_compiles_nothing(tmp_path):
    assert _hits_and_misses(tmp_path) == ["0", "1"]
    assert _hits_and_misses(tmp_path) == ["1", "0"]


SHARING = """
import sys, numpy as np
from pathlib import Path
from edgewright.kernels import jit
if sys.argv[1:] == ["changed"]:
    jit._STAMPS = (*jit._STAMPS, ("changed", 0))
from edgewright.kernels import elementwise
operands = elementwise.SWIGLU.operands((2, 3), "fp32", np.random.default_rng(0))
elementwise.SWIGLU.run(*operands)
stats = elementwise.swiglu.stats
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def test_a_change_of_what_files_share_is_a_change_of_each(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    hits = []
    for arguments in ([], [], ["changed"]):
        command = [sys.executable, "-W", "error", "-c", SHARING, *arguments]
        hits.append(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split())
    assert hits == [["0", "1"], ["1", "0"], ["0", "1"]]
