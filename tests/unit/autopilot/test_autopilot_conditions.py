from flyball.autopilot.conditions import compile_condition


def test_a_division_by_what_became_zero_cannot_be_told_and_ends_no_tick():
    condition = compile_condition("10 / (drift.features - 3) > 0")  # with the numbers that a condition is tried on it can
    assert [condition.holds({"drift.features": n}) for n in (2, 3, 4)] == [False, None, True]


def test_a_condition_is_checked_and_compiled_once():
    assert compile_condition("drift.alarm && drift.features > 1") is compile_condition("drift.alarm && drift.features > 1")
