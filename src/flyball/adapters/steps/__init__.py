"""The five steps of a pipeline, as a child process runs them."""

from flyball.adapters.steps.run import run_steps

__all__ = ["run_steps"]
