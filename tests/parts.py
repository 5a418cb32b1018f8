"""Rows that are held in parts by several threads, as processes hold them: an object of `Shards`."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import torch


class Part:
    """What one thread hears of the others: every call waits until all have made it."""

    def __init__(self, rank, board, barrier):
        self.rank, self.board, self.barrier = rank, board, barrier

    def _of_all(self, mine):
        self.board[self.rank] = mine
        self.barrier.wait()
        found = list(self.board)
        self.barrier.wait()
        return found

    def added(self, *parts):
        return tuple(sum(same) for same in zip(*self._of_all(parts), strict=True))

    def largest(self, part):
        return torch.stack(self._of_all(part)).amax(0)


def in_parts(function, rows, edges):
    """Return what each thread gets from function(its part of every row, over=...)."""
    count = len(edges) - 1
    barrier, board = threading.Barrier(count), [None] * count

    def run(rank):
        try:
            return function(
                rows[..., edges[rank] : edges[rank + 1]], over=Part(rank, board, barrier)
            )
        except BaseException:
            # The others must not wait for what will not come.
            barrier.abort()
            raise

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))
