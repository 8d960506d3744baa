"""Runs, models and versions in MLflow: embedded on SQLite, or a server by URL."""

import os
import posixpath
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import msgspec

from flyball.adapters.durable_directories import make_directory_durably, sync_written
from flyball.adapters.mlflow_home import ARTIFACTS, DEFAULT, lead_home
from flyball.adapters.mlflow_tables import remove_empty, tagged_versions
from flyball.adapters.packages import verify_package
from flyball.adapters.quiet_mlflow import quiet
from flyball.errors import ArtifactDamaged, DataError, FlyballError, NotFound, StoreUnavailable, TrackingFailed
from flyball.records import codec
from flyball.records.unit import Format, Lineage, Manifest, Version

RUN_KEY, MANIFEST, FORMAT, CREATED, LINEAGE, METRICS = (
    f"flyball.{name}" for name in ("run_key", "manifest", "format", "created_at", "lineage", "metrics")
)
UPLOADED = "flyball.uploaded"
"""On a run whose package is there in whole: a kill before it lets the upload begin anew."""

PACKAGE = "package"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_PARAM, _LONGEST_NAME = 6000, 250
"""Characters that MLflow stores of a parameter's value and of its name."""
_ANY_TAG = 5000
"""Characters of a version's tag that are never too many: MLflow takes 100,000, and a server of its own limit hardly fewer than these."""
_REFUSED = re.compile(r"[^/\w.\- :]")
"""In a name."""


