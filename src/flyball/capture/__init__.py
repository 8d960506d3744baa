"""Framing of captured records and their join with labels. Pure."""
