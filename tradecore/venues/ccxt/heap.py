"""Python's collector of cycles kept off thousands of markets: a full round over them holds everything for 150 ms.

What a venue lists is two hundred thousand small objects without a cycle; counting references frees them. So the
collector sleeps while they are made, and then they are put where it never looks. What was garbage before is collected
first, so that nothing of it is put there too.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def sleeping_collector(*, first: bool = False, keep: bool = False) -> Iterator[None]:
    """Let the collector of cycles sleep for a moment; one that was off stays off and nothing is done.

    Args:
        first: Collect before it sleeps.
        keep: Put what is alive at the end where it never looks, if no error came.
    """
    if not gc.isenabled():
        yield
        return
    if first:
        gc.collect()
    gc.disable()
    try:
        yield
        if keep:
            gc.freeze()
    finally:
        gc.enable()
