"""Budgets: what is admitted, what is counted, and when a calendar window begins anew."""

import datetime as dt
import math
import os
import signal
import threading
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnillm.errors import ConfigurationError, StateUnavailableError
from omnillm.policy.budget import PICO, Account, Book, BudgetRefusal, BudgetTracker, last_refusal, period_end
from omnillm.policy.ledger import Journal
from omnillm.policy.limits import Budget


def unix(text, zone="UTC"):
    return dt.datetime.fromisoformat(text).replace(tzinfo=zoneinfo.ZoneInfo(zone) if zone != "UTC" else dt.UTC).timestamp()


PERIODS = [
    ("day", "UTC", "2026-11-23T10:00:00", "2026-11-24T00:00:00"),
    ("day", "UTC", "2026-11-24T00:00:00", "2026-11-25T00:00:00"),
    ("month", "UTC", "2026-12-31T23:59:59", "2027-01-01T00:00:00"),
    ("month", "UTC", "2028-02-29T00:00:00", "2028-03-01T00:00:00"),
    ("day", "Europe/Berlin", "2026-10-25T01:00:00", "2026-10-26T00:00:00"),  # 25 hours long
    ("day", "America/New_York", "2026-03-08T01:00:00", "2026-03-09T00:00:00"),  # 23 hours long
    ("month", "Asia/Tokyo", "2026-01-31T23:00:00", "2026-02-01T00:00:00"),
]


@pytest.mark.parametrize(("window", "zone", "moment", "end"), PERIODS)
def test_a_period_ends_at_local_midnight(window, zone, moment, end):
    """A day or month ends at midnight of its time zone, however long it is."""
    where = dt.UTC if zone == "UTC" else zoneinfo.ZoneInfo(zone)
    assert period_end(window, where, unix(moment, zone)) == unix(end, zone)


# In UTC, for these days' midnights cannot be told by local time alone.
CHANGES = [
    ("day", "America/Sao_Paulo", "2018-11-03T12:00:00", "2018-11-04T03:00:00"),  # the next day begins at one o'clock
    ("day", "America/Sao_Paulo", "2018-11-04T03:00:00", "2018-11-05T02:00:00"),  # and has 23 hours
    ("day", "America/Sao_Paulo", "2018-02-18T01:30:00", "2018-02-18T03:00:00"),  # the hour before midnight, for the first time
    ("day", "America/Sao_Paulo", "2018-02-18T02:30:00", "2018-02-18T03:00:00"),  # and again
    ("day", "America/Havana", "2026-10-31T12:00:00", "2026-11-01T04:00:00"),  # midnight comes twice: the first one counts
    ("day", "America/Havana", "2026-11-01T05:30:00", "2026-11-02T05:00:00"),
    ("month", "America/Havana", "2026-10-31T12:00:00", "2026-11-01T04:00:00"),
    ("day", "Pacific/Apia", "2011-12-30T06:00:00", "2011-12-30T10:00:00"),  # the thirtieth was left out
    ("day", "Pacific/Apia", "2011-12-30T10:00:00", "2011-12-31T10:00:00"),
    ("day", "Australia/Lord_Howe", "2026-04-04T13:00:00", "2026-04-05T13:30:00"),  # half an hour more
    ("month", "Europe/Berlin", "2026-03-15T00:00:00", "2026-03-31T22:00:00"),  # begun in winter time, ended in summer time
    ("month", "America/New_York", "2026-11-15T00:00:00", "2026-12-01T05:00:00"),
]


@pytest.mark.parametrize(("window", "zone", "moment", "end"), CHANGES)
def test_a_period_ends_where_the_clocks_say(window, zone, moment, end):
    """Where clocks are changed at midnight, or a day is left out, a period ends with the first moment of the next date."""
    where, now = zoneinfo.ZoneInfo(zone), unix(moment)
    assert period_end(window, where, now) == unix(end)
    date = dt.datetime.fromtimestamp(now, where).date()
    assert dt.datetime.fromtimestamp(unix(end) - 1, where).date() >= date
    assert dt.datetime.fromtimestamp(unix(end), where).date() > date


