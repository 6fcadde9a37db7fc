"""The same sweep on a real Dask scheduler with several worker processes on loopback, one of which is killed in the middle."""

import os
import signal
import subprocess
import sys

import pytest

pytest.importorskip("distributed")

PROGRAM = """
import os, signal, sys, threading, time
from pathlib import Path
from distributed import LocalCluster
from edgewright.experiments.sweeps import sweep

if __name__ == "__main__":
    out = Path(sys.argv[1])
    factors = {"workloads.questions.arrivals.rate": [0.2, 0.4, 0.6, 0.8]}
    base = {"run.warmup": 0, "run.window": 60, "run.drain": 20}
    plain = sweep("hello", factors, out=out / "plain", base=base, replications=4)
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1") as cluster:
        def kill():
            while len(list((out / "dask" / "runs").glob("p*.parquet"))) < 2:
                time.sleep(0.005)
            os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
        thread = threading.Thread(target=kill, daemon=True)
        thread.start()
        dask = sweep("hello", factors, out=out / "dask", base=base, replications=4, dask=cluster.scheduler_address)
        thread.join()
    assert dask.frame.equals(plain.frame), "a worker's death changed the results"
    print("SAME", len(dask.frame))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
def test_a_dask_cluster_gives_the_same_rows_and_survives_a_killed_worker(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    environment = {**os.environ, "DASK_DISTRIBUTED__WORKER__DAEMON": "False"}
    done = subprocess.run([sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, env=environment)
    assert "SAME 16" in done.stdout, done.stderr[-2000:]
