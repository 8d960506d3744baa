"""Whether the packages of a routing file answer on this machine: a worker loads them as it would, and asks each an ordinary row."""

import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from flyball.adapters.durable import replace_file
from flyball.adapters.entropy import fresh_token
from flyball.adapters.gateways_http import HttpGateways
from flyball.adapters.supervisor import GatewayProcess
from flyball.adapters.token import owner_token
from flyball.control.ports import Clock
from flyball.errors import Fault, OperatorError, SpecError
from flyball.records import codec
from flyball.records.routing import Route, RoutingTable


def refuse_what_does_not_answer(routes: Sequence[Route], limits: tuple[str, ...], name: str, clock: Clock) -> None:
    """From a state directory that is deleted afterwards, within `limits`. `name`: of the file that they stand in. Raises SpecError in the worker's words,
    OperatorError where none comes up."""
    with tempfile.TemporaryDirectory(prefix="flyball-check-") as made:
        state_dir = Path(made)
        token = owner_token(state_dir, fresh_token)
        table = RoutingTable(revision=1, written_at=clock.now(), routes=tuple(routes))
        replace_file(state_dir / "routing.json", codec.encode(table))
        try:
            with (
                GatewayProcess(state_dir, arguments=("--no-capture", *limits)),
                closing(HttpGateways(state_dir, lambda: token, 1)) as gateways,
            ):
                found = [report.error for report in gateways.observe() if report.error]
        except OperatorError as error:
            if made not in error.next_step:
                raise
            raise OperatorError(error.found) from error  # its log is gone with the directory, and what it ended with is told
    if found:
        raise SpecError([Fault("models", found[0].rstrip("."), "packages that answer an ordinary row")], file=name)
