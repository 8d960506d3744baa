"""The control API and its page as one ASGI application, built from the table of doors."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from flyball.errors import Fault, FlyballError, HttpRefused, RequestError
from flyball.web import access, handlers, pages
from flyball.web.desk import Desk
from flyball.web.problems import problem_of
from flyball.web.routes import DOORS, Door

MOST_FAULTS = 20

log = logging.getLogger("flyball.web")

BODY_SECONDS = 10.0
"""For 64 KiB at most, over the loopback: who takes longer does not end."""

HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    "x-content-type-options": "nosniff",
    # Not no-referrer: browsers then send `Origin: null` with the page's own forms, and the guard refuses the login.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def app(desk: Desk) -> Starlette:
    """The application. It asks `desk` and knows nothing else."""
    guard = access.Guard(desk.clock, desk.sessions)
    by_path: dict[str, list[Door]] = {}
    for door in DOORS:
        by_path.setdefault(door.path, []).append(door)
    # No methods here: the endpoint itself says which it has, after Host and Origin were looked at.
    routes = [Route(path, _endpoint(doors, desk, guard), methods=[], name=doors[0].name) for path, doors in by_path.items()]
    made = Starlette(routes=routes, exception_handlers={404: _outside(guard)})
    # A redirect would answer before the guard, with the Host that the client sent.
    made.router.redirect_slashes = False
    return made


def _endpoint(doors: list[Door], desk: Desk, guard: access.Guard) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return _dressed(await _answer(request, doors, desk, guard))

    return answer


async def _answer(request: Request, doors: list[Door], desk: Desk, guard: access.Guard) -> Response:
    page = False
    try:
        guard.neighbour(request)
        door = _door(request, doors)
        page = door.page
        body = await _body(request, door)
        return await run_in_threadpool(_handle, request, door, desk, guard, body)
    except FlyballError as error:
        return problem_of(error)
    except Exception:  # ours to mend: whoever asked is told so by an answer like every other, and the log where it came from
        log.exception("unforeseen")
        told = FlyballError("Flyball itself failed", next_step=".flyball/logs/control.log says where")
        return _told(told, entered=False) if page else problem_of(told)


def _handle(request: Request, door: Door, desk: Desk, guard: access.Guard, body: bytes) -> Response:
    """Who, may they, and then the door's function. Runs in a thread: use cases read files."""
    caller = access.NOBODY if door.form else guard.caller(request, desk.tokens())
    try:
        access.permit(door, caller)
        _refuse_unknown(request, door)
        cookie = access.cookie_of(request)
        session = request.cookies.get(cookie, "")
        ask = handlers.Ask(desk, guard, caller, dict(request.path_params), dict(request.query_params), body, cookie, session)
        answered: Response = getattr(handlers, door.name)(ask)
    except FlyballError as error:
        if not door.page:
            raise
        return _told(error, entered=bool(body))
    return answered


def _refuse_unknown(request: Request, door: Door) -> None:
    """Raises RequestError."""
    unknown = sorted(set(request.query_params) - set(door.takes)) if door.path.startswith("/api/") else []
    if unknown:
        expected = " or ".join(door.takes) or "no parameter"
        raise RequestError([Fault(each[:40], "an unknown parameter", expected) for each in unknown[:MOST_FAULTS]])


def _told(error: FlyballError, *, entered: bool) -> Response:
    """To a person's browser: the login where one is missing, else what went wrong. `entered`: something was typed into that."""
    headers = dict(error.headers) if isinstance(error, HttpRefused) else {}
    if isinstance(error, HttpRefused) and error.http_status in (401, 429):
        return HTMLResponse(pages.login(error.found if entered else ""), error.http_status, headers=headers)
    return HTMLResponse(pages.fault(HTTPStatus(error.http_status).phrase, error.message), error.http_status, headers=headers)


def _door(request: Request, doors: list[Door]) -> Door:
    method = "GET" if request.method == "HEAD" else request.method
    for door in doors:
        if door.method == method:
            return door
    allowed = ", ".join(door.method for door in doors)
    raise HttpRefused(405, f"{request.method[:20]} is not possible here", expected=allowed, headers=[("allow", allowed)])


async def _body(request: Request, door: Door) -> bytes:
    """The body of a POST of the right type and size; a GET has none that anybody reads."""
    if door.method == "GET":
        return b""
    wanted = "application/x-www-form-urlencoded" if door.form else "application/json"
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != wanted:
        raise HttpRefused(415, f"content of type {ascii(given[:60]) if given else 'nothing'}", expected=wanted)
    chunks, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > access.MAX_BODY:
                    raise HttpRefused(413, f"more than {access.MAX_BODY} bytes", expected="a shorter body", headers=_LAST)
                chunks.append(chunk)
    except ClientDisconnect:
        raise HttpRefused(400, "the connection ended within the body", expected="a whole body") from None
    except TimeoutError:
        raise HttpRefused(
            408, f"the body did not end within {BODY_SECONDS:g} s", expected="a whole body", headers=_LAST
        ) from None
    return b"".join(chunks)


_LAST = [("connection", "close")]
"""What is left of such a body is not waited for."""


def _outside(guard: access.Guard) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Whatever matches no door: first the same look at Host and Origin, then not found."""

    async def answer(request: Request, _error: Exception) -> Response:
        try:
            guard.neighbour(request)
            raise HttpRefused(404, f"there is nothing at {request.url.path[:100]!a}", next_step="GET /api/status, GET /")
        except FlyballError as error:
            return _dressed(problem_of(error))

    return answer


def _dressed(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers[name] = value
    return response
