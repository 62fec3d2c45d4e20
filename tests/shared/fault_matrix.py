"""The fault matrix: what each fault means for the caller, the next attempt, the key and the money.

The tests in ``tests/faults`` take what they expect from here, and ``docs/reliability.md`` prints it: one is as true as the other.
A row whose fault has several faces has an outcome for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from omnillm import errors as e

Retried = Literal["yes", "no", "key", "connection", "none"]
Key = Literal["failure", "nothing", "cools", "retired", "pair", "hour", "none"]
Money = Literal["nothing", "prompt", "received", "usage", "estimate", "none"]

RETRIED: dict[Retried, str] = {
    "yes": "yes",
    "no": "no",
    "key": "on another key, at once",
    "connection": "on a new connection, unseen",
    "none": "",
}
KEY: dict[Key, str] = {
    "failure": "counts for its breaker",
    "nothing": "as before",
    "cools": "cools down",
    "retired": "retired until revived",
    "pair": "set aside for this model",
    "hour": "set aside for an hour",
    "none": "",
}
MONEY: dict[Money, str] = {
    "nothing": "nothing",
    "prompt": "the prompt's estimate",
    "received": "the prompt's estimate and what came",
    "usage": "the reported usage",
    "estimate": "the estimate, marked as one",
    "none": "",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows from one face of a fault; ``says`` is what the page adds for people."""

    raises: type[e.OmniLLMError] | None = None
    sent: e.Sent | None = None
    phase: str | None = None
    retried: Retried = "none"
    key: Key = "none"
    money: Money = "none"
    says: str = ""
    face: str = ""

    @property
    def sees(self) -> str:
        """Say what the caller sees."""
        if self.raises is None:
            return self.says or "nothing"
        parts = [f"{name} `{value}`" for name, value in (("sent", self.sent), ("phase", self.phase)) if value is not None]
        return ", ".join([f"`{self.raises.__name__}`", *parts]) + (f"; {self.says}" if self.says else "")


@dataclass(frozen=True, slots=True)
class Row:
    """One fault and its outcomes, by face."""

    number: int
    fault: str
    outcomes: tuple[Outcome, ...]

    def outcome(self, face: str = "") -> Outcome:
        """Give the outcome of that face."""
        (found,) = (outcome for outcome in self.outcomes if outcome.face == face)
        return found


def _row(number: int, fault: str, *outcomes: Outcome) -> Row:
    return Row(number, fault, outcomes)


def _unconnected(says: str = "", face: str = "") -> Outcome:
    return Outcome(e.ConnectError, "no", retried="yes", key="failure", money="nothing", says=says, face=face)


def _malformed(says: str = "", face: str = "") -> Outcome:
    return Outcome(e.MalformedResponseError, "yes", retried="yes", key="failure", money="prompt", says=says, face=face)


def _hopeless(says: str = "", face: str = "") -> Outcome:
    return Outcome(e.MalformedResponseError, "yes", retried="no", key="failure", money="prompt", says=says, face=face)


def _lost(sent: e.Sent, phase: str, says: str = "", face: str = "") -> Outcome:
    return Outcome(e.ConnectionLostError, sent, phase, retried="yes", key="failure", money="prompt", says=says, face=face)


def _late(sent: e.Sent, phase: str, says: str = "", face: str = "") -> Outcome:
    return Outcome(e.DeadlineExceededError, sent, phase, retried="no", key="failure", money="prompt", says=says, face=face)


def _broken(phase: str, key: Key = "failure", says: str = "with `partial_response`", face: str = "") -> Outcome:
    return Outcome(e.StreamInterruptedError, "yes", phase, retried="no", key=key, money="received", says=says, face=face)


def _refused(raises: type[e.OmniLLMError], retried: Retried, key: Key, says: str = "", face: str = "") -> Outcome:
    return Outcome(raises, "yes", retried=retried, key=key, money="nothing", says=says, face=face)


def _well(says: str = "", retried: Retried = "no", money: Money = "usage", face: str = "") -> Outcome:
    return Outcome(retried=retried, key="nothing", money=money, says=says, face=face)


def _aside(says: str, face: str = "") -> Outcome:
    return Outcome(says=says, face=face)


