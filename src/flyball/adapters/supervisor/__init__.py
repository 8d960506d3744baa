"""The processes of a project on this machine: started, watched, restarted, ended."""

from flyball.adapters.supervisor.asking import live, model_ready
from flyball.adapters.supervisor.detached import start_detached
from flyball.adapters.supervisor.gateway_process import GatewayProcess, end_leftover
from flyball.adapters.supervisor.listening import listen
from flyball.adapters.supervisor.run_file import RunFile, running, stop
from flyball.adapters.supervisor.supervise import Layout, supervise

__all__ = [
    "GatewayProcess",
    "Layout",
    "RunFile",
    "end_leftover",
    "listen",
    "live",
    "model_ready",
    "running",
    "start_detached",
    "stop",
    "supervise",
]