@given(
    st.sampled_from(["Europe/Berlin", "America/Sao_Paulo", "America/Havana", "Australia/Lord_Howe", "Asia/Tehran"]),
    st.integers(0, 2**31),
)
def test_a_day_that_follows_another_begins_where_that_ended(zone, moment):
    """From any moment on, days follow each other without a gap, and none is shorter than 22 hours or longer than 26."""
    where, end = zoneinfo.ZoneInfo(zone), period_end("day", zoneinfo.ZoneInfo(zone), moment)
    assert end > moment
    following = period_end("day", where, end)
    assert 22 * 3_600 <= following - end <= 26 * 3_600


def test_a_total_never_ends():
    """A total budget has no period."""
    assert period_end("total", dt.UTC, 0.0) == math.inf


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 60), st.integers(0, 90)), max_size=40))
def test_spent_and_reserved_stay_within_the_limit_at_every_admission(steps):
    """What is spent and reserved is what a list says, and never above the limit when something is admitted."""
    account, journal, held, spent = Account(Budget(100 / PICO), None, 0.0), Journal(), [], 0
    for admit, charge, actual in steps:
        if admit:
            fits = charge == 0 or spent + sum(held) + charge <= 100
            assert account.allows(charge) == fits
            if fits:
                journal.commit([account.reserving(charge)])
                held.append(charge)
                assert charge == 0 or spent + sum(held) <= 100
        elif held:
            journal.commit([account.settling(held.pop(), actual)])
            spent += actual
        status = account.status()
        assert (status.used, status.reserved) == (spent, sum(held))


def test_a_day_begins_anew_and_keeps_what_is_reserved():
    """With the day what was spent is forgotten; what is in flight stays reserved and counts where it settles."""
    day = unix("2026-11-23T12:00:00")
    account, journal = Account(Budget(1.0, window="day"), None, day), Journal()
    journal.commit([account.reserving(PICO)])
    journal.commit([account.settling(PICO, PICO)])
    journal.commit([account.reserving(7)])
    assert account.refusal(1) == BudgetRefusal("gateway", PICO, PICO, 7, 1, unix("2026-11-24T00:00:00"))
    account.roll(day + 86_400)
    assert (account.status().used, account.status().reserved) == (0, 7)
    assert account.resets_at == unix("2026-11-25T00:00:00")
    account.roll(day)
    assert account.resets_at == unix("2026-11-25T00:00:00"), "a wall clock that is set back begins nothing anew"


def test_a_book_finds_the_accounts_of_a_call():
    """Each scope has one account per subject; a key's budgets are found by pool and label."""
    budgets = [Budget(1), Budget(2, scope="tenant"), Budget(3, scope="model"), Budget(4, scope="key")]
    book = Book(budgets, 0.0)
    first = book.shared(tenant="a", model="m", wall=0.0)
    assert [(one.budget.scope, one.subject) for one in first] == [("gateway", None), ("tenant", "a"), ("model", "m")]
    again = book.shared(tenant="b", model="m", wall=0.0)
    assert [one is other for one, other in zip(first, again, strict=True)] == [True, False, True]
    assert book.of_key("p", "k", 0.0) == book.of_key("p", "k", 0.0) != book.of_key("q", "k", 0.0)
    assert book.has_key_budgets
    assert not book.has_calendar
    assert [status.scope for status in book.statuses(0.0)] == ["gateway", "tenant", "model", "tenant", "key", "key"]


def test_looking_at_accounts_keeps_none():
    """Accounts that were only looked at are not told of; kept ones are, and are found again."""
    book = Book([Budget(1), Budget(2, scope="tenant"), Budget(4, scope="key")], 0.0)
    looked = [*book.shared(tenant="a", model="m", wall=0.0, keep=False), *book.of_key("p", "k", 0.0, keep=False)]
    assert [status.scope for status in book.statuses(0.0)] == ["gateway"]
    assert book.keep(looked) == looked
    assert book.shared(tenant="a", model="m", wall=0.0, keep=False) == looked[:2]
    assert [status.scope for status in book.statuses(0.0)] == ["gateway", "tenant", "key"]


@pytest.mark.parametrize(("window", "later", "lasting"), [("total", 0.0, 90), ("day", 0.0, 90), ("day", 86_400.0, 45)])
def test_accounts_without_money_are_forgotten(window, later, lasting):
    """However many tenants come by, those with money in their accounts and few others are remembered, in this day's window."""
    book, journal = Book([Budget(1.0, scope="tenant", window=window)], 0.0), Journal()
    for name in range(90):
        (account,) = book.shared(tenant=f"t{name}", model="m", wall=0.0)
        journal.commit([account.reserving(5) if name % 2 else account.settling(0, 5)])
    for name in range(20_000):
        book.shared(tenant=f"idle{name}", model="m", wall=later)
    statuses = list(book.statuses(later))
    assert len(statuses) < 3_000
    assert sum(status.used + status.reserved for status in statuses) == 5 * lasting


