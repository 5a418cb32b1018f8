"""From the pieces of a log to one tally: in this process, or by Dask's workers.

Tallies are merged in the order of the pieces, whoever made them and whenever, so that the answer
is the same bit for bit. Dask runs a lost worker's pieces again elsewhere. A cluster is joined by
its address or, for several processes on this machine, started for the run and closed after it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from isr_theory.diagnose.reading import Layout, LogError, Piece
from isr_theory.diagnose.strata import TooManyNamesError
from isr_theory.diagnose.tally import Tally, merge_tallies, tally_piece

Progress = Callable[[Piece], None]


def tally_log(
    pieces: list[Piece],
    layout: Layout,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    progress: Progress = lambda piece: None,
) -> Tally:
    """Return the tally of a log; `progress` is told of each piece when it is done.

    With `scheduler` the pieces go to the Dask cluster there, whose workers must see the same paths;
    with `jobs` above 1 to that many processes here. Raises LogError where a piece cannot be read,
    and for a cluster that cannot be reached.
    """
    if scheduler is None and jobs == 1:
        return _merged(pieces, _here(pieces, layout), progress)
    with _client(jobs, scheduler) as client:
        return _merged(pieces, _there(client, pieces, layout), progress)


def _merged(pieces: list[Piece], tallies: Iterable[Tally], progress: Progress) -> Tally:
    merged = Tally()
    for piece, tally in zip(pieces, tallies, strict=True):
        try:
            merged = merge_tallies(merged, tally)
        except TooManyNamesError as error:
            raise LogError(f"up to {piece.path}: {error}") from error
        progress(piece)
    return merged


def _here(pieces: list[Piece], layout: Layout) -> Iterator[Tally]:
    """Tally in two threads: while one waits for the disk or unpacks, the other counts."""
    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(tally_piece, pieces, [layout] * len(pieces))


def _there(client: Any, pieces: list[Piece], layout: Layout) -> Iterator[Tally]:
    from distributed import KilledWorker

    # Asked for in their order: one that is lost with its worker is made again when asked for.
    futures = client.map(tally_piece, pieces, layout=layout, pure=False)
    for piece, future in zip(pieces, futures, strict=True):
        try:
            yield future.result()
        except KilledWorker:
            raise LogError(
                f"{piece.path}: every worker that read it died; is there memory enough for it?"
            ) from None
        future.release()


@contextlib.contextmanager
def _client(jobs: int, scheduler: str | None) -> Iterator[Any]:
    """Yield a Dask client: of the cluster at an address, or of one for this run."""
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise LogError('several processes need Dask: pip install "isr-theory[cluster]"') from None
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout="20s")
        except (OSError, ValueError) as error:
            raise LogError(f"no Dask scheduler answers at {scheduler}: {error}") from None
        with client:
            yield client
        return
    with (
        LocalCluster(n_workers=jobs, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client
