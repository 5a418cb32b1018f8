"""Cells run here or in processes of their own, each kept by the store as soon as it is ready.

The processes that help hold the reading end of one pipe, and the run alone its writing end: when
that closes, because the run stops or because it was killed, they end at once, in mid cell. So a run
that is stopped is over, and loses at most the cells in hand.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing.connection import Connection, wait
from typing import Any

from experiments.runs import Cell, Experiment, Json, Store


def run_cells(
    store: Store, cells: Sequence[Cell], *, module: str, jobs: int = 1
) -> Generator[tuple[str, Json], None, None]:
    """Run cells and keep each as it is ready; yield its key and result.

    `module` holds the experiment as EXPERIMENT, so that another process can find it.
    """
    if jobs <= 1 or len(cells) <= 1:
        for cell in cells:
            result = _run(module, store.settings, cell)
            store.keep(cell.key, result)
            yield cell.key, result
        return
    reading, writing = multiprocessing.get_context("spawn").Pipe(duplex=False)
    with reading, writing:
        pool = _pool(min(jobs, len(cells)), reading)
        pending: dict[Future[Json], Cell] = {}
        try:
            with _ctrl_c_held_back():
                for cell in cells:
                    pending[pool.submit(_run, module, store.settings, cell)] = cell
            for done in as_completed(list(pending)):
                store.keep(pending[done].key, done.result())
                yield pending.pop(done).key, done.result()
        except BaseException as error:
            writing.close()
            if isinstance(error, KeyboardInterrupt):
                _keep_finished(store, pending)
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _pool(size: int, reading: Connection) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(size, context, initializer=_end_with, initargs=(reading,))


def _end_with(reading: Connection) -> None:
    """End this process when the other end of a pipe is closed, whatever it does at that time."""

    def watch() -> None:
        wait([reading])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    # Ctrl-C reaches the whole process group, but the run alone answers it: what is started here is
    # born deaf to it, and the run hears it when all have been started.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _keep_finished(store: Store, pending: dict[Future[Json], Cell]) -> None:
    """Keep the cells that were ready and had not been kept yet."""
    # The one at hand may have been written already when it was stopped.
    found = store.found()
    ready = {future: cell for future, cell in pending.items() if cell.key not in found}
    for future, cell in ready.items():
        if future.done() and not future.cancelled() and future.exception() is None:
            store.keep(cell.key, future.result())


def _run(module: str, settings: Any, cell: Cell) -> Json:
    import torch

    # Cells run side by side, one core each, and one thread makes sums the same every time.
    torch.set_num_threads(1)
    experiment: Experiment = importlib.import_module(module).EXPERIMENT
    result: Json = json.loads(json.dumps(experiment.run(settings, **cell.arguments)))
    return result
