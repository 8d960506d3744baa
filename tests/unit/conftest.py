"""Puts this folder on the path, so that rooms share `paper_workspace`."""
