"""Stepping down to a cheaper model: which step decides, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnillm.errors import ConfigurationError
from omnillm.policy.downgrade import Downgrade, ModelRouter

STEPS = (Downgrade(0.5, {"big": "mid", "wide": "mid"}), Downgrade(0.2, {"big": "small"}), Downgrade(1, {"rare": "mid"}))


@pytest.mark.parametrize(
    ("asked", "left", "model"),
    [
        ("big", 1.0, "big"),
        ("big", 0.5, "big"),
        ("big", 0.499, "mid"),
        ("big", 0.2, "mid"),
        ("big", 0.199, "small"),
        ("big", 0.0, "small"),
        ("wide", 0.1, "mid"),  # the lowest step does not know it
        ("mid", 0.0, "mid"),  # steps do not add up
        ("rare", 1.0, "rare"),
        ("rare", 0.999, "mid"),
        ("other", 0.0, "other"),
    ],
)
def test_the_lowest_step_that_applies_decides(asked: str, left: float, model: str) -> None:
    """A step takes effect below its threshold, and of several the lowest that maps the model."""
    assert ModelRouter(STEPS).model(asked, left) == model
    assert ModelRouter(reversed(STEPS)).model(asked, left) == model


def test_models_that_no_step_maps_are_known() -> None:
    """Only for a model with a stand-in need anybody look at a budget."""
    router = ModelRouter(STEPS)
    assert [router.maps(model) for model in ("big", "wide", "rare", "mid", "")] == [True, True, True, False, False]


@given(st.lists(st.tuples(st.floats(0.01, 1), st.sampled_from("abc"), st.sampled_from("xyz")), max_size=6), st.floats(0, 1))
def test_less_left_never_means_a_higher_step(steps: list[tuple[float, str, str]], left: float) -> None:
    """The step that decides is the lowest above what is left; where none is, the model stays."""
    router = ModelRouter(Downgrade(below, {asked: instead}) for below, asked, instead in steps)
    for asked in "abc":
        above = [(below, instead) for below, model, instead in steps if model == asked and left < below]
        lowest = min((below for below, _ in above), default=None)
        assert router.model(asked, left) in ([instead for below, instead in above if below == lowest] or [asked])


@pytest.mark.parametrize("below", [0, -0.1, 1.01, math.nan, math.inf, True, "0.2", None])
def test_a_threshold_is_a_fraction(below: Any) -> None:
    """What is no fraction of a limit is refused by name."""
    with pytest.raises(ConfigurationError) as caught:
        Downgrade(below, {"a": "b"})
    assert caught.value.field == "below"


@pytest.mark.parametrize("model_map", [{}, None, "a", {"a": ""}, {"": "a"}, {"a": 1}, {1: "a"}])
def test_a_map_names_models(model_map: Any) -> None:
    """A map without models, or with what is no name of one, is refused by name."""
    with pytest.raises(ConfigurationError) as caught:
        Downgrade(0.2, model_map)
    assert caught.value.field == "model_map"


def test_the_map_is_the_steps_own() -> None:
    """Changing the dictionary that was given changes nothing."""
    given_map = {"a": "b"}
    step = Downgrade(0.2, given_map)
    given_map["a"] = "c"
    assert step.model_map == {"a": "b"}
