"""Everything that opens, waits or reads a clock. Adapters do not know one another; only wiring knows them."""