def _refusing(says: str = "", face: str = "") -> Outcome:
    return Outcome(e.StateUnavailableError, "no", retried="no", key="nothing", money="nothing", says=says, face=face)


_UNTRIED = Outcome(
    e.DeadlineExceededError, "no", "connect", retried="no", key="nothing", money="nothing", face="the call's time is over by then"
)

CONNECTING = (
    _row(1, "the name does not resolve", _unconnected()),
    _row(2, "the resolver stalls", _unconnected("the system's resolver itself may take longer than the time given"), _UNTRIED),
    _row(3, "the connection is refused", _unconnected()),
    _row(4, "nobody answers the SYN", _unconnected("after `timeouts(connect=…)`")),
    _row(
        5,
        "TLS: wrong host, expired, self-signed, protocol too old",
        Outcome(e.TlsError, "no", retried="no", key="failure", money="nothing", says="fallbacks are asked"),
    ),
    _row(
        6,
        "the wrong protocol for the port",
        Outcome(
            e.TlsError,
            "no",
            retried="no",
            key="failure",
            money="nothing",
            says="within `timeouts(connect=…)`",
            face="https to a plain port",
        ),
        _hopeless(face="http to a TLS port that says so"),
        _lost("maybe", "first_byte", face="http to a TLS port that hangs up"),
    ),
    _row(
        7,
        "the proxy",
        _unconnected(face="does not answer"),
        Outcome(
            e.ConnectError,
            "no",
            retried="no",
            key="nothing",
            money="nothing",
            says="the proxy's password is in no text",
            face="asks for credentials (407)",
        ),
    ),
)

WAITING = (
    _row(8, "a kept connection was closed while it was idle", _well(retried="connection")),
    _row(
        9,
        "a kept connection is closed as it is used again, no byte back",
        _well("nothing; where the new connection is lost too, as row 10", retried="connection"),
    ),
    _row(10, "a new connection is closed, no byte back", _lost("maybe", "first_byte")),
    _row(
        11,
        "the connection is reset while the body is sent",
        _refused(e.BadRequestError, "no", "nothing", "the answer that was sent before it", face="after an answer (413)"),
        _lost("maybe", "first_byte", face="without an answer"),
    ),
    _row(
        12,
        "the server stalls before the headers",
        _late("maybe", "first_byte", "at the deadline of the call", face="a call"),
        _late("maybe", "first_byte", "after `timeouts(first_byte=…)`", face="a stream"),
    ),
    _row(13, "status line or headers are dribbled", _late("yes", "first_byte", "at the deadline")),
    _row(14, "the headers are cut", _malformed()),
    _row(15, "garbage, HTTP/0.9, a huge line, more than 100 headers", _malformed()),
    _row(16, "two different lengths", _malformed()),
    _row(17, "100, 102 or 103 before the answer, up to 8 of them", _well()),
    _row(18, "no end of interim answers", _malformed()),
    _row(19, "101 unasked", _hopeless()),
    _row(20, "bytes arrive on an idle connection", _well(retried="connection")),
)

