"""Versions, units and their legal transitions. Pure."""
