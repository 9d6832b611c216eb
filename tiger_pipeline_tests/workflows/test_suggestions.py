from tiger_pipeline.workflows.suggestions import did_you_mean


def test_near_names_are_suggested():
    assert did_you_mean("buty", ["beauty", "demo"]) == " Did you mean 'beauty'?"
    assert did_you_mean("b1", ["b12", "b13", "xyz"]).count("'") == 4


def test_without_near_names_nothing_is_said():
    assert did_you_mean("xyz", ["beauty", "demo"]) == ""
