"""Five hundred promotions under load: the subject `swap` of the survival bench, which a release must show, too."""

from bench.serving.survival.swap import FULL, SHORT, bars, measure

__all__ = ["FULL", "SHORT", "bars", "measure"]
