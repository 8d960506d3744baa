"""Flyball governs machine-learning models: from data to production, and healthy there."""

__version__ = "0.1.0"
