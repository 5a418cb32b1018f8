"""Many claims, in one process or several: results as they are ready.

One claim is one unit of work and depends on nothing but itself and the root seed, so any
selection, any order and any number of processes give the same results.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from isr_theory.claim import Claim
from isr_theory.judge import Options, Result, judge

Loader = Callable[[], Sequence[Claim]]
_worker_claims: dict[str, Claim] = {}


def _start_worker(load: Loader) -> None:
    # Ctrl-C reaches the whole process group; the parent alone answers it, once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker_claims.update({claim.id: claim for claim in load()})


def _judge_by_id(id: str, options: Options) -> Result:
    return judge(_worker_claims[id], options)


def run(
    claims: Sequence[Claim], options: Options, *, load: Loader, jobs: int = 1
) -> Iterator[Result]:
    """Yield results as they are ready. `load` lets a worker process find the claims by id.

    With one job, or one claim, everything runs in this process.
    """
    if jobs <= 1 or len(claims) <= 1:
        for claim in claims:
            yield judge(claim, options)
        return
    pool = ProcessPoolExecutor(
        min(jobs, len(claims)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(load,),
    )
    try:
        pending = [pool.submit(_judge_by_id, claim.id, options) for claim in claims]
        for done in as_completed(pending):
            yield done.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
