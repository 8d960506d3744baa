"""Findings, policies and history in; a planned action out. Pure."""
