"""`python -m bench.effects [SUBJECT …]`."""

import sys

from bench.subjects import play

SUBJECTS = ("paired", "replays")

if __name__ == "__main__":
    sys.exit(play("bench.effects", SUBJECTS, "one stream each"))
