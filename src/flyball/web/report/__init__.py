"""A replay's report as one self-contained page."""

from flyball.web.report.page import render

__all__ = ["render"]
