"""The only place that joins ports to adapters and reads the environment."""

from flyball.wiring.workspace import Workspace, open_workspace

__all__ = ["Workspace", "open_workspace"]
