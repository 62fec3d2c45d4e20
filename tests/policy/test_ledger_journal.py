"""The ledger and its journal: what is cut short is finished, what is dropped is noticed."""

import gc

import pytest

from omnillm.policy.ledger import Journal, KeyLease, Ledger, Reservation


def reservation(ledger):
    return Reservation(
        ledger.new_id(), pool="p", label="k", model="m", tenant=None, tokens=7, charge=3, admitted_at=0.0, trial=False
    )


class Cut(BaseException):
    """What interrupts."""


@pytest.mark.parametrize("place", range(4))
def test_a_commit_cut_short_is_finished_by_the_replay(place):
    """Wherever a commit is interrupted, replaying it gives what it would have given."""
    journal, facts, cuts = Journal(), {"gone": 1}, [place]

    def change(call, *args):
        def repeatable():
            if cuts and cuts[0] == 0:
                cuts.clear()
                raise Cut
            if cuts:
                cuts[0] -= 1
            call(*args)

        return (repeatable, ())

    changes = [change(facts.__setitem__, "a", 1), change(facts.pop, "gone", None), change(facts.__setitem__, "b", 2)]
    if place < 3:
        with pytest.raises(Cut):
            journal.commit(changes)
    else:
        journal.commit(changes)
    journal.replay()
    assert facts == {"a": 1, "b": 2}
    facts["a"] = 5
    journal.replay()
    assert facts["a"] == 5, "what is done is not done again"


def test_a_dropped_lease_is_queued():
    """A lease that goes, by count or by collection, is queued with its reservation's id; one that is let go first is not."""
    ledger = Ledger()
    first, second, third = (KeyLease(reservation(ledger)) for _ in range(3))
    refs = [ledger.watch(lease) for lease in (first, second, third)]
    del first
    assert [ref.reservation_id for ref in ledger.lost] == ["0"]
    cycle = [second]
    cycle.append(cycle)
    del second, cycle
    gc.collect()
    assert [ref.reservation_id for ref in ledger.lost] == ["0", "1"]
    refs.pop()
    del third
    assert len(ledger.lost) == 2


def test_an_heir_shares_no_id():
    """The ledger of a forked child goes on counting, so that the parent's ids mean nothing in it."""
    ledger = Ledger()
    given = {ledger.new_id() for _ in range(3)}
    heir = ledger.heir()
    assert heir.new_id() not in given
    assert heir.lost is not ledger.lost
    assert not heir.held


def test_a_lease_shows_its_label_and_tokens():
    """What hooks see of a lease is its label and what it reserved."""
    lease = KeyLease(reservation(Ledger()))
    assert (lease.label, lease.reserved_tokens) == ("k", 7)
    assert repr(lease) == "KeyLease(label='k', reserved_tokens=7)"
