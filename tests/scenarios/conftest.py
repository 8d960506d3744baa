"""What several scenarios of the gateway are played on."""

import pytest
from gateway_rig import Rig


@pytest.fixture
def rig(tmp_path):
    """A state directory of its own; what runs on it is ended with the test."""
    rig = Rig(tmp_path / "state")
    yield rig
    rig.close()
