"""Forks: the child has connections of its own, and leaves those of its parent alone."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading

import pytest

from omnillm.testing.scripted import Peer, ScriptedServer, expect, repeat, respond, wait
from omnillm.testing.scripted import send as send_bytes

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

PROGRAM = textwrap.dedent("""
    import faulthandler, gc, math, os, sys, warnings
    warnings.simplefilter("ignore", DeprecationWarning)
    faulthandler.dump_traceback_later(20, exit=True)
    from omnillm._clock import Deadline
    from omnillm.errors import ClosedError
    from omnillm.transport import HttpRequest, HttpTransport
    transport, base = HttpTransport(), sys.argv[1]

    def ask(path):
        return transport.send(HttpRequest("GET", base + path, {}), deadline=Deadline.after(10), connect=5, first_byte=math.inf)

    def child(work):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                work()
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0
""")

CROSS_TALK = """
ask("/warm").read()
def work():
    for turn in range(3):
        assert ask(f"/child-{turn}").read() == f"/child-{turn}".encode()
child(work)
for turn in range(3):
    assert ask(f"/parent-{turn}").read() == f"/parent-{turn}".encode()
"""

BEGIN_AT_ONCE = """
import threading
ask("/warm").read()
def work():
    assert transport._pid == os.getpid() and not transport._running
    adapter, gate = transport._adapter, threading.Barrier(8)
    def first(turn):
        gate.wait(5)
        assert ask(f"/child-{turn}").read() == b"child"
        done.append(turn)
    done = []
    threads = [threading.Thread(target=first, args=(turn,)) for turn in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(done) == list(range(8))
    assert transport._adapter is adapter
child(work)
"""

OPEN_STREAM = """
answer = ask("/stream")
chunks = answer.chunks()
assert next(chunks) == b"one"
def work():
    global answer, chunks
    for read in (answer.read, lambda: next(chunks)):
        try:
            read()
        except ClosedError as error:
            assert "another process" in str(error)
        else:
            raise AssertionError
    answer.abort()
    answer.finish()
    answer.close()
    transport.close()
    del answer, chunks
    gc.collect()
child(work)
print("forked", flush=True)
sys.stdin.readline()
assert next(chunks) == b"two"
answer.close()
"""


def run(program: str, url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM + program, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_parent_and_child_share_no_connection() -> None:
    """Each gets the answers to its own requests, over connections of its own."""

    def reply(peer: Peer) -> None:
        expect()(peer)
        respond(body=next(r.path for r in reversed(peer.server.requests) if r.connection == peer.number).encode())(peer)

    with ScriptedServer([repeat(reply)]) as server, run(CROSS_TALK, server.base_url) as process:
        _, said = process.communicate(timeout=30)
        assert process.returncode == 0, said
        assert server.connections == 2


def test_threads_of_a_child_that_begin_at_once_share_one_set_of_pools() -> None:
    """The child's pools are there before its first thread runs: none makes them anew under another, which nobody would close."""
    with ScriptedServer([repeat(expect(), respond(body=b"child"))]) as server, run(BEGIN_AT_ONCE, server.base_url) as process:
        _, said = process.communicate(timeout=30)
        assert process.returncode == 0, said


def test_a_stream_of_the_parent_is_not_the_childs() -> None:
    """The child cannot read it, and neither closing nor aborting nor collecting it there ends it for the parent."""
    forked = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none"
    script = [expect(), send_bytes(head), wait(forked), send_bytes(b"two")]
    with ScriptedServer(script) as server, run(OPEN_STREAM, server.base_url) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "forked\n"
        forked.set()
        _, said = process.communicate("\n", timeout=30)
        assert process.returncode == 0, said
