"""Time as it passes: what no setting of a clock changes, and every process of the machine reads alike."""

import time


def uptime_us() -> int:
    """Microseconds; on Linux since the machine's start, those that it slept among them."""
    return (time.clock_gettime_ns(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic_ns()) // 1000