BODY = (
    _row(21, "a body short of its length, a chunked one cut", _lost("yes", "body")),
    _row(22, "a body that ends with its connection is cut: valid HTTP, half a JSON", _malformed()),
    _row(23, "the connection is reset in the body", _lost("yes", "body")),
    _row(24, "the body is dribbled past the deadline", _late("yes", "body")),
    _row(25, "stream: silence between events", _broken("idle")),
    _row(
        26,
        "stream: cut before the first event",
        Outcome(
            e.StreamInterruptedError,
            "yes",
            "cut",
            retried="yes",
            key="failure",
            money="prompt",
            says="`partial_response` is `None`",
        ),
    ),
    _row(27, "stream: cut after events", _broken("cut")),
    _row(28, "stream: it ends without its terminal event", _broken("no_terminal")),
    _row(29, "two terminal events", _well("the first; the second is ignored")),
    _row(30, "events after the terminal one", _well("they are ignored")),
    _row(
        31,
        "an error event in mid-stream",
        _broken("error", face="overloaded"),
        _broken("error", "cools", "with `partial_response` and `retry_after`", face="rate limit"),
    ),
    _row(
        32,
        "an error event first",
        _refused(e.OverloadedError, "yes", "failure", face="overloaded"),
        _refused(e.RateLimitedError, "key", "cools", face="rate limit"),
        _refused(e.BadRequestError, "no", "nothing", face="a mistake of the caller's"),
    ),
    _row(
        33,
        "a JSON error with status 200",
        _refused(e.ServerError, "yes", "failure", face="the server's"),
        _refused(e.BadRequestError, "no", "nothing", face="a mistake of the caller's"),
    ),
    _row(34, "an event of an unknown type", _well("a `VendorEvent`")),
    _row(
        35,
        "a line or an event over 1 MiB",
        _broken("cut", face="after an event"),
        _hopeless(face="first"),
    ),
    _row(36, "the end of the stream is not terminated", _broken("no_terminal", says="the cut event is dropped")),
    _row(
        37,
        "invalid UTF-8; a character cut by chunks",
        _well("U+FFFD; the whole character"),
    ),
    _row(38, "BOM, any line ends, comments, pings", _well("the same events")),
    _row(39, "a stream comes gzipped, flushed event by event", _well("every event at once")),
    _row(
        40,
        "a gzip bomb, six encodings in a chain, a corrupt deflate",
        _hopeless("no more than 32 MiB are unpacked"),
    ),
    _row(
        41,
        "an event whose data is no JSON",
        _broken("cut", face="after an event"),
        _malformed(face="first"),
    ),
    _row(
        42,
        "JSON beyond bounds",
        _hopeless(face="deep nesting, 5 000 digits, `NaN`"),
        _well("U+FFFD; the last of the names", face="a lone surrogate, a name twice"),
    ),
    _row(43, "usage missing, negative, a string, absurdly large", _well(money="estimate")),
    _row(44, "200 with a page of HTML", _malformed("with the beginning of the page")),
    _row(45, "a whole answer to a stream; a stream to a call", _well("decoded as what it is")),
)

STATUS = (
    _row(46, "3xx", _refused(e.MalformedResponseError, "no", "failure", "redirects are not followed; fallbacks are not asked")),
    _row(47, "400, 404, 413, 415, 422", _refused(e.BadRequestError, "no", "nothing")),
    _row(48, "401", _refused(e.UnauthorizedError, "key", "retired")),
    _row(49, "403", _refused(e.PermissionDeniedError, "key", "pair")),
    _row(50, "408, 409, 425", _refused(e.BadRequestError, "yes", "nothing")),
    _row(
        51,
        "429 with a hint: seconds, milliseconds, a date, reset headers, words in the body",
        _refused(
            e.RateLimitedError, "key", "cools", "`retry_after` is the hint; one that is not longer than the cap is waited for"
        ),
    ),
    _row(52, "429 without a hint", _refused(e.RateLimitedError, "key", "cools", "`retry_after` is 60 s")),
    _row(
        53,
        "429 with a hint that is none: negative, `nan`, `inf`, `1e9`, the year 99999, words",
        _refused(e.RateLimitedError, "key", "cools", "as without a hint; a number of more than a day counts as an hour"),
    ),
    _row(
        54,
        "429 for longer than the call has",
        _refused(e.RateLimitedError, "key", "cools", "at once, with `retry_after`"),
    ),
    _row(55, "429 for good: quota, billing", _refused(e.QuotaExhaustedError, "key", "hour")),
    _row(
        56,
        "500, 502, 504, with any body",
        _refused(e.ServerError, "yes", "failure", "its text without keys and cut to 500 characters"),
    ),
    _row(57, "503, 529", _refused(e.OverloadedError, "yes", "failure", "a hint is waited for")),
    _row(
        58,
        "`x-should-retry`",
        _refused(e.OverloadedError, "no", "failure", face="`false` on 503"),
        _refused(e.BadRequestError, "yes", "nothing", face="`true` on 400"),
    ),
    _row(
        59,
        "the body of an error is slow, or endless",
        _refused(e.BadRequestError, "no", "nothing", "by the status; 64 KiB and 2 s at most are spent on the body"),
    ),
)

