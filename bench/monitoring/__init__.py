"""Whether the monitors keep their word, beside other projects' as they come."""

from bench.monitoring.cost import rows

__all__ = ["rows"]
