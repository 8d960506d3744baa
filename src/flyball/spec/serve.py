"""`serve:` where the doors are on this machine."""

from pydantic import Field

from flyball.spec.fields import Host, Section, Span


class ServeSpec(Section):
    host: Host = "127.0.0.1"
    port: int = Field(default=8400, ge=0, le=65535)
    """Of the gateway; 0: any free one."""
    grpc_port: int | None = Field(default=None, ge=0, le=65535)
    """Of the gateway's gRPC, at the same address; 0: any free one; None: no gRPC."""
    control_port: int = Field(default=8401, ge=0, le=65535)
    """Of the API and the pages, always on the loopback."""
    workers: int = Field(default=1, ge=1, le=64)
    tick: Span = Field(default="2s", validate_default=True)
    max_body_mb: int = Field(default=16, ge=1, le=128)
    fallback: int | None = Field(default=None, ge=1)
    """Version that answers alone while the model is stopped; None: its requests are refused then."""
    threshold: float | None = Field(default=None, ge=0.0, le=1.0)
    """Binary: score from which the answer is the positive class; None: 0.5."""
