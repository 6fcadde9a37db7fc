"""Where runs are executed: here, in processes of this machine, or on a Dask cluster. All give the same outcomes.

A pool takes runs and yields them with their outcomes as they finish. A process that dies takes its run with it: that run is tried again
alone, and if it kills its process again, its outcome says so.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any, Protocol

from edgewright.experiments.sweeps.runs import Outcome, Run, execute
from edgewright.policies.plugins import load, loaded
from edgewright.simulator.scenario import Scenario

__all__ = ["DIED", "Pool", "open_pool"]

DIED = "its process died (killed, or out of memory)"
"""Reason of a run whose process died twice."""


class Pool(Protocol):
    """Executes runs. `width`: how many may usefully be under way at once."""

    width: int

    def submit(self, run: Run) -> None:
        """Take a run."""
        ...

    def finished(self) -> tuple[Run, Outcome]:
        """Wait for the next run that ends, in whatever order."""
        ...


@contextmanager
def open_pool(jobs: int, dask: str | None = None) -> Iterator[Pool]:
    """A pool of that many processes (1: this one), or the workers of the Dask scheduler at an address (`tcp://host:8786`).

    Raises ModuleNotFoundError, saying what to install, if Dask is wanted and not there.
    """
    if dask is not None:
        with _on_dask(dask) as pool:
            yield pool
    elif jobs == 1:
        yield _Here()
    else:
        with _processes(jobs) as pool:
            yield pool


class _Here:
    """This process, one run after another."""

    width = 1

    def __init__(self) -> None:
        self._runs: deque[Run] = deque()

    def submit(self, run: Run) -> None:
        self._runs.append(run)

    def finished(self) -> tuple[Run, Outcome]:
        run = self._runs.popleft()
        return run, execute(run.scenario)


class _Processes:
    """Processes of this machine, each starting fresh."""

    def __init__(self, jobs: int) -> None:
        self.width = 2 * jobs
        self._jobs = jobs
        self._pool = self._fresh(jobs)
        self._running: dict[Future[Outcome], Run] = {}
        self._suspects: deque[Run] = deque()

    @staticmethod
    def _fresh(jobs: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_begin, initargs=(tuple(loaded()),))

    def submit(self, run: Run) -> None:
        try:
            self._running[self._pool.submit(execute, run.scenario)] = run
        except BrokenProcessPool:
            self._suspects.append(run)

    def finished(self) -> tuple[Run, Outcome]:
        while True:
            if self._suspects and not self._running:
                return self._alone(self._suspects.popleft())
            ended = next(iter(wait(self._running, return_when=FIRST_COMPLETED).done))
            run = self._running.pop(ended)
            try:
                return run, ended.result()
            except BrokenProcessPool:
                self._suspects.append(run)
                if not self._running:
                    self._pool.shutdown()
                    self._pool = self._fresh(self._jobs)

    def _alone(self, run: Run) -> tuple[Run, Outcome]:
        """Try a run that was under way when a process died: only it can kill this one."""
        with self._fresh(1) as pool:
            try:
                return run, pool.submit(execute, run.scenario).result()
            except BrokenProcessPool:
                return run, Outcome({}, DIED)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def _begin(paths: Sequence[str]) -> None:
    """First thing in a process of the pool: load what its parent has loaded, and end when it does, however hard that was killed."""
    load(paths)
    Thread(target=_follow, daemon=True).start()


def _follow() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _processes(jobs: int) -> Iterator[_Processes]:
    pool = _Processes(jobs)
    try:
        yield pool
    finally:
        pool.close()


class _Dask:
    """The workers of a Dask cluster. Dask itself runs the work of a worker that is lost elsewhere."""

    def __init__(self, client: Any, as_completed: Any) -> None:
        self.width = 2 * max(1, sum(client.nthreads().values()))
        self._client = client
        self._done = as_completed(with_results=False)
        self._runs: dict[str, Run] = {}

    def submit(self, run: Run) -> None:
        key = f"edgewright-{run.point}-{run.replicate}-{run.id}"
        self._runs[key] = run
        self._done.add(self._client.submit(_execute_plain, run.scenario, key=key, pure=False))

    def finished(self) -> tuple[Run, Outcome]:
        future = next(self._done)
        run = self._runs.pop(future.key)
        try:
            figures, reason = future.result()
        except Exception as error:
            return run, Outcome({}, f"{DIED}: {type(error).__name__}")
        return run, Outcome(figures, reason)


def _execute_plain(scenario: Scenario) -> tuple[dict[str, float], str]:
    """`execute`, in types that every serialiser knows."""
    outcome = execute(scenario)
    return dict(outcome.figures), outcome.reason


@contextmanager
def _on_dask(address: str) -> Iterator[_Dask]:
    try:
        from distributed import Client, WorkerPlugin, as_completed
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("a Dask cluster needs the extra `dask`: pip install 'edgewright[dask]'") from error
    base: Any = WorkerPlugin
    paths = tuple(loaded())

    class Plugins(base):  # type: ignore[misc]
        """Makes every worker, also one that comes later, load what this process has loaded; the files must be reachable there."""

        def setup(self, worker: Any) -> None:
            load(paths)

    connect: Any = Client
    with connect(address) as client:
        client.register_plugin(Plugins(), name="edgewright")
        yield _Dask(client, as_completed)
