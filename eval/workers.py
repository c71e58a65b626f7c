"""Work in several processes, one thread each, so that figures do not depend on their number."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)


def _begin_worker() -> None:
    """Set a worker process up; it ends with its parent, which may be killed without a word."""
    _one_thread()
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def run(
    tasks: Mapping[Task, Callable[[], Result]], jobs: int
) -> Iterator[tuple[Task, Callable[[], Result]]]:
    """Do tasks, and yield each as it is done.

    Args:
        tasks: functions without arguments; for other processes such as can be pickled.
        jobs: worker processes; with 1 this process does the work.

    Yields:
        A task's key, and a function that returns its result or raises its error.
    """
    if min(jobs, len(tasks)) <= 1:
        _one_thread()
        yield from tasks.items()
        return
    # A forked process would inherit torch's threads in an unknown state.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin_worker) as pool:
        waiting = {pool.submit(function): task for task, function in tasks.items()}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
