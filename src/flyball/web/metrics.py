"""What Prometheus scrapes of the control process: how the model does, what stands open, and whether anybody looks after it. All from one status.

Labels are the model and words of ours (kinds, metrics, phases): their number is bounded. What is counted by kind is told for every kind, 0 included, so that no
alert waits for a series that is not there. Gauges alone: a status is a moment, and what happened since the last scrape is in the ledger.
"""

from collections.abc import Iterable, Iterator

from prometheus_client import CONTENT_TYPE_LATEST as MEDIA_TYPE
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from flyball.control.reports import StatusReport
from flyball.control.window_words import answered
from flyball.records.evidence import Evidence
from flyball.records.findings import FindingKind, IncidentKind, WindowSummary
from flyball.records.jobs import FINISHED
from flyball.records.release import TERMINAL, Phase

__all__ = ["MEDIA_TYPE", "exposition"]

Labels = tuple[str, ...]

_OF_MODEL = ("model",)


def exposition(status: StatusReport) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Status(status))
    return generate_latest(registry)


class _Status(Collector):
    def __init__(self, status: StatusReport) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        for part in (_control, _champion, _open, _windows):
            yield from part(self._status)


def _control(status: StatusReport) -> Iterator[Metric]:
    yield _gauge("flyball_control_up", "1: a controller looks after traffic, and its ticks are whole", (), [((), _well(status))])
    told = sum(gateway.verified for gateway in status.gateways)
    by_state = [(("true",), told), (("false",), len(status.gateways) - told)]
    yield _gauge("flyball_gateways", "Workers by whether they are seen to serve what they should", ("verified",), by_state)
    yield _gauge("flyball_ledger_events", "Number of the newest event of the ledger", (), [((), status.ledger_seq)])


def _well(status: StatusReport) -> bool:
    return status.controller_alive and status.ticks_failed_since is None


def _champion(status: StatusReport) -> Iterator[Metric]:
    model = (status.model,)
    yield _gauge(
        "flyball_champion_version", "Version that answers; 0: none does", _OF_MODEL, [(model, status.champion_version or 0)]
    )
    since = [] if status.champion_since is None else [(model, status.champion_since.timestamp())]
    yield _gauge("flyball_champion_since_seconds", "When it took over, since 1970", _OF_MODEL, since)
    yield _gauge("flyball_serving_stopped", "1: somebody stopped the model", _OF_MODEL, [(model, status.stop is not None)])
    phase = None if status.release is None else status.release.phase
    phases = [((*model, each.value), phase is each) for each in Phase if each not in TERMINAL]
    yield _gauge("flyball_release_phase", "1: the phase of the release under way", ("model", "phase"), phases)


def _open(status: StatusReport) -> Iterator[Metric]:
    model = (status.model,)
    findings = {(kind.value, pages): 0 for kind in FindingKind for pages in ("true", "false")}
    for each in status.findings:
        findings[each.kind.value, "true" if each.pages else "false"] += 1
    told = [((*model, *labels), count) for labels, count in findings.items()]
    yield _gauge("flyball_findings_open", "Findings that stand and nobody acknowledged", ("model", "kind", "pages"), told)
    kinds = [((*model, kind.value), sum(each.kind is kind for each in status.diagnoses)) for kind in IncidentKind]
    yield _gauge("flyball_incidents_open", "Incidents that stand, by what they are taken for", ("model", "kind"), kinds)
    waits = len(status.approvals)
    yield _gauge("flyball_questions_open", "What waits for a person's yes or no", _OF_MODEL, [(model, waits)])
    running = sum(job.status not in FINISHED for job in status.jobs)
    yield _gauge("flyball_jobs_running", "Jobs that are not over", _OF_MODEL, [(model, running)])
    breaker = [(model, status.breaker is not None)]
    yield _gauge("flyball_breaker_open", "1: no policy changes who answers until a person has looked", _OF_MODEL, breaker)


def _windows(status: StatusReport) -> Iterator[Metric]:
    """Of the newest window, which has an estimate at most, and of the newest one whose labels have come."""
    newest, judged = status.windows[-1:], () if status.judged is None else (status.judged,)
    lengths = [((status.model,), (each.end - each.start).total_seconds()) for each in newest]
    yield _gauge("flyball_window_seconds", "How long a window is", _OF_MODEL, lengths)
    yield from _of(status, "window", "closed window", newest)
    yield from _of(status, "mature_window", "window whose labels have come", judged)
    yield from _told(status, "estimate", "Estimated without labels, of the newest window", newest, "estimates")
    yield from _told(status, "metric", "Realised, of the newest window whose labels have come", judged, "metrics")


def _of(status: StatusReport, name: str, words: str, windows: tuple[WindowSummary, ...]) -> Iterator[Metric]:
    model = (status.model,)
    ends = [(model, each.end.timestamp()) for each in windows]
    yield _gauge(f"flyball_{name}_end_seconds", f"End of the newest {words}, since 1970", _OF_MODEL, ends)
    rows = [
        ((*model, of), count) for each in windows for of, count in (("predictions", each.predictions), ("labels", answered(each)))
    ]
    yield _gauge(f"flyball_{name}_rows", f"Rows of the newest {words}", ("model", "of"), rows)


def _told(status: StatusReport, name: str, words: str, windows: tuple[WindowSummary, ...], field: str) -> Iterator[Metric]:
    """Three families, as a value and the ends of its interval are three numbers. What is void or not defined is absent."""
    found: list[Evidence] = [evidence for each in windows for evidence in getattr(each, field).values()]
    for end, which in (("", "value"), ("_lower", "lower"), ("_upper", "upper")):
        values = [((status.model, each.name), value) for each in found if (value := getattr(each, which)) is not None]
        yield _gauge(f"flyball_{name}{end}", f"{words}{_END[which]}", ("model", "metric"), values)


_END = {"value": "", "lower": ": lower end of its interval", "upper": ": upper end of its interval"}


def _gauge(name: str, words: str, labels: Labels, samples: Iterable[tuple[Labels, float]]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=labels)
    for values, number in samples:
        family.add_metric(values, float(number))
    return family
