"""What a signal is called by whoever tells that it ended a process."""

import signal


def name_of(number: int) -> str:
    """`SIGKILL`; `signal 40` for a real-time signal: of those only the first and the last have names."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
