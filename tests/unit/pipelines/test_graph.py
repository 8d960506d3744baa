from flyball.pipelines import graph


def keys(**content: object) -> dict[str, str]:
    made: dict[str, str] = {}
    for step in graph.STEPS:
        made[step.name] = graph.step_key(step.name, made, content.get(step.name, ""))
    return made


def test_the_same_inputs_give_the_same_keys() -> None:
    assert keys() == keys()
    assert graph.run_key(keys()) == graph.run_key(keys())


def test_a_change_renames_its_step_and_all_that_rest_on_it() -> None:
    before, after = keys(), keys(train="another parameter")
    assert [name for name in graph.NAMES if before[name] != after[name]] == ["train", "evaluate", "package"]
    assert graph.run_key(before) != graph.run_key(after)


def test_only_steps_whose_needs_are_done_are_ready() -> None:
    done: list[str] = []
    order = []
    while ready := graph.ready(done):
        order.append(ready)
        done += ready
    assert order == [("snapshot",), ("validate",), ("train",), ("evaluate",), ("package",)]
    assert graph.ready(["evaluate"]) == ("snapshot",)


def test_a_step_directory_bears_its_name_and_key() -> None:
    assert graph.directory_name("train", "ab" * 32) == "train-abababababababab"
