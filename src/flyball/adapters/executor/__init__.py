"""The Executor port: in a detached child process, and at once in this one."""

from flyball.adapters.executor.directory import JobDirectory
from flyball.adapters.executor.files import JobFiles
from flyball.adapters.executor.memory import MemoryExecutor
from flyball.adapters.executor.process import ProcessExecutor

__all__ = ["JobDirectory", "JobFiles", "MemoryExecutor", "ProcessExecutor"]
