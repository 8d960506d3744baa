"""Sockets bound once by the supervisor and handed to its children, so a restart of one refuses no connection and never loses its port."""

import errno
import socket

import psutil

from flyball.errors import OperatorError

BACKLOG = 1024
"""Connections that wait while a worker is restarted; the kernel cuts it down to its own limit."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket that children may inherit; port 0: any free one. Raises OperatorError naming who holds the port."""
    bound = _bound(host, port, socket.SO_REUSEADDR, listens=True)
    bound.set_inheritable(True)
    return bound


def reserve(host: str, port: int) -> socket.socket:
    """A socket that keeps a port for children that each listen on it themselves (SO_REUSEPORT): it does not listen, so it takes no connection.
    Raises as `listen` does."""
    with listen(host, port) as probe:  # whoever has it already is noticed, even one who would share it
        taken = probe.getsockname()[1]
    return _bound(host, taken, socket.SO_REUSEPORT, listens=False)


def _bound(host: str, port: int, option: int, *, listens: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, option, 1)
        bound.bind((host, port))
        if listens:
            bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            found, next_step = (
                f"port {port} of {host} is taken by {holder(port)}",
                "end it, or choose another port: `serve:` in flyball.yaml, `--port` and `--grpc-port` of flyball gateway",
            )
            raise OperatorError(found, next_step=next_step) from error
        raise OperatorError(
            f"cannot listen on {host} port {port}: {error.strerror or error}",
            next_step="mend `serve:` in flyball.yaml, or `--host` and `--port` of flyball gateway",
        ) from error
    return bound


def url_of(bound: socket.socket) -> str:
    """As a client on this machine would write it."""
    host, port = bound.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - not a binding, a comparison
        host = "127.0.0.1"
    return f"http://{_joined(host, port)}"


def target_of(bound: socket.socket) -> str:
    """As a gRPC client on this machine would write it."""
    return url_of(bound).removeprefix("http://")


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _starter(process: psutil.Process) -> str:
    """Of a child of `flyball up` its supervisor, which would start it again: where .flyball/ was deleted meanwhile, `flyball down` does not find it."""
    command, parent = process.cmdline(), process.ppid()
    if parent <= 1 or not {"flyball.gateway", "flyball.web"} & set(command):
        return ""
    return f", which process {parent} started and starts again: `flyball down` in its project ends both, or end process {parent}"


def holder(port: int) -> str:
    """Who listens on a TCP port, as far as this user may see it."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port and connection.pid:
                process = psutil.Process(connection.pid)
                return (
                    f"process {connection.pid} ({' '.join(process.cmdline())[:120].strip() or process.name()}){_starter(process)}"
                )
    except (psutil.Error, OSError):
        return "another process"
    return "another process"
