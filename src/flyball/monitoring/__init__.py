"""Windows and profiles in; findings out. Pure.

As a library: `profile` says what a frame is like, `compare` what moved in another one, and `Monitor` looks at one after the other (notebook.py).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flyball.monitoring.notebook import Monitor, compare, merge, profile

__all__ = ["Monitor", "compare", "merge", "profile"]


def __getattr__(name: str) -> Any:
    # Every process of the platform imports this package, and none of them the frames.
    if name in __all__:
        from flyball.monitoring import notebook

        return getattr(notebook, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
