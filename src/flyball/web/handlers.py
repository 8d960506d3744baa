"""One function per door: parse, call one use case, render. No rule lives here."""

from importlib import resources
from typing import NamedTuple
from urllib.parse import parse_qs

from starlette.responses import HTMLResponse, RedirectResponse, Response

from flyball.errors import Fault, HttpRefused, NotFound, RequestError
from flyball.records import codec
from flyball.records.permissions import Holder
from flyball.web import access, metrics, orders, pages
from flyball.web.desk import Desk

_STATIC = {"flyball.css": "text/css; charset=utf-8"}


class Ask(NamedTuple):
    """A request that has passed the guard."""

    desk: Desk
    guard: access.Guard
    caller: Holder
    place: dict[str, str]
    """Parameters of the path."""
    query: dict[str, str]
    body: bytes
    cookie: str
    """Name of this server's session cookie."""
    session: str
    """What it holds; empty: there is none."""


def _json(value: object) -> Response:
    return Response(codec.encode(value), media_type="application/json")


def health(ask: Ask) -> Response:  # noqa: ARG001 - every handler has this shape
    return _json({"status": "ok"})


def static(ask: Ask) -> Response:
    """Only names of the table: no path is ever joined from what a client says."""
    name = ask.place["name"]
    if name not in _STATIC:
        raise NotFound("there is no such file")
    content = (resources.files("flyball.web") / "static" / name).read_bytes()
    return Response(content, media_type=_STATIC[name])


def scrape(ask: Ask) -> Response:
    return Response(metrics.exposition(ask.desk.status()), media_type=metrics.MEDIA_TYPE)


def status(ask: Ask) -> Response:
    return _json(ask.desk.status())


def versions(ask: Ask) -> Response:
    return _json(ask.desk.versions())


def decisions(ask: Ask) -> Response:
    return _json(ask.desk.decisions(_only_open(ask)))


def _only_open(ask: Ask) -> bool:
    choice = ask.query.get("open", "false")
    if choice not in ("true", "false"):
        raise RequestError([Fault("open", repr(choice[:40]), "open=true, open=false or nothing")])
    return choice == "true"


def findings(ask: Ask) -> Response:
    return _json(ask.desk.findings.rows(_only_open(ask)))


def incidents(ask: Ask) -> Response:
    return _json(ask.desk.findings.incidents(_only_open(ask)))


def finding(ask: Ask) -> Response:
    return _json(ask.desk.findings.explain(ask.place["finding"]))


def finding_page(ask: Ask) -> Response:
    return HTMLResponse(pages.finding(ask.desk.findings.explain(ask.place["finding"])))


def acknowledge(ask: Ask) -> Response:
    order = orders.read(ask.body, orders.Acknowledge)
    return _json(ask.desk.findings.acknowledge(ask.place["finding"], ask.caller.actor, order.reason, order.as_normal))


def releases(ask: Ask) -> Response:
    return _json(ask.desk.releases.rows())


def release(ask: Ask) -> Response:
    return _json(ask.desk.releases.report(ask.place["release"]))


def release_page(ask: Ask) -> Response:
    return HTMLResponse(pages.release(ask.desk.releases.report(ask.place["release"])))


def releases_page(ask: Ask) -> Response:
    return HTMLResponse(pages.releases(ask.desk.releases.rows()))


def decision_page(ask: Ask) -> Response:
    return HTMLResponse(pages.decision(ask.desk.explain(ask.place["decision"])))


def hold(ask: Ask) -> Response:
    order = orders.read(ask.body, orders.Rollback)
    return _json(ask.desk.releases.hold(ask.caller.actor, order.reason))


def resume(ask: Ask) -> Response:
    order = orders.read(ask.body, orders.Rollback)
    return _json(ask.desk.releases.resume(ask.caller.actor, order.reason))


def drill(ask: Ask) -> Response:
    orders.read(ask.body, orders.Drill)
    return _json(ask.desk.releases.drill(ask.caller.actor))


def close_breaker(ask: Ask) -> Response:
    order = orders.read(ask.body, orders.Rollback)
    return _json(ask.desk.autopilot.close_breaker(ask.caller.actor, order.reason))


def job(ask: Ask) -> Response:
    return _json(ask.desk.autopilot.explain_job(ask.place["job"]))


def stop_serving(ask: Ask) -> Response:
    order = orders.read(ask.body, orders.Rollback)
    return _json(ask.desk.autopilot.stop_serving(ask.caller.actor, order.reason))


def resume_serving(ask: Ask) -> Response:
    order = orders.read(ask.body, orders.Rollback)
    return _json(ask.desk.autopilot.resume_serving(ask.caller.actor, order.reason))


def raise_autonomy(ask: Ask) -> Response:
    order = orders.read(ask.body, orders.Rollback)
    return _json(ask.desk.autopilot.raise_autonomy(ask.place["action"], ask.caller.actor, order.reason))


def explain(ask: Ask) -> Response:
    return _json(ask.desk.explain(ask.place["decision"]))


def rollback(ask: Ask) -> Response:
    order = orders.read(ask.body, orders.Rollback)
    return _json(ask.desk.rollback(order.reason, ask.caller.actor))


def answer(ask: Ask) -> Response:
    order = orders.read(ask.body, orders.Answer)
    if order.answer not in ("approve", "refuse"):
        raise RequestError([Fault("answer", repr(order.answer[:40]), "approve or refuse")])
    use_case = ask.desk.approve if order.answer == "approve" else ask.desk.refuse
    return _json(use_case(ask.place["decision"], ask.caller.actor, order.reason, order.digest))


def overview(ask: Ask) -> Response:
    decided, released = ask.desk.decisions(False, pages.SHOWN_DECISIONS), ask.desk.releases.rows()
    return HTMLResponse(pages.overview(ask.desk.status(), ask.desk.versions(), decided, released))


def login(ask: Ask) -> Response:
    """A form of a browser: the token, once, for a session cookie that scripts cannot read and other sites cannot send."""
    try:
        fields = parse_qs(ask.body.decode("latin-1"), max_num_fields=_FIELDS)
    except ValueError:
        raise HttpRefused(400, f"a form of more than {_FIELDS} fields", expected="the field token") from None
    given = fields.get("token", [""])[0]
    session = ask.guard.login(given, ask.desk.tokens())
    answered = RedirectResponse("/", 303)
    lasts = int(access.SESSION.total_seconds())
    answered.set_cookie(ask.cookie, session, max_age=lasts, httponly=True, samesite="strict", path="/")
    return answered


def logout(ask: Ask) -> Response:
    ask.guard.logout(ask.session, ask.desk.tokens())
    answered = RedirectResponse("/", 303)
    answered.delete_cookie(ask.cookie, path="/", httponly=True, samesite="strict")
    return answered


_FIELDS = 4
