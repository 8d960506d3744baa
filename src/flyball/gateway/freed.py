"""Memory that was freed and that the C library keeps for later."""

import ctypes


def give_back_freed() -> None:
    """To the kernel. What is imported, and a model while it is read, needs megabytes for a moment that serving never asks for again. Takes half a
    millisecond. Only glibc has a word for it; elsewhere nothing happens."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(0))
