"""The inference hot path: a process of its own that reads a frozen routing table."""
