"""A project on paper: a Workspace that answers from memory with records as the real one makes them, so that the doors are tested alone."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flyball.adapters.clock import SimulatedClock
from flyball.adapters.ended_sessions import EndedSessions
from flyball.control.decision_reports import DecisionRow, Explanation
from flyball.control.finding_reports import FindingReport, FindingRow, IncidentRow, WindowPoint
from flyball.control.job_story import JobStory, Trial
from flyball.control.label_import import LabelImport
from flyball.control.replay_comparison import ComparisonReport, FailedPolicy, Prices, Side, compare
from flyball.control.replay_orders import Wanted
from flyball.control.replay_report import AloneFigures, DecisionLine, GovernedFigures, Performance, ReplayReport, Span
from flyball.control.reports import (
    Check,
    CommandReport,
    ExportReport,
    GatewayRow,
    GuardPoint,
    GuardRow,
    ImportReport,
    ReleaseReport,
    ReleaseRow,
    RunReport,
    StatusReport,
    TokenReport,
    UpReport,
    VerifyReport,
    VersionRow,
)
from flyball.errors import Conflict, NotFound
from flyball.records.bounds import Breaker
from flyball.records.decisions import Action, Approval, Decision, Plan
from flyball.records.diagnosis import Diagnosis, Hypothesis
from flyball.records.evidence import Evidence, Outcome, Verdict
from flyball.records.findings import (
    Acknowledgement,
    Cause,
    Finding,
    FindingKind,
    Happening,
    Histogram,
    Incident,
    IncidentKind,
    WindowSummary,
)
from flyball.records.jobs import Job, JobStatus, StepResult
from flyball.records.permissions import Holder, Role
from flyball.records.release import Drill, Phase, ReleaseState
from flyball.records.tournaments import Entrant, Standings, Tournament

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NASTY = '<script>alert("x")</script> [bold red]not markup[/] \x1b[31mred \u202eexe.gnp'
"""What a text may hold that comes from anywhere."""

Say = Callable[[str, str], None]

AREA = Evidence(name="roc_auc", value=0.8431, lower=0.8201, upper=0.8662, alpha=0.05, n=500)
VERDICTS = (
    Verdict(rule="absolute: roc_auc ≥ 0.6", outcome=Outcome.PASS, evidence=AREA, words="0.843 is at least 0.6"),
    Verdict(
        rule="champion: log_loss", outcome=Outcome.INCONCLUSIVE, words="there is no champion to compare with",
        evidence=Evidence(name="log_loss_difference", value=None, note="no champion"),
    ),
)  # fmt: skip
DECISION = Decision(
    id="d-000012", room="autopilot", now=NOW, policy={}, situation={},
    plan=Plan(actions=(Action(kind="ask", subject="model:shop"),), rule="retrain-when-worse", rationale=NASTY),
)  # fmt: skip
APPROVAL = Approval(
    id="a-0001", decision="d-000012", action_digest="0" * 64, requested_at=NOW, requested_by="autopilot", expires_at=None
)


FINDING = Finding(
    id="f-1", number=3, kind=FindingKind.FEATURE_DRIFT, model="shop", unit="u1", subject=NASTY, window_start=NOW - timedelta(days=1),
    window_end=NOW, effect=0.31, effect_unit="JS distance", evidence=AREA, share_of_budget=0.1, words=NASTY, effects={"psi": 0.8}, harm=0.0123,
    changed_since=NOW - timedelta(days=2), causes=(Cause(subject=NASTY, share=0.61, words=NASTY), Cause(subject="schema", share=None, words="price is text")),
    histogram=Histogram(labels=("missing", NASTY, "above"), reference=(0.01, 0.9, 0.09), window=(0.4, 0.25, 0.35)),
)  # fmt: skip

RELEASED = ReleaseState(
    id="r-0002", model="shop", challenger="u2", champion="u1", phase=Phase.CANARY, step=1, opened_at=NOW, entered_at=NOW, reason=NASTY
)  # fmt: skip


DIAGNOSIS = Diagnosis(
    incident=3, model="shop", unit="u1", at=NOW, kind=IncidentKind.CONCEPT_SHIFT, score=0.7, features=(NASTY,), slices=(NASTY,),
    hypotheses=(
        Hypothesis(kind=IncidentKind.CONCEPT_SHIFT, score=0.7, speaks_for=(NASTY,)),
        Hypothesis(kind=IncidentKind.DATA_FAULT, score=0.1, speaks_against=(NASTY, "no column is gone")),
        Hypothesis(kind=IncidentKind.UNKNOWN, score=0.2),
    ),
    since=NOW - timedelta(days=3), between=(NOW - timedelta(days=3), NOW - timedelta(days=1)), words=f"incident 3: concept shift (0.7), because {NASTY}",
)  # fmt: skip
HAPPENING = Happening(at=NOW - timedelta(days=2), subject=NASTY, words=NASTY, near="when it began")


class PaperFindings:
    """What its monitors found."""

    def __init__(self, workspace: "PaperWorkspace") -> None:
        self._workspace = workspace
        self.said: Acknowledgement | None = None

    def rows(self, open_only: bool) -> tuple[FindingRow, ...]:
        if self._workspace.fresh or (open_only and self.said is not None):
            return ()
        return (FindingRow(finding=FINDING, open=self.said is None, acknowledgement=self.said, diagnosis=DIAGNOSIS),)

    def incidents(self, open_only: bool) -> tuple[IncidentRow, ...]:
        if self._workspace.fresh or (open_only and self.said is not None):
            return ()
        ended, owner = (NOW, self.said.by) if self.said is not None else (None, "")
        incident = Incident(
            number=3, model="shop", unit="u1", began=NOW - timedelta(days=2), ended=ended, owner=owner, findings=(3, 4),
            standing=(FindingKind.FEATURE_DRIFT,), subjects=(NASTY, "price"), harm=0.0123, words=NASTY,
        )  # fmt: skip
        return (IncidentRow(incident=incident, diagnosis=DIAGNOSIS),)

    def explain(self, which: str) -> FindingReport:
        if which not in ("3", "f-1"):
            raise NotFound(f"there is no finding {which!r}", next_step="flyball findings lists them")
        series = tuple(
            WindowPoint(end=NOW - timedelta(days=days), value=None if days == 3 else 0.31 / (days + 1))
            for days in range(9, -1, -1)
        )
        return FindingReport(
            finding=FINDING, acknowledgement=self.said, series=series, beside=(FINDING,), upstream=(HAPPENING,), decided=self._workspace.decisions(open_only=False),
            diagnosis=DIAGNOSIS,
        )  # fmt: skip

    def acknowledge(self, which: str, actor: str, reason: str, as_normal: bool) -> CommandReport:
        if self.said is not None:
            raise Conflict(f"finding 3 was acknowledged by {self.said.by} already")
        self.said = Acknowledgement(finding=self.explain(which).finding.id, by=actor, at=NOW, reason=reason, as_normal=as_normal)
        self._workspace.calls.append(("acknowledge", which, actor, reason))
        return CommandReport(accepted=True, subject="finding:f-1", words="finding 3 is acknowledged")


class PaperReleases:
    """How its challengers fared."""

    def __init__(self, workspace: "PaperWorkspace") -> None:
        self._workspace = workspace

    def rows(self, *, replayed: bool = False) -> tuple[ReleaseRow, ...]:
        assert replayed in (True, False)
        return () if self._workspace.fresh else (ReleaseRow(release=RELEASED, version=2, champion_version=1),)

    def report(self, which: str | None, *, replayed: bool = False) -> ReleaseReport:
        assert replayed in (True, False)
        if which not in (None, "r-0002"):
            raise NotFound(f"there is no release {which!r}", next_step="flyball release list")
        points = tuple(
            GuardPoint(at=NOW + timedelta(hours=n), n=n * 100, value=0.004 / n, lower=-0.2 / n, upper=0.21 / n)
            for n in range(1, 13)
        )
        seen = Evidence(name="loss", value=0.0003, lower=-0.0167, upper=0.0175, n=1200, unit="pairs", note=NASTY)
        guards = (
            GuardRow(name="loss", means="mean loss", margin=0.01, alpha=0.04, must="pass", outcome="inconclusive", evidence=seen, words=NASTY, points=points),
            GuardRow(name="reward", means=NASTY, margin=0.0, alpha=0.01, must="not_fail", outcome="", evidence=None, words="not looked at yet", points=()),
        )  # fmt: skip
        drill = Drill(id="drill-0001", champion="u1", unit="u0", opened_at=NOW, outcome="failed", words=NASTY)
        return ReleaseReport(
            release=RELEASED, version=2, champion_version=1, place="canary step 2 of 2, 50% of the keys", words=NASTY, alpha=0.05,
            guards=guards, history=(NASTY,), drill=drill,
        )  # fmt: skip

    def hold(self, actor: str, reason: str) -> CommandReport:
        self._workspace.calls.append(("hold", actor, reason))
        return CommandReport(accepted=True, subject="release:r-0002", words="u2 is held")

    def resume(self, actor: str, reason: str) -> CommandReport:
        self._workspace.calls.append(("resume", actor, reason))
        return CommandReport(accepted=True, subject="release:r-0002", words="u2 starts again")

    def drill(self, actor: str) -> CommandReport:
        self._workspace.calls.append(("drill", actor))
        return CommandReport(accepted=True, subject="drill:drill-0001", words="a rollback to version 1 takes 0.4 s")


STORY = JobStory(
    job=Job(
        id="j-0003", model="shop", status=JobStatus.REGISTERED, requested_at=NOW, as_of=NOW, cause="d-000012", attempt=1, version=2, unit="u1"
    ),
    tournament=Tournament(
        job="j-0003", decision="d-000013", cause="d-000012", model="shop", at=NOW, winner="recent:60d", unit=None, words=NASTY,
        standings=Standings(
            champion="u0", champion_loss=0.21, rows=4000, since=NOW - timedelta(days=20), until=NOW, alpha=0.05,
            entrants=(
                Entrant(name="weighted:60d", fitted=True, words=NASTY),
                Entrant(name="recalibrate", fitted=False, minutes=0.01, gain=Evidence(name="loss_gain", value=-0.01, lower=-0.02, upper=0.0, n=4000)),
                Entrant(name="recent:60d", fitted=True, minutes=1.5, gain=Evidence(name="loss_gain", value=0.05, lower=0.04, upper=0.06, n=4000)),
            ),
        ),
    ),
    afterwards=(NASTY,),
    parameters={"C": 0.31, "kind": NASTY},
    metric="log_loss",
    trials=(
        Trial(parameters={"C": -0.15}, value=None, words=NASTY),
        Trial(parameters={"C": 4.0}, value=0.52),
        Trial(parameters={"C": 0.31}, value=0.48),
    ),
)  # fmt: skip


class PaperAutopilot:
    """What bounds its policies."""

    def __init__(self, workspace: "PaperWorkspace") -> None:
        self._workspace = workspace

    def close_breaker(self, actor: str, reason: str) -> CommandReport:
        self._workspace.calls.append(("close_breaker", actor, reason))
        return CommandReport(accepted=self._workspace.healthy, subject="model:shop", words="the breaker is closed")

    def raise_autonomy(self, action: str, actor: str, reason: str) -> CommandReport:
        self._workspace.calls.append(("raise_autonomy", action, actor, reason))
        return CommandReport(accepted=self._workspace.healthy, subject="model:shop", words=f"{action} is at act again")

    def explain_job(self, job: str) -> JobStory:
        if job != STORY.job.id:
            raise NotFound(f"there is no job {job!r}")
        return STORY

    def stop_serving(self, actor: str, reason: str) -> CommandReport:
        self._workspace.calls.append(("stop_serving", actor, reason))
        return CommandReport(accepted=self._workspace.healthy, subject="model:shop", words="shop is stopped")

    def resume_serving(self, actor: str, reason: str) -> CommandReport:
        self._workspace.calls.append(("resume_serving", actor, reason))
        return CommandReport(accepted=self._workspace.healthy, subject="model:shop", words="shop answers again")


class PaperCaptured:
    """What is captured of it."""

    def __init__(self, workspace: "PaperWorkspace") -> None:
        self._workspace = workspace

    def export(self, kind: str, to: Path | None, since: datetime | None, until: datetime | None, say: Say) -> ExportReport:
        self._workspace.calls.append(("export", kind, str(to), str(since), str(until)))
        say("step", "reading")
        return ExportReport(
            directory="/shop/tables", format=kind, rows={"predictions": 1200, "labels": 7, "failures": 0}, bytes_read=9,
            damaged_bytes=0 if self._workspace.healthy else 77, torn=0 if self._workspace.healthy else 2, renamed={"unit price": "unit_price"},
        )  # fmt: skip

    def import_labels(self, wanted: LabelImport, say: Say) -> ImportReport:
        self._workspace.calls.append(("import", *map(str, wanted)))
        if self._workspace.healthy:
            return ImportReport(rows=3, accepted=3, refused=0, faults=(), unsent=0)
        return ImportReport(
            rows=35, accepted=2, refused=22, faults=(f"row 1: {NASTY}",), unsent=6, trouble="the gateway is gone",
            not_known_yet=5,
        )  # fmt: skip


def replayed(area: float, retrainings: int) -> ReplayReport:
    alone, governed = (
        Performance(roc_auc=0.68, log_loss=0.51, errors=410.5),
        Performance(roc_auc=area, log_loss=0.48, errors=400.0),
    )
    return ReplayReport(
        project="shop", model="shop", task="binary", metric="roc_auc", since="2013-03-01T00:00:00+00:00", until="2013-05-01T00:00:00+00:00",
        alone=AloneFigures(mean_monthly_roc_auc=0.68, mean_monthly_log_loss=0.51),
        governed=GovernedFigures(mean_monthly_roc_auc=area, mean_monthly_log_loss=0.48, retrainings=retrainings, training_minutes=1.5 * retrainings, alarms=3),
        requests=1000, predictions=5000, failed_requests=0, labels_sent=5100, labels_joined=5000, decisions=1, decisions_replayed_equal=1,
        wall_seconds=61.0, training_seconds=20.0, months=(Span(start="2013-03", n=2500, alone=alone, governed=governed, answered_by={"v1": 2500}),),
        decision_log=(DecisionLine(id="d-000001", at="2013-03-02T00:00:00+00:00", room="gates", rule="gates", words="passed", action="register"),),
    )  # fmt: skip


class PaperLived:
    """A replay of it, which decided and found what it did itself."""

    def __init__(self, workspace: "PaperWorkspace") -> None:
        self._workspace = workspace

    def decisions(self, open_only: bool) -> tuple[DecisionRow, ...]:
        return self._workspace.decisions(open_only)

    def findings(self, open_only: bool) -> tuple[FindingRow, ...]:
        return self._workspace.findings.rows(open_only)

    def incidents(self, open_only: bool) -> tuple[IncidentRow, ...]:
        return self._workspace.findings.incidents(open_only)

    def explain(self, decision_id: str) -> Explanation:
        return self._workspace.explain(decision_id)

    def explain_finding(self, which: str) -> FindingReport:
        return self._workspace.findings.explain(which)

    def explain_job(self, job: str) -> JobStory:
        return self._workspace.autopilot.explain_job(job)


class PaperReplays:
    """The loop over its history."""

    def lived(self, policy: str | None) -> PaperLived:
        self._workspace.calls.append(("lived", str(policy)))
        return PaperLived(self._workspace)

    def __init__(self, workspace: "PaperWorkspace") -> None:
        self._workspace = workspace

    def live(self, wanted: Wanted, say: Say) -> ReplayReport:
        self._workspace.calls.append(("replay", *map(str, wanted)))
        return replayed(0.72, 2)

    def compare(self, wanted: Wanted, names: tuple[str, ...], jobs: int | None, say: Say) -> ComparisonReport:
        self._workspace.calls.append(("compare", *map(str, wanted), *names, str(jobs)))
        sides = [Side(name, NASTY, replayed(0.70 + 0.01 * at, at)) for at, name in enumerate(names)]
        failed = () if self._workspace.healthy else (FailedPolicy(name="broken", words=NASTY),)
        return compare(sides, Prices(1.0, 0.05) if self._workspace.healthy else None, 12.0, failed)


class PaperPeople:
    """Who has a token by name."""

    def __init__(self, workspace: "PaperWorkspace") -> None:
        self._workspace = workspace

    def rows(self) -> tuple[TokenReport, ...]:
        return (
            (TokenReport(name="anna", role="approver", file=".flyball/token.approver.anna"),) if not self._workspace.fresh else ()
        )

    def add(self, name: str, role: str, actor: str) -> TokenReport:
        self._workspace.calls.append(("token add", name, role, actor))
        return TokenReport(name=name, role=role, file=f".flyball/token.{role}.{name}")

    def remove(self, name: str, actor: str) -> tuple[TokenReport, ...]:
        self._workspace.calls.append(("token remove", name, actor))
        return (TokenReport(name=name, role="approver", file=""), TokenReport(name=name, role="owner", file=""))


class PaperWorkspace:
    """Answers like the real one. `calls` lists what was ordered; `outcome` is how a run ends; `fresh`: nothing is released yet."""

    def __init__(self, *, outcome: Outcome = Outcome.PASS, fresh: bool = False, healthy: bool = True) -> None:
        self.outcome, self.fresh, self.healthy = outcome, fresh, healthy
        self.calls: list[tuple[str, ...]] = []
        self.clock = SimulatedClock(NOW)
        self.sessions = EndedSessions(None)
        self.captured = PaperCaptured(self)
        self.findings = PaperFindings(self)
        self.releases = PaperReleases(self)
        self.autopilot = PaperAutopilot(self)
        self.replays = PaperReplays(self)
        self.people = PaperPeople(self)

    def tokens(self) -> Mapping[str, Holder]:
        roles = (Role.OWNER, Role.CLIENT, Role.VIEWER, Role.APPROVER)
        return {**{f"{role}-token": Holder(role) for role in roles}, "annas-token": Holder(Role.APPROVER, "anna")}

    def run(self, say: Say, actor: str) -> RunReport:
        say("step", "train: 1,500 rows")
        registered = self.outcome is Outcome.PASS
        job = Job(
            id="j-0001", model="shop", status=JobStatus.REGISTERED if registered else JobStatus.REFUSED,
            requested_at=NOW, as_of=NOW, cause="user:me",
        )  # fmt: skip
        steps = (
            StepResult(step="snapshot", key="k", values={"rows": 2000, "digest": "ab" * 32}, seconds=0.2),
            StepResult(step="train", key="k", values={"rows": 1500, "nested": {"not": "shown"}, "loss": 0.123456}, seconds=1.5),
        )
        words = "Version 1 is registered." if registered else "Refused: a gate did not pass."
        return RunReport(
            job=job,
            steps=steps,
            verdicts=VERDICTS,
            outcome=self.outcome,
            version=1 if registered else None,
            new=True,
            words=words,
        )

    def up(self, detach: bool, say: Say, ready: Callable[[UpReport], None]) -> None:
        self.calls.append(("up", str(detach)))
        row = {} if self.fresh else {"category": "shoes", "price": 79.9, "customer's rate": None}
        report = UpReport(
            gateway_url="http://127.0.0.1:8400", control_url="http://127.0.0.1:8401", pid=4711, token_file=".flyball/token",
            model="shop", example_row=row,
        )  # fmt: skip

        ready(report)

    def down(self) -> bool:
        return self.healthy

    def status(self) -> StatusReport:
        if self.fresh:
            return StatusReport(
                project="shop", model="shop", at=NOW, controller_alive=False, champion_unit=None, champion_version=None, champion_since=None,
                release=None, gateways=(), windows=(), findings=(), approvals=(), jobs=(), ledger_seq=0, ledger_hash="0" * 64, capture_lost=0,
            )  # fmt: skip
        window = WindowSummary(
            model="shop", unit="u1", start=NOW - timedelta(days=1), end=NOW, predictions=1200, labels=800, mature=True,
            metrics={"roc_auc": AREA}, drift={"price": 0.31, NASTY: 0.1},
        )  # fmt: skip
        waiting = WindowSummary(
            model="shop", unit="u1", start=NOW, end=NOW + timedelta(days=1), predictions=900, labels=0, mature=False,
            estimates={"roc_auc": AREA}, drift={"price": 0.11},
        )  # fmt: skip
        void = WindowSummary(
            model="shop", unit="u1", start=NOW, end=NOW + timedelta(days=2), predictions=900, labels=0, mature=False,
            estimates={"roc_auc": Evidence(name="roc_auc", value=None, note=NASTY)}, void=NASTY,
        )  # fmt: skip
        return StatusReport(
            project="shop", model="shop", at=NOW, controller_alive=True, champion_unit="u1", champion_version=1, champion_since=NOW,
            release=RELEASED, gateways=(GatewayRow(worker="0", pid=1, revision=3, units=("u1", "u2"), verified=True),),
            windows=(window, waiting, void), diagnoses=(DIAGNOSIS,), findings=(FINDING,), approvals=(APPROVAL,),
            jobs=(self.run(lambda _style, _words: None, "user:me").job,),
            ledger_seq=42, ledger_hash="c" * 64, capture_lost=3,
            breaker=Breaker(opened_at=NOW, decision="d-000012", actions=("retrain",), words=NASTY),
            autonomy={"retrain": "propose", "roll_back": "act"},
        )  # fmt: skip

    def versions(self) -> tuple[VersionRow, ...]:
        if self.fresh:
            return ()
        row = VersionRow(
            number=1, role="champion", unit="u1", format="onnx", created_at=NOW, metrics={"roc_auc": 0.8431}, snapshot_rows=2000,
            snapshot_until=NOW, git_commit="1234567890abcdef", git_dirty=True, manifest_digest="d" * 64,
            parameters={"C": 0.31}, job="j-0001",
        )  # fmt: skip
        return (row,)

    def decisions(self, open_only: bool, newest: int | None = None) -> tuple[DecisionRow, ...]:
        assert newest is None or newest >= 2
        rows = (
            DecisionRow(id="d-000011", at=NOW, room="gates", rule="gates", actions=("register model:shop",), rationale="passed", outcome="pass", open=False),
            DecisionRow(id="d-000012", at=NOW, room="autopilot", rule="retrain-when-worse", actions=("ask model:shop",), rationale=NASTY, outcome="", open=True),
        )  # fmt: skip
        return tuple(row for row in rows if row.open or not open_only)

    def explain(self, decision_id: str) -> Explanation:
        if decision_id != DECISION.id:
            raise NotFound(f"there is no decision {decision_id!r}", next_step="flyball decisions")
        return Explanation(
            decision=DECISION,
            verdicts=VERDICTS,
            rationale=NASTY,
            replayed_equal=self.healthy,
            approval=APPROVAL,
            afterwards=("Asked.",),
        )

    def rollback(self, reason: str, actor: str) -> CommandReport:
        self.calls.append(("rollback", reason, actor))
        if self.fresh:
            raise Conflict("there is no champion", expected="a champion to go back from")
        return CommandReport(
            accepted=True, subject="release:r-0002", words="Going back to version 1.", next_step="flyball status"
        )

    def approve(self, decision_id: str, actor: str, reason: str, digest: str = "") -> CommandReport:
        self.calls.append(("approve", decision_id, actor, reason, *([digest] if digest else [])))
        return CommandReport(accepted=True, subject=f"decision:{decision_id}", words="Approved.")

    def refuse(self, decision_id: str, actor: str, reason: str, digest: str = "") -> CommandReport:
        self.calls.append(("refuse", decision_id, actor, reason, *([digest] if digest else [])))
        return CommandReport(accepted=True, subject=f"decision:{decision_id}", words="Refused.")

    def verify(self) -> VerifyReport:
        faults = () if self.healthy else ("removed: entry 7 is missing",)
        return VerifyReport(
            events=42, ledger_faults=faults, artifacts=1, artifact_faults=(), decisions_replayed=12, decisions_equal=12, decisions_unequal=(), ok=self.healthy
        )  # fmt: skip

    def doctor(self) -> tuple[Check, ...]:
        return (
            Check(name="python", ok=True, words="3.11"),
            Check(name="port", ok=self.healthy, words="8400", next_step="free it"),
        )
