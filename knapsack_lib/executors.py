"""Jobs on this machine or on a cluster that is there already, through joblib. No scheduler of our
own.

    for index, result in as_done(work, jobs, "ray"): ...

`processes` are of this machine, one for each core that is ours; `ray` joins the cluster at RAY_ADDRESS, `dask`
the scheduler at DASK_SCHEDULER_ADDRESS; without an address each starts workers on this machine.
`work` and the jobs are pickled, so they must not hold open files or sockets.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from knapsack_lib.errors import UserError, check_choice, installs
from knapsack_lib.machine import cores

__all__ = ["EXECUTORS", "WorkerLost", "as_done"]

WAVES = 4  # jobs for each worker between two looks at what is done
EXECUTORS = ("local", "processes", "ray", "dask")


class WorkerLost(Exception):
    """A worker or its machine went away. What had come back before was yielded; the rest may be
    asked for again."""


def as_done(
    work: Callable[[Any], Any], jobs: Sequence[Any], executor: str
) -> Iterator[tuple[int, Any]]:
    """Yield (place of the job, work(job)) in whatever order they end. `local` is this process, one
    after another.

    Raises WorkerLost when the cluster lost a worker and could not recover, UserError when it cannot
    be had at all, and whatever `work` raises.
    """
    check_choice("executor", executor, EXECUTORS)
    if executor == "local":
        yield from ((place, work(job)) for place, job in enumerate(jobs))
        return
    try:
        from joblib import Parallel, delayed, effective_n_jobs
    except ImportError:
        raise UserError(f"joblib is not installed; run: {installs(executor)}") from None
    with _backend(executor) as lost:
        # Ray's backend gives nothing back before all is done: it is asked in waves.
        workers = -1 if executor != "processes" else min(cores(), effective_n_jobs(-1))
        wave = WAVES * effective_n_jobs(-1) if executor == "ray" else len(jobs)
        for first in range(0, len(jobs), wave):
            mine = [
                delayed(_numbered)(work, place, jobs[place])
                for place in range(len(jobs))[first : first + wave]
            ]
            how = "list" if executor == "ray" else "generator_unordered"
            try:
                yield from Parallel(
                    n_jobs=workers, return_as=how, pre_dispatch="all", batch_size=1
                )(mine)
            except lost as error:
                raise WorkerLost(
                    f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
                ) from None


def _numbered(work: Callable[[Any], Any], place: int, job: Any) -> tuple[int, Any]:
    return place, work(job)


@contextmanager
def _backend(executor: str) -> Iterator[tuple[type[BaseException], ...]]:
    """joblib on the cluster; gives the errors that mean a lost worker."""
    from joblib import parallel_config

    opened = {"processes": _processes, "ray": _ray, "dask": _dask}[executor]
    with opened() as lost, parallel_config(backend="loky" if executor == "processes" else executor):
        yield lost


@contextmanager
def _processes() -> Iterator[tuple[type[BaseException], ...]]:
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    yield (TerminatedWorkerError,)


@contextmanager
def _ray() -> Iterator[tuple[type[BaseException], ...]]:
    try:
        import ray
        from ray.util.joblib import register_ray
    except ImportError:
        raise UserError(f"ray is not installed; run: {installs('ray')}") from None
    address = os.environ.get("RAY_ADDRESS")
    here = {} if address else {"num_cpus": cores()}
    try:
        ray.init(address=address, ignore_reinit_error=True, log_to_driver=False, **here)
    except (ConnectionError, OSError, RuntimeError) as error:
        raise UserError(
            f"no Ray cluster at RAY_ADDRESS: {' '.join(str(error).split())[:200]}"
        ) from None
    register_ray()
    yield (ray.exceptions.RayError,)


@contextmanager
def _dask() -> Iterator[tuple[type[BaseException], ...]]:
    try:
        from distributed import Client, KilledWorker, LocalCluster
        from distributed.comm import CommClosedError
    except ImportError:
        raise UserError(f"dask's distributed is not installed; run: {installs('dask')}") from None
    address = os.environ.get("DASK_SCHEDULER_ADDRESS")
    try:
        client = (
            Client(address, timeout=20)
            if address
            else Client(
                LocalCluster(n_workers=cores(), threads_per_worker=1, dashboard_address=None)
            )
        )
    except OSError as error:
        raise UserError(
            f"no Dask scheduler at {address}: {' '.join(str(error).split())[:200]}"
        ) from None
    with client:
        yield (KilledWorker, CommClosedError)
