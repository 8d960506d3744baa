"""A hand-written routing file: short to write, and every fault told at once."""

from pathlib import Path

import pytest

from flyball.errors import SpecError
from flyball.spec.capture import SampleSpec
from flyball.spec.routing_file import keys, parse_routing

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "routing.md"


def faults(text: str) -> list[str]:
    with pytest.raises(SpecError) as refused:
        parse_routing(text, name="routing.yaml")
    return [str(fault) for fault in refused.value.faults]


def test_a_directory_alone_is_a_package() -> None:
    spec, lines = parse_routing("models:\n  shop: {champion: p/3, shadow: [p/4], fallback: p/2}\n", name="routing.yaml")
    shop = spec.models["shop"]
    assert (shop.champion.package, shop.shadow[0].package, shop.fallback and shop.fallback.package) == ("p/3", "p/4", "p/2")
    assert shop.champion.threshold is None
    assert lines["models", "shop", "champion"] == 2


def test_shares_are_written_as_people_write_them() -> None:
    text = (
        "models:\n  shop:\n    champion: p/3\n    canary: {package: p/4, weight: 5%}\n    arms: [{package: p/5, weight: 0.25}]\n"
    )
    shop = parse_routing(text, name="routing.yaml")[0].models["shop"]
    assert shop.canary is not None
    assert (shop.canary.weight, shop.arms[0].weight) == (0.05, 0.25)


def test_every_fault_is_told_with_its_line() -> None:
    told = faults(
        "models:\n  Shop: {champion: 3}\n  b:\n    champion: {package: p, threshold: 2}\n    canery: {package: q}\n"
        "    canary: {package: q, wieght: 3}\n"
    )
    assert [fault.partition(":")[0] for fault in told] == [
        "models.Shop",
        "models.Shop.champion",
        "models.b.champion.threshold",
        "models.b.canary.weight",
        "models.b.canary.wieght",
        "models.b.canery",
    ]
    assert "did you mean shop?" in told[0]
    assert "(line 5)" in told[5]
    assert "did you mean canary?" in told[5]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "(whole file): found nothing"),
        ("models: {}", "models: found a section with nothing in it"),
        ("models: [a]", "models: found a list of 1"),
        ("models: {a: {}}", "models.a.champion: found nothing"),
        ("models: {a: {champion: p, shadow: q}}", "models.a.shadow: found 'q'"),
        ("models: {a: {champion: p, canary: {package: q, weight: 101%}}}", "models.a.canary.weight: found '101%'"),
        ("models: {a: {champion: ''}}", "models.a.champion.package: found ''"),
        ('models: {a: {champion: "p\\0"}}', "models.a.champion.package: found 'p\\x00'"),
        ("models: {a: !!python/object:os.system {}}", "models.a: found the tag"),
        (
            "models: {a: {champion: p, capture: drop}}",
            "models.a.capture: found 'drop' (line 1), expected a section with fields and keys, or",
        ),
        (
            "models:\n  a:\n    champion: p\n    capture:\n",
            "models.a.capture: found nothing (line 4), expected a section with fields and keys, or",
        ),
        (
            "models: {a: {champion: p}}\ncapture:\n",
            "capture: found nothing (line 2), expected a section with fields and keys, or",
        ),
        (
            "models: {a: {champion: p, capture: {fields: }}}",
            "models.a.capture.fields: found nothing (line 1), expected a section",
        ),
        (
            "models: {a: {champion: p, capture: {keys: }}}",
            "models.a.capture.keys: found nothing (line 1), expected keep, hash or drop",
        ),
        ("models: {a: {champion: p, capture: {keys: hidden}}}", "models.a.capture.keys: found 'hidden'"),
        ("models: {a: {champion: p, capture: {feilds: {}}}}", "models.a.capture.feilds: found an unknown key"),
        ("{models: {a: {champion: p}}, capture: {}}", "capture.keep: found nothing (line 1), expected how long segments stay"),
        ("{models: {a: {champion: p}}, capture: {keep: 30}}", "capture.keep: found 30 (line 1), expected a duration such as"),
        ("{models: {a: {champion: p}}, capture: {kepe: 3d}}", "capture.keep: found nothing"),
        ("{models: {a: {champion: p}}, serve: {deadline: 2m}}", "serve.deadline: found '2m' (line 1), expected a duration from"),
        (
            "{models: {a: {champion: p}}, serve: {memory_mb: 8GB}}",
            "serve.memory_mb: found '8GB' (line 1), expected a whole number",
        ),
        (
            "{models: {a: {champion: p}}, serve: {port: 1}}",
            "serve.port: found an unknown key (line 1), expected one of max_body_mb",
        ),
        ("models: {a: {champion: p}}\nserve:\n", "serve: found nothing (line 2), expected a section"),
        ("a: [", "(whole file): found text that is not YAML"),
    ],
)
def test_a_wrong_file_is_a_fault_at_its_place(text: str, said: str) -> None:
    assert faults(text)[0].startswith(said)


def test_arms_cannot_be_given_more_than_there_is() -> None:
    assert "they are 1.1" in faults("models: {a: {champion: p, arms: [{package: q, weight: 60%}, {package: r, weight: 50%}]}}")[0]


def test_rules_of_capture_are_written_as_in_a_project() -> None:
    text = "models: {a: {champion: p, capture: {fields: {b: drop, c: {sample: 10%}, d: keep}, keys: hash}}}"
    capture = parse_routing(text, name="routing.yaml")[0].models["a"].capture
    assert capture is not None
    assert (capture.fields, capture.keys) == ({"b": "drop", "c": SampleSpec(sample=0.1), "d": "keep"}, "hash")


@pytest.mark.parametrize(
    "rule", ["hsah", "true", "[drop]", "{sample: 0}", "{sample: 110%}", "{sample: 10%, more: 1}", "{smaple: 10%}", "0.1"]
)
def test_a_rule_that_there_is_not_is_one_fault(rule: str) -> None:
    (fault,) = faults(f"models: {{a: {{champion: p, capture: {{fields: {{b: {rule}}}}}}}}}")
    assert fault.startswith("models.a.capture.fields.b: found ")
    assert "expected keep, hash, drop or {sample: 10%}" in fault


@pytest.mark.parametrize("key", keys())
def test_every_key_is_in_the_reference(key: str) -> None:
    assert f"`{key}`" in REFERENCE.read_text(encoding="utf-8")
