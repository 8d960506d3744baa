"""What is answered when a request is not: problem documents (RFC 9457)."""

from http import HTTPStatus

import msgspec
from starlette.responses import Response

from flyball.errors import FlyballError, HttpRefused


def problem_of(error: FlyballError) -> Response:
    """The document that an error of the tree becomes."""
    status = error.http_status
    faults = [fault.told for fault in getattr(error, "faults", ())]
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": error.message}
    if faults:
        body["faults"] = faults
    headers = dict(error.headers) if isinstance(error, HttpRefused) else {}
    return Response(msgspec.json.encode(body), status, headers, media_type="application/problem+json")
