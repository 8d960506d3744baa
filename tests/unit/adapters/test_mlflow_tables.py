"""What is read from MLflow's tables is what MLflow says of them."""

import sqlite3
from contextlib import closing
from pathlib import Path

from flyball.adapters.mlflow_tables import tagged_versions
from flyball.adapters.quiet_mlflow import quiet


def test_the_tables_say_what_mlflow_says_and_others_are_left_to_it(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    assert tagged_versions(database, "shop") is None
    assert not database.exists(), "who only looks makes none"
    with quiet():
        from mlflow.tracking import MlflowClient

        uri = f"sqlite:///{database}"
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        for name in ("shop", "other"):
            client.create_registered_model(name)
            for number in range(3):
                client.create_model_version(
                    name, source="file:///nowhere", tags={"flyball.lineage": f"{name} {number}", "by": "hand"}
                )
        client.delete_model_version("shop", "2")
        client.delete_model_version_tag("shop", "3", "by")
        told = {int(each.version): each.tags for each in client.search_model_versions("name='shop'")}
        found = tagged_versions(database, "shop")
        assert found is not None
        assert {each.version: each.tags for each in found} == told == {
            1: {"flyball.lineage": "shop 0", "by": "hand"}, 3: {"flyball.lineage": "shop 2"},
        }  # fmt: skip
        assert tagged_versions(database, "nobody") == ()
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'of another MLflow'")
    assert tagged_versions(database, "shop") is None
    database.write_bytes(b"no database" * 1000)
    assert tagged_versions(database, "shop") is None
