"""`python -m bench.replay [SUBJECT …]`."""

import sys

from bench.subjects import play

SUBJECTS = ("years", "interrupted")

if __name__ == "__main__":
    sys.exit(play("bench.replay", SUBJECTS, "two months instead of a year"))
