import pytest

from flyball.errors import DataError
from flyball.pipelines.labels import class_name, order_classes


@pytest.mark.parametrize(("value", "name"), [(True, "true"), (0, "0"), (1.0, "1"), (1.5, "1.5"), ("late", "late")])
def test_a_class_is_written_as_clients_send_it(value: object, name: str) -> None:
    assert class_name(value) == name


@pytest.mark.parametrize(
    ("values", "positive", "classes"),
    [
        ([1, 0], None, ("0", "1")),
        ([True, False], None, ("false", "true")),
        (["yes", "no"], None, ("no", "yes")),
        (["good", "bad"], "bad", ("good", "bad")),
        ([True, False], "True", ("false", "true")),
    ],
)
def test_the_positive_class_is_last(values: list, positive: str | None, classes: tuple) -> None:
    assert order_classes(values, "binary", positive, "label") == classes


def test_many_classes_are_in_order_of_value() -> None:
    assert order_classes([10, 9, 2], "multiclass", None, "label") == ("2", "9", "10")
    assert order_classes([0.5], "regression", None, "label") == ()


@pytest.mark.parametrize(
    ("values", "task", "positive", "words"),
    [
        ([1], "binary", None, "single class \\(1\\)"),
        ([1, 2, 3], "binary", None, "3 classes \\('1', '2', '3'\\).*task: multiclass"),
        (
            [" 1", "1", "0"],
            "binary",
            None,
            "\\(' 1', '0', '1'\\): ' 1' and '1' differ by blanks alone.*Next: take the blanks away",
        ),
        (["a", "b"], "binary", "c", "data.positive is 'c'"),
        (list(range(2000)), "multiclass", None, "2000 classes.*regression"),
    ],
)
def test_labels_that_do_not_fit_the_task_are_refused_in_words(values: list, task: str, positive: str | None, words: str) -> None:
    with pytest.raises(DataError, match=words):
        order_classes(values, task, positive, "label")
