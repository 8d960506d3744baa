"""The step graph, its cache keys, and what is ready to run. Pure."""
