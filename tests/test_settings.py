"""Settings: names, types and ranges; sources: what a digest sees and what it does not."""

from __future__ import annotations

import pytest

from labkit import sources
from labkit.errors import LabError, UnknownNameError
from labkit.methods.registry import METHODS, create_method, method_class
from labkit.settings import describe, with_settings
from labkit.training.recipe import Recipe


def test_text_becomes_the_fields_type():
    recipe = with_settings(
        Recipe(), {"steps": "20", "learning_rate": "1e-3", "crop": "64x128", "scale": "0.5,2", "precision": "32-true"}
    )
    assert (recipe.steps, recipe.learning_rate, recipe.crop, recipe.scale) == (20, 1e-3, (64, 128), (0.5, 2.0))
    assert with_settings(recipe, {"crop": "none"}).crop is None
    assert describe(recipe)["crop"] == [64, 128]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stepz": 3}, "unknown setting 'stepz'; known: .*steps"),
        ({"steps": "many"}, "steps='many' is not of type int"),
        ({"steps": 2.5}, "steps=2.5 is not of type int"),
        ({"steps": 0}, "steps=0 is outside its range 1 … ∞"),
        ({"jitter": 1.5}, "jitter=1.5 is outside its range 0 … 1"),
        ({"learning_rate": "nan"}, "outside its range"),
        ({"learning_rate": -1}, "outside its range 0 … ∞"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_there_is(change, message):
    with pytest.raises(LabError, match=message):
        with_settings(Recipe(), change)


def test_methods_check_their_hyperparameters():
    assert create_method("source-only", beta="0.1").beta == 0.1
    with pytest.raises(UnknownNameError, match="known: beta, dice, gamma"):
        create_method("source-only", gama=2)
    with pytest.raises(LabError, match="beta=-1"):
        create_method("oracle", beta=-1)
    with pytest.raises(UnknownNameError, match=r"known: .*oracle, shannon, source-only"):
        create_method("magic")


@pytest.mark.parametrize("name", METHODS)
def test_a_method_says_what_it_is(name):
    cls = method_class(name)
    assert cls.name == name and cls.batch_norm and cls.__doc__


ORIGINAL = '''
"""Module."""
import labkit.labels  # a comment


def double(x):
    """Twice x # not a comment."""
    # why
    text = "# neither"
    return 2 * x
'''


def test_essence_ignores_words_and_sees_code():
    reworded = ORIGINAL.replace("Twice x # not a comment", "Another text,\n\n    longer").replace(
        "# why", "#   because"
    )
    assert sources.essence(ORIGINAL) == sources.essence(reworded)
    assert sources.essence(ORIGINAL) != sources.essence(ORIGINAL.replace("2 * x", "3 * x"))
    assert '"# neither"' in sources.essence(ORIGINAL)
    assert "comment" not in sources.essence(ORIGINAL)


def test_closure_follows_imports_and_stops_at_what_does_not_decide_numbers():
    modules = sources.closure(["labkit.training.loop", "labkit.methods.supervised", "labkit.models.bisenet"])
    assert {"labkit.losses.cross_entropy", "labkit.data.transforms", "labkit.training.schedule"} <= set(modules)
    undecided = ("labkit.plots", "labkit.cli", "labkit.lab.", "labkit.progress", "labkit.training.runs")
    assert not [name for name in modules if f"{name}.".startswith(undecided)]
    assert "labkit.losses.cross_entropy" in sources.closure(["labkit.methods.supervised"])
    assert "labkit.losses.cross_entropy" not in sources.closure(["labkit.models.bisenet"])
