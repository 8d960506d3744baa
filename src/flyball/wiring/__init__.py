"""The only place that joins ports to adapters and reads the environment."""

from flyball.wiring.replays import live_child
from flyball.wiring.workspace import Workspace, open_workspace
from flyball.wiring.worlds import private_process

__all__ = ["Workspace", "live_child", "open_workspace", "private_process"]
