"""The processes of a project on this machine: started, watched, restarted, ended."""

from flyball.adapters.supervisor.asking import live, model_ready, why_no_model
from flyball.adapters.supervisor.detached import start_detached
from flyball.adapters.supervisor.gateway_process import GatewayProcess, end_leftover
from flyball.adapters.supervisor.listening import listen, target_of, url_of
from flyball.adapters.supervisor.run_file import RunFile, running, stop
from flyball.adapters.supervisor.supervise import Doors, Holding, Layout, held, run, supervise

__all__ = [
    "Doors",
    "GatewayProcess",
    "Holding",
    "Layout",
    "RunFile",
    "end_leftover",
    "held",
    "listen",
    "live",
    "model_ready",
    "run",
    "running",
    "start_detached",
    "stop",
    "supervise",
    "target_of",
    "url_of",
    "why_no_model",
]
