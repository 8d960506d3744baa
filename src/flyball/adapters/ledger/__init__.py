"""The Ledger port: on SQLite with its head in a file beside it, and in memory."""

from flyball.adapters.ledger.head_file import HeadFile
from flyball.adapters.ledger.held import HeldLedger
from flyball.adapters.ledger.memory import MemoryLedger
from flyball.adapters.ledger.sqlite import SqliteLedger

__all__ = ["HeadFile", "HeldLedger", "MemoryLedger", "SqliteLedger"]
