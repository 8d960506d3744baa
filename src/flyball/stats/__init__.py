"""Arithmetic without business words: intervals, sequences, distances. Each method names its source."""
