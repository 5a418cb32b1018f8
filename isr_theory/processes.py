"""Processes that help a run, and end with it: when it stops, is interrupted or is killed.

They hold the reading end of one pipe, and the run alone its writing end: when that closes, because
the run is over or because it died, they end at once, in the middle of whatever they do. A person
who presses Ctrl-C is then not kept waiting, and nothing is left behind that works for nobody.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import Connection, wait
from typing import Any


@contextlib.contextmanager
def helping(
    size: int, begin: Callable[..., None] | None = None, *arguments: Any
) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of `size` processes, each of which calls `begin(*arguments)` first.

    Where the body is left by an exception, Ctrl-C included, they end at once; else when they are
    done with what was submitted.
    """
    context = multiprocessing.get_context("spawn")
    reading, writing = context.Pipe(duplex=False)
    with reading, writing:
        pool = ProcessPoolExecutor(size, context, _begin, (reading, begin, arguments))
        try:
            yield pool
        except BaseException:
            writing.close()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def ctrl_c_held_back() -> Iterator[None]:
    """Have what is started in the body never hear Ctrl-C; this process hears it afterwards.

    Ctrl-C reaches the whole process group, but the run alone answers it. A pool starts its
    processes when something is submitted.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(reading: Connection, begin: Callable[..., None] | None, arguments: Any) -> None:
    def watch() -> None:
        wait([reading])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    if begin is not None:
        begin(*arguments)
