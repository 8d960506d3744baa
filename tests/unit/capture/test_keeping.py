"""What is declared as not to be kept is in no byte of what is framed."""

import hashlib
import hmac

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.capture.framing import frame, unframe
from flyball.capture.keeping import KEY_BYTES, Keeper
from flyball.records.captured import Captured, FailureBatch, PredictionBatch
from flyball.records.keeping import Keeping

KEY = bytes(range(KEY_BYTES))
RULES = Keeping(drop=("email",), hash=("customer", "age"), sample={"note": 0.3}, keys="hash")


def batch(ids: list[str], **columns: list[object]) -> PredictionBatch:
    return PredictionBatch(
        at_us=1, model="m", unit="u1", role="champion", revision=3, ids=ids, keys=[f"k-{each}" for each in ids], columns=columns,
        scores=[[0.5]] * len(ids), latency_us=7,
    )  # fmt: skip


def stored(record: Captured) -> bytes:
    return frame(msgspec.msgpack.encode(record))


secrets = st.text(st.characters(codec="utf-8"), max_size=40).map(lambda text: f"secret<{text}>")


@settings(max_examples=150)
@given(st.lists(st.tuples(secrets, secrets, secrets), min_size=1, max_size=8), st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES))
def test_no_byte_of_a_dropped_or_hashed_value_is_stored(people: list[tuple[str, str, str]], key: bytes) -> None:
    emails, customers, keys = (list(column) for column in zip(*people, strict=True))
    given_ = batch([f"p{n}" for n in range(len(people))], email=emails, customer=customers, price=[1.5] * len(people))
    keeper = Keeper(RULES, key)
    bare = stored(msgspec.structs.replace(given_, keys=keys))
    assert all(text.encode() in bare for text in (*emails, *customers, *keys)), "the test would notice"
    data = stored(keeper.prediction(msgspec.structs.replace(given_, keys=keys)))
    data += stored(keeper.failure(failure(f"the model raised KeyError: {emails[0]}")))
    for text in (*emails, *customers, *keys):
        assert text.encode() not in data
    assert b"secret" not in data
    assert key not in data


def failure(reason: str) -> FailureBatch:
    return FailureBatch(at_us=1, model="m", unit="u1", role="canary", n=1, reason=reason, answered_by=None)


def test_what_has_no_rule_is_kept_as_it_was_and_the_rest_is_told_apart_from_missing() -> None:
    kept = Keeper(RULES, KEY).prediction(
        batch(["a", "b"], price=[1.5, None], email=["x@y", None], customer=["c1", ""], age=[41.0, None], note=["n1", "n2"])
    )
    again = msgspec.msgpack.decode(unframe(stored(kept)).payloads[0], type=Captured)
    assert again == kept
    assert kept.columns == {"price": [1.5, None]}
    assert list(kept.hashed) == ["customer", "age"]
    assert kept.hashed["customer"][1] is kept.hashed["age"][1] is None
    assert len(kept.sampled["note"].rows) == len(kept.sampled["note"].values)
    assert (kept.ids, kept.scores, kept.role) == (["a", "b"], [[0.5], [0.5]], "champion")


def test_a_hash_is_the_hmac_of_the_column_and_the_value() -> None:
    kept = Keeper(RULES, KEY).prediction(batch(["a", "b"], customer=["c1", "c1"], age=[41.0, 42.0]))
    wanted = hmac.new(KEY, b"customer\0c1", hashlib.sha256).digest()[:12].hex()
    assert kept.hashed["customer"] == [wanted, wanted]
    assert kept.hashed["age"][0] != kept.hashed["age"][1]
    other = Keeper(RULES, KEY[::-1]).prediction(batch(["a", "b"], customer=["c1", "c1"]))
    assert other.hashed["customer"][0] != wanted


def test_the_same_value_in_two_columns_has_two_hashes() -> None:
    kept = Keeper(Keeping(hash=("a", "b")), KEY).prediction(batch(["p"], a=["same"], b=["same"]))
    assert kept.hashed["a"] != kept.hashed["b"]


def test_the_sample_is_of_the_declared_size_the_same_everywhere_and_nested() -> None:
    ids = [f"{n:024x}" for n in range(20_000)]
    notes: list[object] = [f"note {n}" for n in range(20_000)]

    def sampled(share: float, key: bytes) -> dict[int, object]:
        sample = Keeper(Keeping(sample={"note": share}), key).prediction(batch(ids, note=notes)).sampled["note"]
        assert sample.rows == sorted(sample.rows)
        return dict(zip(sample.rows, sample.values, strict=True))

    tenth = sampled(0.1, KEY)
    assert len(tenth) == pytest.approx(2_000, abs=200)  # 4.7 standard deviations
    assert tenth == sampled(0.1, b"another key")
    assert all(value == f"note {row}" for row, value in tenth.items())
    assert tenth.items() <= sampled(0.5, KEY).items()


@pytest.mark.parametrize(("keys", "wanted"), [("keep", ["k-a"]), ("drop", [""])])
def test_keys_follow_their_own_rule(keys: str, wanted: list[str]) -> None:
    assert Keeper(Keeping(drop=("x",), keys=keys), KEY).prediction(batch(["a"])).keys == wanted  # type: ignore[arg-type]


def test_a_shadow_without_columns_stays_without() -> None:
    kept = Keeper(RULES, KEY).prediction(msgspec.structs.replace(batch(["a"]), role="shadow"))
    assert (kept.columns, kept.hashed, kept.sampled) == ({}, {}, {})
    assert kept.keys[0] != "k-a"


def test_the_words_of_foreign_code_are_kept_where_nothing_is_hidden() -> None:
    told = failure("the model raised ValueError: no thirteens")
    assert Keeper(RULES, KEY).failure(told).reason == "the model raised ValueError"
    assert Keeper(Keeping(), b"").failure(told) == told


def test_a_record_without_rules_is_as_short_as_ever() -> None:
    """Segments written before there were rules are read, and those without rules cost no byte for them."""
    record = batch(["a"], x=[1.0])
    assert b"hashed" not in stored(record)
    assert b"sampled" not in stored(record)
