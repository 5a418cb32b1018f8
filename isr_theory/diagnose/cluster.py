"""From the pieces of a log to one tally: in this process, or by Dask's workers.

Tallies are merged in the order of the pieces, whoever made them and whenever, so that the answer
is the same bit for bit. Dask runs a lost worker's pieces again elsewhere. A cluster is joined by
its address or, for several processes on this machine, started for the run and closed after it. Who
interrupts a run waits for a batch of rows and not for a file.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from isr_theory.diagnose.reading import Layout, LogError, Piece
from isr_theory.diagnose.strata import TooManyNamesError
from isr_theory.diagnose.tally import Tally, merge_tallies, tally_piece, tally_rows

Progress = Callable[[Piece, int], None]
# How long a Dask scheduler may take to answer: a busy one takes seconds.
PATIENCE = "20s"


def tally_log(
    pieces: list[Piece],
    layout: Layout,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    progress: Progress = lambda piece, done: None,
) -> Tally:
    """Return the tally of a log; `progress` is told how many bytes of a piece are read.

    With `scheduler` the pieces go to the Dask cluster there, whose workers must see the same paths;
    with `jobs` above 1 to that many processes here. Raises LogError where a piece cannot be read,
    and for a cluster that cannot be reached.
    """
    if scheduler is None and jobs == 1:
        with contextlib.closing(_here(pieces, layout, progress)) as tallies:
            return _merged(pieces, tallies, progress)
    with (
        _client(jobs, scheduler) as client,
        contextlib.closing(_there(client, pieces, layout)) as tallies,
    ):
        return _merged(pieces, tallies, progress)


def _merged(pieces: list[Piece], tallies: Iterable[Tally], progress: Progress) -> Tally:
    merged = Tally()
    for piece, tally in zip(pieces, tallies, strict=True):
        try:
            merged = merge_tallies(merged, tally)
        except TooManyNamesError as error:
            raise LogError(f"up to {piece.path}: {error}") from error
        progress(piece, piece.size)
    return merged


def _here(pieces: list[Piece], layout: Layout, progress: Progress) -> Generator[Tally]:
    """Tally in two threads: while one waits for the disk or unpacks, the other counts."""
    stop = threading.Event()

    def read(piece: Piece) -> Tally:
        tally = Tally()
        for grown, done in tally_rows(piece, layout):
            tally = grown
            progress(piece, done)
            if stop.is_set():
                break
        return tally

    pool = ThreadPoolExecutor(2)
    try:
        yield from pool.map(read, pieces)
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _there(client: Any, pieces: list[Piece], layout: Layout) -> Generator[Tally]:
    from distributed import KilledWorker

    # Asked for in their order: one that is lost with its worker is made again when asked for.
    futures = client.map(tally_piece, pieces, layout=layout, pure=False)
    try:
        for piece, future in zip(pieces, futures, strict=True):
            try:
                yield future.result()
            except KilledWorker:
                raise LogError(
                    f"{piece.path}: every worker that read it died; is there memory enough for it?"
                ) from None
            future.release()
    except BaseException:
        client.cancel(futures)
        raise


@contextlib.contextmanager
def _client(jobs: int, scheduler: str | None) -> Iterator[Any]:
    """Yield a Dask client: of the cluster at an address, or of one for this run."""
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise LogError('several processes need Dask: pip install "isr-theory[cluster]"') from None
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=PATIENCE)
        except (OSError, ValueError) as error:
            raise LogError(f"no Dask scheduler answers at {scheduler}: {error}") from None
        with client:
            yield client
        return
    with _uninterrupted():
        cluster = LocalCluster(
            n_workers=jobs,
            threads_per_worker=1,
            # None would be port 8787, on every address of this machine.
            dashboard_address="127.0.0.1:0",
            # A worker that is lost is the business of this module.
            silence_logs=logging.CRITICAL,
        )
    with cluster, Client(cluster) as client:
        try:
            yield client
        except BaseException:
            _kill(cluster)
            raise


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Start processes that an interrupt from the keyboard, which all get, leaves to this one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _kill(cluster: Any) -> None:
    """End the workers of a run that failed, in the middle of what they read."""
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
        if nanny.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(nanny.pid, signal.SIGKILL)
