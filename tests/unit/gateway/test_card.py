"""The file by which a worker is found."""

import os

import msgspec

from flyball.gateway.card import Card
from flyball.machine.birth import Birth, birth_of, runs


def test_a_card_tells_which_process_wrote_it_and_not_only_its_number(tmp_path):
    Card(tmp_path, "0", 5).tell({"port": 1, "admin_port": 2})
    told = msgspec.json.decode((tmp_path / "gateways" / "0.json").read_bytes())
    assert (told["pid"], told["port"], told["admin_port"], told["started"]) == (os.getpid(), 1, 2, 5)
    assert msgspec.convert(told, Birth) == birth_of(os.getpid())
    assert runs(told["pid"], msgspec.convert(told, Birth))
