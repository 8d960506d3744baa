"""The only place that joins ports to adapters and reads the environment. Nothing is imported here: each process takes what it needs, and no more."""
