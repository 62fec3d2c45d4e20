"""Exceptions thrown into a thread at any bytecode of an exchange leave no connection half-read, and none open."""

from __future__ import annotations

import ctypes
import gc
import random
import sys
import threading
import time

import pytest
from interrupts import scaled

from omnillm._clock import Deadline
from omnillm.testing.scripted import Peer, ScriptedServer, repeat, respond
from omnillm.transport import HttpRequest, HttpTransport

pytestmark = [
    pytest.mark.stress,
    pytest.mark.skipif(sys.gettrace() is not None, reason="interrupts leave the tracer's own locks locked"),
]

INTERRUPTS = scaled(400)


class Interrupt(BaseException):
    """What is thrown in; none of the library's business."""


def echo(peer: Peer) -> None:
    head = peer.receive_until(b"\r\n\r\n")
    respond(body=head.split(b" ")[1])(peer)


class Caller:
    """Call without end, and remember what was not as it should be."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.stopped = False
        self.answered = self.interrupted = 0
        self.wrong: list[object] = []
        self.transport = HttpTransport()

    def run(self) -> None:
        while not self.stopped:
            try:
                self.call_on()
            except Interrupt:  # that came while the one before it was being counted
                continue

    def call_on(self) -> None:
        while not self.stopped:
            try:
                self.call(str(self.answered + self.interrupted))
            except Interrupt:
                self.interrupted += 1

    def call(self, name: str) -> None:
        request = HttpRequest("GET", self.url + name, {})
        try:
            with self.transport.send(request, deadline=Deadline.after(10), connect=5, first_byte=5) as answer:
                body = answer.read()
        except Exception as error:
            self.wrong.append(error)
            return
        self.answered += 1
        if body != f"/{name}".encode():
            self.wrong.append(body)


def test_interrupts_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of interrupts: every answer is its own request's, and every connection but the kept one has ended."""
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)  # a finaliser may be hit too; pytest's own hook would be next
    chance = random.Random(7)
    with ScriptedServer([repeat(echo)]) as server:
        caller = Caller(server.url)
        caller.call("warm")
        thread = threading.Thread(target=caller.run)
        thread.start()
        end = time.monotonic() + 20 + INTERRUPTS / 50
        while caller.interrupted < INTERRUPTS or caller.answered <= INTERRUPTS / 8:
            assert time.monotonic() < end, "the caller hangs"
            is_behind = caller.answered <= caller.interrupted / 8  # on a busy machine a call takes longer
            time.sleep(0.02 if is_behind else chance.uniform(0.0005, 0.0025))
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(Interrupt))
        time.sleep(0.1)  # for the last one to land
        caller.stopped = True
        thread.join(10)
        assert not thread.is_alive()
        assert caller.wrong == []
        gc.collect()
        caller.transport.close()
        wait_for_ends(server)


def wait_for_ends(server: ScriptedServer) -> None:
    """Wait until every connection was closed by the client: until then its script is playing."""
    end = time.monotonic() + 5
    while any(thread.is_alive() for thread in server._threads):
        assert time.monotonic() < end, "a connection is still open"
        time.sleep(0.01)
