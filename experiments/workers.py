"""Cells run here or in processes of their own, each kept by the store as soon as it is ready.

The processes that help end with the run, in mid cell: one that is stopped is over, and loses at
most the cells in hand.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Generator, Sequence
from concurrent.futures import Future, as_completed
from typing import Any

from experiments.runs import Cell, Experiment, Json, Store
from isr_theory.processes import ctrl_c_held_back, helping


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
    pending: dict[Future[Json], Cell] = {}
    try:
        with helping(min(jobs, len(cells))) as pool:
            with ctrl_c_held_back():
                for cell in cells:
                    pending[pool.submit(_run, module, store.settings, cell)] = cell
            for done in as_completed(list(pending)):
                store.keep(pending[done].key, done.result())
                yield pending.pop(done).key, done.result()
    except KeyboardInterrupt:
        _keep_finished(store, pending)
        raise


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
