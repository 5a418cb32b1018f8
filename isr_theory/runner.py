"""Many claims, in one process or several: results as they are ready.

One claim is one unit of work and depends on nothing but itself and the root seed, so any
selection, any order and any number of processes give the same results.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import as_completed

from isr_theory.claim import Claim
from isr_theory.judge import Options, Result, judge
from isr_theory.processes import ctrl_c_held_back, helping

Loader = Callable[[], Sequence[Claim]]
_worker_claims: dict[str, Claim] = {}


def _find_claims(load: Loader) -> None:
    _worker_claims.update({claim.id: claim for claim in load()})


def _judge_by_id(id: str, options: Options) -> Result:
    return judge(_worker_claims[id], options)


def run(
    claims: Sequence[Claim], options: Options, *, load: Loader, jobs: int = 1
) -> Generator[Result, None, None]:
    """Yield results as they are ready. `load` lets a worker process find the claims by id.

    With one job, or one claim, everything runs in this process. Close it when you leave it early:
    what helps then ends at once.
    """
    if jobs <= 1 or len(claims) <= 1:
        for claim in claims:
            yield judge(claim, options)
        return
    with helping(min(jobs, len(claims)), _find_claims, load) as pool:
        with ctrl_c_held_back():
            pending = [pool.submit(_judge_by_id, claim.id, options) for claim in claims]
        for done in as_completed(pending):
            yield done.result()
