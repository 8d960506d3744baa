"""`serve:` where the doors are on this machine, and what an answer may cost."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from flyball.spec.fields import Duration, Host, Section, Span

LEAST_DEADLINE, LONGEST_DEADLINE = timedelta(milliseconds=100), timedelta(seconds=8)
"""Below, an ordinary turn of the machine would cost a model its process. Above, three calls while it is loaded would outlast the half minute that starts are
waited for, and two that are under way the time that a worker has to leave in."""


def _bearable(value: timedelta) -> timedelta:
    if not LEAST_DEADLINE <= value <= LONGEST_DEADLINE:
        raise ValueError("a duration from 0.1s to 8s")
    return value


class LimitsSpec(Section):
    """What the gateway's processes are started with: a change holds from their next start on."""

    max_body_mb: int = Field(default=16, ge=1, le=128)
    deadline: Annotated[Duration, AfterValidator(_bearable)] = Field(default="5s", validate_default=True)
    """Of one call of a model that is served as code; then its process is killed. And of one call of an ONNX graph whose time hangs on what is in a row."""
    memory_mb: int = Field(default=4096, ge=1024, le=1024**2)
    """Address space of the process of a model that is served as code: Python, Polars and NumPy alone do not load in a quarter of the least."""


class ServeSpec(LimitsSpec):
    host: Host = "127.0.0.1"
    port: int = Field(default=8400, ge=0, le=65535)
    """Of the gateway; 0: any free one."""
    grpc_port: int | None = Field(default=None, ge=0, le=65535)
    """Of the gateway's gRPC, at the same address; 0: any free one; None: no gRPC."""
    control_port: int = Field(default=8401, ge=0, le=65535)
    """Of the API and the pages, always on the loopback."""
    workers: int = Field(default=1, ge=1, le=64)
    tick: Span = Field(default="2s", validate_default=True)
    fallback: int | None = Field(default=None, ge=1)
    """Version that answers alone while the model is stopped, by a unit of it that is not stopped; None: its requests are refused then."""
    threshold: float | None = Field(default=None, ge=0.0, le=1.0)
    """Binary: score from which the answer is the positive class; None: 0.5."""
