"""Map a function over many files in threads, in order, with a progress bar and a clean stop."""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

from ..errors import UserError

MOST_WORKERS = 1024
Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int | None, label: str
) -> Iterator[Result]:
    """Yield function(item) in the order of ``items``. workers: threads; None is one per processor.

    An exception of one call, or Ctrl-C, lets the calls that run finish, starts no others, and is raised.

    Raises:
        UserError: workers is below 1, or more than a system has threads for.
    """
    if workers is not None and workers < 1:
        raise UserError(f"`workers` must be 1 or more; got {workers}")
    if workers is not None and workers > MOST_WORKERS:
        raise UserError(f"`workers` must be at most {MOST_WORKERS}; got {workers}")
    # Threads do: reading, decoding, filtering and writing audio all run outside Python's lock.
    workers = workers or os.cpu_count() or 1
    executor = ThreadPoolExecutor(workers)
    waiting = collections.deque()
    remaining = iter(items)
    try:
        with tqdm(total=len(items), desc=label, unit="file", disable=None) as bar:
            while True:
                for item in remaining:
                    waiting.append(executor.submit(function, item))
                    if len(waiting) >= 16 * workers:  # a million futures at once would fill the memory
                        break
                if not waiting:
                    break
                yield waiting.popleft().result()
                bar.update()
    finally:
        for future in waiting:
            future.cancel()
        executor.shutdown(wait=True)
