"""`python -m bench.serving.survival [SUBJECT …]`."""

import sys

from bench.subjects import play

SUBJECTS = ("swap", "restarts", "kills", "sink", "overload", "bulkhead", "breaker", "large", "shadow", "training", "connections")

if __name__ == "__main__":
    sys.exit(play("bench.serving.survival", SUBJECTS, "four and a half minutes instead of twenty-three"))