def test_a_forgotten_account_begins_at_zero_as_it_was():
    """Who holds a forgotten account is given the one that took its place; the money goes there."""
    book = Book([Budget(1.0, scope="tenant")], 0.0)
    (held,) = book.shared(tenant="a", model="m", wall=0.0)
    for name in range(3_000):
        book.shared(tenant=f"idle{name}", model="m", wall=0.0)
    (again,) = book.shared(tenant="a", model="m", wall=0.0)
    assert held is not again
    assert book.keep([held]) == [again]


def test_the_budget_that_lasts_longest_is_named():
    """A refusal is that of the account without room that resets last, of several alike the first; none where all have room."""
    book = Book([Budget(1), Budget(0.5, scope="tenant")], 0.0)
    accounts = book.shared(tenant=None, model="m", wall=0.0)
    assert last_refusal(accounts, PICO // 2) is None
    assert last_refusal(accounts, PICO).scope == "tenant"
    assert last_refusal(accounts, 2 * PICO).scope == "gateway"
    assert last_refusal(accounts, 0) is None
    mixed = Book([Budget(1, window="day"), Budget(1, scope="tenant", window="month"), Budget(3, scope="model")], 0.0)
    accounts = mixed.shared(tenant=None, model="m", wall=0.0)
    assert [last_refusal(accounts, dollars * PICO).scope for dollars in (2, 4)] == ["tenant", "model"]


def test_the_tracker_reserves_and_settles_by_amounts():
    """The façade keeps used and remaining together the limit, and takes what costs nothing even when it is spent."""
    tracker = BudgetTracker(1.0)
    assert tracker.try_reserve(6 * 10**11)
    assert not tracker.try_reserve(5 * 10**11)
    assert (tracker.used_usd(), tracker.remaining_usd(), tracker.limit_usd()) == (0.6, 0.4, 1.0)
    tracker.settle(6 * 10**11, 2 * 10**11)
    assert tracker.used_usd() == 0.2
    assert tracker.try_reserve(8 * 10**11)
    assert tracker.try_reserve(0)
    tracker.settle(8 * 10**11, 9 * 10**11)
    assert (tracker.remaining_usd(), tracker.try_reserve(0), tracker.try_reserve(1)) == (0.0, True, False)


@pytest.mark.parametrize("amount", [-1, 1.5, True, None])
def test_the_tracker_takes_whole_pico_dollars(amount):
    """An amount is a whole number of pico-dollars, not below zero."""
    tracker = BudgetTracker(1.0)
    for call in (lambda: tracker.try_reserve(amount), lambda: tracker.settle(amount, 0), lambda: tracker.settle(0, amount)):
        with pytest.raises(ConfigurationError):
            call()


def test_the_tracker_admits_no_more_than_its_limit_from_many_threads():
    """Threads that reserve at once get together exactly what the limit holds."""
    tracker, won, gate = BudgetTracker(1000 / PICO), [], threading.Barrier(8)

    def reserve():
        gate.wait()
        won.extend(1 for _ in range(400) if tracker.try_reserve(1))

    threads = [threading.Thread(target=reserve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), tracker.remaining_usd()) == (1000, 0.0)


def test_who_comes_back_into_the_tracker_is_refused_not_deadlocked():
    """A signal handler that lands in an operation of its own thread gets an error; the operation goes on."""
    tracker = BudgetTracker(1.0)
    with tracker._lock:
        for call in (lambda: tracker.try_reserve(1), lambda: tracker.settle(1, 1)):
            with pytest.raises(StateUnavailableError, match="budget tracker"):
                call()
        assert tracker.used_usd() == 0.0
    assert tracker.try_reserve(PICO)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_tracker_works_in_a_child_forked_while_it_was_busy():
    """A child forked while another thread holds the tracker's lock reserves what is left."""
    tracker, held, done = BudgetTracker(1.0), threading.Event(), threading.Event()

    def hold():
        with tracker._lock:
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        signal.alarm(5)
        os._exit(0 if tracker.try_reserve(PICO) and not tracker.try_reserve(1) else 1)
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert tracker.try_reserve(PICO)
