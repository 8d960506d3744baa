"""Trees in one thread: sums of floats depend on how many share them."""

from functools import cache
from typing import Any


def one_thread(*, anew: bool = False) -> Any:
    """A context in which scikit-learn's trees and BLAS use one core: a verdict then replays byte for byte, the gateway keeps the other cores, and on a busy
    machine no threads spin against one another. `anew`: also what was loaded since it was last asked, such as the library of a model."""
    if anew:
        _pools.cache_clear()
    return _pools().limit(limits=1)


@cache
def _pools() -> Any:
    """Found once: to look through all that is loaded takes 3 ms, and a window's estimate asks twice."""
    import sklearn.ensemble  # noqa: F401 - limits reach what is loaded
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
