"""Where all places are tried, some of them are not tried once more."""

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """After those of other marks are left out."""
    chosen = [item for item in items if isinstance(item, pytest.Function) and hasattr(item, "callspec")]
    whole = {item.originalname for item in chosen if item.callspec.id == "all"}
    twice = [item for item in chosen if item.callspec.id == "some" and item.originalname in whole]
    if twice:
        config.hook.pytest_deselected(items=twice)
        items[:] = [item for item in items if item not in twice]
