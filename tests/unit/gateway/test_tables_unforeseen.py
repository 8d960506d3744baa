"""A table that cannot be built in a way that nobody foresaw leaves the one before."""

import asyncio
import secrets
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bench.model import onnx, package

from flyball.errors import ArtifactDamaged
from flyball.gateway.handlers import MAX_ROWS
from flyball.gateway.keepers import Keepers
from flyball.gateway.runtimes.contract import CodeLimits
from flyball.gateway.tables import Tables
from flyball.gateway.units import LoadedModel, Shelf
from flyball.records import codec
from flyball.records.routing import Route, RoutingTable, ServedUnit


class Lacking(Shelf):
    """Of a machine on which a library is not installed that the second version needs."""

    def take(self, served: ServedUnit) -> LoadedModel:
        if served.unit.id == "u00000000000c":
            raise ModuleNotFoundError("no module named 'rare'")
        return super().take(served)


async def tried(directory: Path) -> tuple[int, str]:
    """(the revision that is served, why the second one is not)."""
    units = [package(directory / unit_id, onnx(), unit_id=unit_id) for unit_id in ("u00000000000b", "u00000000000c")]
    path = directory / "routing.json"
    shelf = Lacking(CodeLimits())
    tables = Tables(path, shelf, MAX_ROWS, lambda _: None, Keepers(directory / "capture.key", secrets.token_bytes))
    try:
        for revision, unit in enumerate(units, 1):
            routes = (Route(model="shop", champion=unit),)
            path.write_bytes(
                codec.encode(RoutingTable(revision=revision, written_at=datetime(2026, 1, 1, tzinfo=UTC), routes=routes))
            )
            if revision == 1:
                await tables.reload()
                continue
            with pytest.raises(ArtifactDamaged) as refused:
                await tables.reload()
        assert tables.live is not None
        return tables.live.revision, refused.value.message
    finally:
        tables.close()


def test_a_library_that_is_not_there_is_told_and_the_table_before_is_served(tmp_path: Path) -> None:
    revision, words = asyncio.run(tried(tmp_path))
    assert revision == 1
    assert words.startswith("the routing table of revision 2 cannot be built: ModuleNotFoundError: no module named 'rare'")