PROCESS = (
    _row(
        70,
        "Ctrl-C while a call waits for key, window, back-off, connection, handshake, answer or event",
        Outcome(
            retried="no",
            key="nothing",
            money="received",
            says="`KeyboardInterrupt`, at once; before anything was sent it costs nothing",
        ),
    ),
    _row(
        71,
        "an asynchronous exception at any bytecode",
        Outcome(retried="no", key="nothing", money="received", says="that exception; nothing stays reserved"),
    ),
    _row(72, "a thread ends without closing its stream", Outcome(key="nothing", money="received", says="nothing stays reserved")),
    _row(73, "a fork while other threads are within calls", _aside("the child calls, and so does the parent")),
    _row(
        74,
        "a fork while a stream is open; the child reads it",
        Outcome(e.ClosedError, "yes", retried="no", key="nothing", says="the parent reads on"),
    ),
    _row(75, "garbage collection at every allocation, with streams lost in cycles", _aside("nothing")),
    _row(76, "a signal handler calls the gateway in the midst of a call", _aside("it works, or raises; it never hangs")),
    _row(
        77,
        "a hook raises, blocks, or calls the gateway",
        _aside("a line in the log without a key; only that call waits; it works"),
    ),
    _row(78, "the interpreter exits with open streams", _aside("it exits at once, without a traceback")),
    _row(79, "the wall clock jumps by a day; the machine sleeps", _aside("waits stay as they are; a stream's idle time ends it")),
    _row(
        80,
        "no descriptors, no memory",
        _unconnected(face="no descriptors"),
        Outcome(retried="no", key="nothing", money="prompt", says="`MemoryError`; nothing stays reserved", face="no memory"),
    ),
    _row(81, "500 threads over 10 kept connections", _aside("every call has its own answer; no warning is logged")),
    _row(82, "proxies, netrc and certificates in the environment", _aside("they are ignored")),
    _row(
        83,
        "a key with a line end, a NUL or a curly quote; credentials in a base URL",
        Outcome(e.ConfigurationError, says="when the gateway is made; the text shows neither"),
    ),
)

STORE = (
    _row(60, "Redis is down when the gateway is made", _refusing("with the first call")),
    _row(
        61,
        "Redis is down before a call is admitted",
        _refusing(face="it costs money, or `on_state_error` is `closed`"),
        _aside("the call goes by this process's share of the limits", face="`on_state_error` is `local_share`, no money"),
    ),
    _row(
        62,
        "Redis is down before a call is settled",
        Outcome(key="nothing", money="usage", says="the answer; what was reserved stays so until the server can be told"),
    ),
    _row(
        63,
        "a reply of Redis is lost",
        Outcome(key="nothing", money="usage", says="nothing: it is asked again, and what ran counts once", face="once"),
        _refusing("what ran is undone", face="twice"),
    ),
    _row(64, "Redis is slower than `timeout`, twice", _refusing("within twice that; what ran late is undone")),
    _row(65, "`SCRIPT FLUSH`, a restart, a new server", _aside("nothing: the scripts are sent again")),
    _row(
        66,
        "a failover to a replica that missed writes",
        Outcome(money="usage", says="windows may let in once more what the replica missed; settled calls are spent"),
    ),
    _row(
        67,
        "`FLUSHALL`, eviction",
        _aside("windows begin empty", face="no money"),
        _refusing("until `RedisState.reopen()`", face="it costs money"),
    ),
    _row(
        68,
        "a replica, a full server, other things under our names, no password, a node of a cluster",
        _refusing("the text says which, without the password; every key is in one slot of a cluster"),
    ),
    _row(
        69,
        "processes with other limits, or with other clocks",
        _aside("the limits of the call hold, the log says that they differ; the server's clock counts"),
    ),
)

SECTIONS: tuple[tuple[str, tuple[Row, ...]], ...] = (
    ("Connecting", CONNECTING),
    ("Sent, and no answer yet", WAITING),
    ("Body and stream", BODY),
    ("Status codes", STATUS),
    ("Shared state", STORE),
    ("Process", PROCESS),
)
ROWS = {row.number: row for _, rows in SECTIONS for row in rows}
