"""Set aside: which model is kept from which key, and for how long that is remembered."""

import math

import pytest

from omnillm.policy.aside import PAIRS_KEPT, Aside


def test_a_pair_is_set_aside_and_taken_back():
    """A key is set aside for one model until then, never for less than before, and for none once it is taken back."""
    first = Aside().adding("m", "k", 50.0, 0.0)
    both = first.adding("m", "k", 20.0, 0.0).adding("m", "l", math.inf, 0.0).adding("n", "k", 9.0, 0.0)
    assert (first.of("m"), first.of("n"), first.of(None)) == ({"k": 50.0}, {}, {})
    assert (both.of("m"), both.of("n"), len(both)) == ({"k": 50.0, "l": math.inf}, {"k": 9.0}, 3)
    taken = both.without("k")
    assert (taken.of("m"), taken.of("n"), len(taken)) == ({"l": math.inf}, {}, 1)


def test_what_has_expired_is_forgotten():
    """The next change forgets what is over, and the models nothing is left of."""
    aside = Aside().adding("old", "k", 5.0, 0.0).adding("m", "k", 5.0, 0.0).adding("m", "l", math.inf, 6.0)
    assert (aside.of("m"), len(aside)) == ({"l": math.inf}, 1)


@pytest.mark.parametrize("pair", [lambda n: (f"m{n}", "k"), lambda n: ("m", f"k{n}"), lambda n: (f"m{n % 7}", f"k{n}")])
def test_the_newest_pairs_are_kept(pair):
    """However many pairs come, a bounded number stays, and the newest is among them."""
    aside, many = Aside(), PAIRS_KEPT + 30
    full = Aside({f"f{n}": {"k": math.inf} for n in range(PAIRS_KEPT - 50)})
    for n in range(many - PAIRS_KEPT + 100):
        aside = full = full.adding(*pair(n), math.inf, 0.0)
        assert len(aside) <= PAIRS_KEPT
        model, label = pair(n)
        assert label in aside.of(model)
