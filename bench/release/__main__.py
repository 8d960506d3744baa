"""`python -m bench.release [SUBJECT …]`."""

import sys

from bench.subjects import play

SUBJECTS = ("kills", "dead", "rollbacks", "misbehaving", "tripped", "slow-shadow", "promotions")

if __name__ == "__main__":
    sys.exit(play("bench.release", SUBJECTS, "a minute each instead of up to ten"))
