"""Whose models are given back, and how often."""

import asyncio
import threading

import pytest
from gateway_rig import SIGNATURE, Rig, onnx_model, package, table

from flyball.errors import FlyballError
from flyball.gateway.capture_writer import NoCapture
from flyball.gateway.keepers import Keepers
from flyball.gateway.metrics import Metrics
from flyball.gateway.runtimes.contract import CodeLimits
from flyball.gateway.tables import NO_TABLE, Tables
from flyball.gateway.units import Shelf
from flyball.records.unit import Format


def test_a_table_that_is_held_again_after_its_end_gives_its_models_back_only_once(tmp_path):
    rig = Rig(tmp_path)
    unit = package(tmp_path / "v1", Format.ONNX, onnx_model()[0], SIGNATURE)

    async def run():
        keepers = Keepers(tmp_path / "capture.key", bytes)
        tables = Tables(tmp_path / "routing.json", Shelf(CodeLimits()), 10, lambda _: None, keepers)
        rig.publish(table(1, unit))
        await tables.reload()
        first = tables.live
        rig.publish(table(2, unit, salt="next"))
        await tables.reload()
        tables.hold(first)
        tables.release(first)
        rig.publish(table(2, unit, salt="next"))
        await tables.reload()  # whatever was to be freed is freed in the same thread before
        model = tables.live.routes["shop"].champion.model
        assert model.users == 1
        assert model.pool.submit(len, "ok").result() == 2
        tables.close()

    asyncio.run(run())


class SlowShelf(Shelf):
    """Loads as the other does, once it is let; remembers which models nobody uses any more."""

    def __init__(self) -> None:
        super().__init__(CodeLimits())
        self.may = threading.Event()
        self.closed = []

    def take(self, served):
        self.may.wait(30)
        return super().take(served)

    def give_back(self, served):
        close = super().give_back(served)
        self.closed += [served.unit.id] if close is not None else []
        return close


def test_a_table_that_is_being_loaded_is_told_of_as_that(tmp_path):
    rig = Rig(tmp_path)
    unit = package(tmp_path / "v1", Format.ONNX, onnx_model()[0], SIGNATURE)

    async def run():
        shelf = SlowShelf()
        tables = Tables(tmp_path / "routing.json", shelf, 10, lambda _: None, Keepers(tmp_path / "capture.key", bytes))
        assert (tables.loading, tables.error) == (None, NO_TABLE)
        with pytest.raises(FlyballError, match=NO_TABLE):
            await tables.reload()
        rig.publish(table(7, unit))
        taking = asyncio.create_task(tables.reload())
        while tables.loading is None:
            await asyncio.sleep(0.01)
        assert (tables.loading, tables.error, tables.live) == (7, "", None)
        shelf.may.set()
        await taking
        assert (tables.loading, tables.error, tables.live.revision) == (None, "", 7)
        tables.close()

    asyncio.run(run())


def test_a_challenger_that_is_taken_back_while_it_is_loaded_never_answers(tmp_path):
    rig = Rig(tmp_path)
    units = [package(tmp_path / f"v{n}", Format.ONNX, onnx_model(n)[0], SIGNATURE, version=n) for n in (1, 2)]
    swapped = []

    async def run():
        shelf = SlowShelf()
        shelf.may.set()
        keepers = Keepers(tmp_path / "capture.key", bytes)
        tables = Tables(tmp_path / "routing.json", shelf, 10, lambda live: swapped.append(live.revision), keepers)
        rig.publish(table(1, units[0]))
        await tables.reload()
        shelf.may.clear()
        rig.publish(table(2, units[0], canary=units[1], canary_weight=0.5))
        taking = asyncio.create_task(tables.reload())
        while tables.loading is None:
            await asyncio.sleep(0.01)
        rig.publish(table(3, units[0], salt="alone again"))
        shelf.may.set()
        await taking
        assert swapped == [1, 3]
        tables.close()
        assert shelf.closed == [units[1].unit.id, units[0].unit.id]

    asyncio.run(run())


def test_the_next_table_waits_for_no_call_of_a_model_that_has_left(tmp_path):
    rig = Rig(tmp_path)
    units = [package(tmp_path / f"v{n}", Format.ONNX, onnx_model(n)[0], SIGNATURE, version=n) for n in (1, 2)]
    hangs = threading.Event()

    async def run():
        tables = Tables(
            tmp_path / "routing.json", Shelf(CodeLimits()), 10, lambda _: None, Keepers(tmp_path / "capture.key", bytes)
        )
        rig.publish(table(1, units[0], canary=units[1], canary_weight=0.5))
        await tables.reload()
        leaving = tables.live.routes["shop"].canary.model
        called = leaving.pool.submit(hangs.wait, 30)
        rig.publish(table(2, units[0]))
        await tables.reload()
        rig.publish(table(3, units[0], salt="next"))
        await asyncio.wait_for(tables.reload(), 5)
        assert (tables.live.revision, called.done()) == (3, False)
        hangs.set()
        tables.close()
        assert called.result()
        with pytest.raises(RuntimeError, match="after shutdown"):  # it was closed all the same
            leaving.pool.submit(len, "no")

    asyncio.run(run())


def test_a_refused_table_counts_once_however_often_it_is_tried_and_one_that_is_not_there_yet_never(tmp_path):
    rig = Rig(tmp_path)
    unit = package(tmp_path / "v1", Format.ONNX, onnx_model()[0], SIGNATURE)
    broken = package(tmp_path / "v2", Format.CODE, b"not a pickle", SIGNATURE)

    async def run():
        keepers = Keepers(tmp_path / "capture.key", bytes)
        tables = Tables(tmp_path / "routing.json", Shelf(CodeLimits()), 10, lambda _: None, keepers)
        metrics = Metrics(NoCapture())
        metrics.watch_tables(tables)

        async def told_of(tries, *, taken):
            for _ in range(tries):
                if taken:
                    await tables.reload()
                else:
                    with pytest.raises(FlyballError):
                        await tables.reload()
            lines = metrics.exposition().decode().splitlines()
            said = dict(line.split() for line in lines if line.startswith(("flyball_tables_", "flyball_routing_refused")))
            return float(said["flyball_tables_refused_total"]), float(said["flyball_routing_refused"])

        assert await told_of(3, taken=False) == (0, 0)
        (tmp_path / "routing.json").write_text("no table")
        assert await told_of(3, taken=False) == (1, 1)
        rig.publish(table(1, unit))
        assert await told_of(2, taken=True) == (1, 0)
        rig.publish(table(2, broken))
        assert await told_of(3, taken=False) == (2, 1)
        rig.publish(table(3, broken))
        assert await told_of(3, taken=False) == (3, 1)
        rig.publish(table(4, unit))
        assert await told_of(1, taken=True) == (3, 0)
        (tmp_path / "routing.json").unlink()
        assert await told_of(2, taken=False) == (3, 0)
        tables.close()

    asyncio.run(run())