class MlflowRegistry:
    """The registry's contract on MLflow 3.17. Nothing is imported or opened before it is used (1.8 s; a new database 2.5 s once).

    Every create is preceded by a search for what an earlier, killed call has made, by the tags `flyball.run_key` and `flyball.manifest`. Calls for the
    same model must not run at the same time: the one engine process of a project holds that.
    """

    def __init__(self, state_dir: Path, *, server_url: str | None = None) -> None:
        """`server_url` None: `mlflow.db` and `mlartifacts/` below `state_dir`."""
        self._state_dir = state_dir.resolve()
        self._server_url = server_url

    def register(
        self, model: str, package: Path, lineage: Lineage, manifest: Manifest, metrics: Mapping[str, float], at: datetime
    ) -> Version:
        digest = codec.digest(manifest)
        with self._translated():
            known = self._made(model, lineage.run_key, digest)
            if known is not None:
                return known
            verify_package(package, digest)
            run = self._run(model, lineage, digest, at)
            full = msgspec.structs.replace(lineage, mlflow_run=run.info.run_id)
            self._fill(run, package, full, metrics)
            self._note_place(run, digest)
            self._make_model(model)
            tags = {
                RUN_KEY: lineage.run_key, MANIFEST: digest, FORMAT: manifest.format.value, CREATED: at.isoformat(),
                LINEAGE: codec.encode(full).decode(), METRICS: codec.encode(dict(metrics)).decode(),
            }  # fmt: skip
            # The tags are written in one transaction with the version: it is never there without them.
            with _accepted(long=len(tags[LINEAGE]) > _ANY_TAG):
                made = self._client.create_model_version(
                    model, source=f"{run.info.artifact_uri}/{PACKAGE}/model", run_id=run.info.run_id, tags=tags
                )
            return _version_of(model, made)

    def versions(self, model: str) -> tuple[Version, ...]:
        known = tagged_versions(self._database, model) if self._server_url is None else None
        if known is not None:
            return _by_number(model, [one for one in known if LINEAGE in one.tags])
        with self._translated():
            return _by_number(model, self._search(model))

    def fetch(self, model: str, number: int, manifest_digest: str | None = None) -> Path:
        known = self._known(manifest_digest) if manifest_digest is not None else None
        if known is not None:
            return known
        with self._translated():
            # Only the one that is asked for is read: of another somebody may have changed a tag.
            found = next((one for one in self._search(model) if int(one.version) == number), None)
            if found is None:
                raise NotFound(f"the model {model!r} has no version {number}")
            version = _version_of(model, found)
            if manifest_digest is not None:  # the ledger's word goes before a tag's
                version = msgspec.structs.replace(version, manifest_digest=manifest_digest)
            package = self._local(version)
        verify_package(package, version.manifest_digest)
        return package

    def mark(self, model: str, number: int, alias: str) -> None:
        with self._translated():
            self._client.set_registered_model_alias(model, alias, str(number))

    @cached_property
    def _client(self) -> Any:
        from mlflow.tracking import MlflowClient

        self._state_dir.mkdir(parents=True, exist_ok=True)
        if self._server_url is None:
            _make_database(self._database)
            lead_home(self._database)
        uri = self._server_url or f"sqlite:///{self._database}"
        return MlflowClient(tracking_uri=uri, registry_uri=uri)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with quiet():
            from mlflow.exceptions import MlflowException
            from requests.exceptions import RequestException
            from sqlalchemy.exc import SQLAlchemyError

            try:
                yield
            except FlyballError:
                raise
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    raise NotFound(_first_line(error)) from error
                raise TrackingFailed(f"MLflow refused: {_first_line(error)}", next_step=self._where) from error
            except RequestException as error:
                raise TrackingFailed(f"MLflow cannot be reached: {type(error).__name__}", next_step=self._where) from error
            except (SQLAlchemyError, OSError) as error:
                raise StoreUnavailable(f"MLflow's store cannot be used: {_first_line(error)}", next_step=self._where) from error

    @property
    def _database(self) -> Path:
        """Of an embedded MLflow."""
        return self._state_dir / "mlflow.db"

    @property
    def _where(self) -> str:
        return f"is the server at {self._server_url} up?" if self._server_url else f"look at {self._database}"

    def _experiment(self, model: str) -> str:
        found = self._client.get_experiment_by_name(model)
        if found is not None:
            return str(found.experiment_id)
        place = None if self._server_url else (self._state_dir / ARTIFACTS).as_uri()
        return str(self._client.create_experiment(model, artifact_location=place))

    def _run(self, model: str, lineage: Lineage, digest: str, at: datetime) -> Any:
        """The run of this key and of these bytes: made by an earlier call, or now."""
        experiment = self._experiment(model)
        wanted = f"tags.`{RUN_KEY}` = '{lineage.run_key}' and tags.`{MANIFEST}` = '{digest}'"
        found = self._client.search_runs([experiment], filter_string=wanted, max_results=1)
        if found:
            return found[0]
        return self._client.create_run(
            experiment,
            start_time=_milliseconds(at),
            run_name=f"{model}-{lineage.run_key[:8]}",
            tags={RUN_KEY: lineage.run_key, MANIFEST: digest},
        )

    def _fill(self, run: Any, package: Path, lineage: Lineage, metrics: Mapping[str, float]) -> None:
        """Metrics, parameters, tags and files. Written again after a kill, to the same effect; not at all once it is complete."""
        from mlflow.entities import Metric, Param, RunTag

        if run.data.tags.get(UPLOADED) == "yes":
            return
        run_id = run.info.run_id
        at = run.info.start_time
        tags = {
            "mlflow.source.git.commit": lineage.git_commit or "", "flyball.git_dirty": str(lineage.git_dirty).lower(),
            "flyball.code": lineage.code_digest, "flyball.environment": lineage.environment_digest, "flyball.seed": str(lineage.seed),
            "flyball.snapshot": f"{lineage.snapshot.table}@{lineage.snapshot.version}", "flyball.content": lineage.snapshot.content_digest,
        }  # fmt: skip
        with _accepted(long=True):
            self._client.log_batch(
                run_id,
                metrics=[Metric(name, value, at, 0) for name, value in metrics.items()],
                params=[Param(name, value) for name, value in _shown(lineage.parameters).items()],
                tags=[RunTag(name, value) for name, value in tags.items() if value],
            )
        self._client.log_artifacts(run_id, str(package), PACKAGE)
        if (stored := _stored(run)) is not None:
            # A store of files leaves them to the kernel, and the ledger is synced: a power cut would leave a version without its bytes. In the project
            # the directories above may be new, too; elsewhere they are somebody's own.
            sync_written(stored, above=4 if stored.is_relative_to(self._state_dir) else 1)
        self._client.set_terminated(run_id, "FINISHED", end_time=at)
        self._client.set_tag(run_id, UPLOADED, "yes")  # last: it says that nothing is left to do

    def _make_model(self, model: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _made(self, model: str, run_key: str, digest: str) -> Version | None:
        """Of this run and of these bytes: another project's ledger may have other bytes of the same run here. The oldest of those that say so: whoever
        may write to MLflow may add another one later."""
        found = [one for one in self._search(model) if (one.tags.get(RUN_KEY), one.tags.get(MANIFEST)) == (run_key, digest)]
        return _version_of(model, min(found, key=lambda one: int(one.version))) if found else None

    def _search(self, model: str) -> list[Any]:
        """Flyball's versions of a model; those that people registered by hand carry no lineage and are theirs."""
        found: list[Any] = []
        token: str | None = None
        while True:
            page = self._client.search_model_versions(f"name='{model}'", max_results=200, page_token=token)
            found += [one for one in page if LINEAGE in one.tags]
            token = page.token
            if not token:
                return found

    def _local(self, version: Version) -> Path:
        """Where the package lies; from a server it is copied once."""
        run = self._client.get_run(version.lineage.mlflow_run)
        package, target = self._note_place(run, version.manifest_digest), self._place(version.manifest_digest)
        if package is not None:
            return package
        if target.is_dir():
            try:
                verify_package(target, version.manifest_digest)
            except (ArtifactDamaged, NotFound):
                shutil.rmtree(target)  # only a copy: fetched anew
        if not target.is_dir():
            make_directory_durably(target, self._download(version))
        return target

    def _note_place(self, run: Any, manifest_digest: str) -> Path | None:
        """Where a run's package lies on this machine, found by its digest from then on: a controller that starts in mid-release does not wait for MLflow,
        which takes a second to be imported. None: on a server."""
        package = _stored(run)
        if package is None:
            return None
        link = self._place(manifest_digest)
        # Within a project by its own ways, so that they hold where it is moved to.
        _link(link, package if self._server_url else Path(os.path.relpath(package, link.parent)))
        return package

    def _known(self, manifest_digest: str) -> Path | None:
        """The package, whole, by what was noted of it. An absolute link was made by an earlier release: in a copy of a project it leads to the original."""
        place = self._place(manifest_digest)
        if self._server_url is None and place.is_symlink() and place.readlink().is_absolute():
            return None
        with suppress(ArtifactDamaged, NotFound, OSError):
            verify_package(place, manifest_digest)
            return place.resolve()
        return None

    def _place(self, manifest_digest: str) -> Path:
        return self._state_dir / "packages" / manifest_digest[:16]

    def _download(self, version: Version) -> Callable[[Path], None]:
        def fill(directory: Path) -> None:
            got = Path(self._client.download_artifacts(version.lineage.mlflow_run, PACKAGE, str(directory)))
            for item in got.iterdir():
                item.rename(directory / item.name)
            got.rmdir()

        return fill


def _stored(run: Any) -> Path | None:
    """Where a run's package lies, if on this machine."""
    place = urlparse(run.info.artifact_uri)
    return Path(unquote(place.path)) / PACKAGE if place.scheme in ("", "file") else None


@contextmanager
def _accepted(*, long: bool) -> Iterator[None]:
    """What MLflow refuses of the parameters it refuses whenever it is asked. `long`: they can be why; it has the same code for what is amiss in its store or
    with its server, which may be mended. Raises DataError."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code != "INVALID_PARAMETER_VALUE" or not long:
            raise
        raise DataError(f"MLflow does not take the version: {_first_line(error)}",
                        next_step="look at train.parameters: names, values, and how much it is in all") from error  # fmt: skip


def _link(place: Path, package: Path) -> None:
    """Aside, and renamed into place. Without it MLflow is asked again."""
    if place.is_symlink() and place.readlink() == package:
        return
    aside = place.with_name(f"{place.name}.new")
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        aside.unlink(missing_ok=True)
        aside.symlink_to(package, target_is_directory=True)
        aside.replace(place)


def _by_number(model: str, found: Iterable[Any]) -> tuple[Version, ...]:
    return tuple(sorted((_version_of(model, one) for one in found), key=lambda version: version.number))


def _version_of(model: str, one: Any) -> Version:
    tags = one.tags
    try:
        return Version(
            model=model, number=int(one.version), manifest_digest=tags[MANIFEST], format=Format(tags[FORMAT]),
            created_at=datetime.fromisoformat(tags[CREATED]), lineage=codec.decode(tags[LINEAGE].encode(), Lineage),
            metrics=codec.decode(tags[METRICS].encode(), dict[str, float]),
        )  # fmt: skip
    except (KeyError, ValueError, msgspec.MsgspecError) as error:
        raise ArtifactDamaged(f"the tags of {model} version {one.version} in MLflow were changed: {error}") from error


def _shown(parameters: Mapping[str, Any]) -> dict[str, str]:
    """As MLflow's table shows them, each under a name that it takes and that no other one has: whole they are in the lineage."""
    shown: dict[str, str] = {}
    for path, value in _flat(parameters):
        name, number = _name(path), 1
        while name in shown:
            number += 1
            name = f"{_name(path)[: _LONGEST_NAME - 8]}_{number}"
        shown[name] = str(value)[:_LONGEST_PARAM]
    return shown


def _flat(parameters: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """`{model: {depth: 3}}` → `model.depth`."""
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _name(path: str) -> str:
    """`class_weight.<=50K` → `class_weight.__50K`. MLflow takes a name for the path of a file, too: it must be the same once it is made plain."""
    name = _REFUSED.sub("_", path)[: _LONGEST_NAME - 1]
    if posixpath.normpath(name) == name and name != "." and not name.startswith(("..", "/")):
        return name
    return "_" + name.replace("/", "_")


def _milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)


def _make_database(path: Path) -> None:
    """Aside, and renamed into place: MLflow makes its tables in many steps, and one that was killed between two of them can never be opened again."""
    remove_empty(path)
    if path.exists():
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    aside = path.with_name(f".{path.name}.new")
    for leftover in path.parent.glob(f"{aside.name}*"):
        leftover.unlink()
    store = SqlAlchemyStore(f"sqlite:///{aside}", (path.parent / DEFAULT).as_uri())
    store.engine.dispose()
    aside.replace(path)


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or [""])[0][:300]
