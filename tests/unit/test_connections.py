"""Connections that are held for nothing are given up, and signals stop the server gracefully."""

import os
import resource
import signal
import socket
import threading
import time

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from nibai.app.onwatch import connections
from nibai.app.onwatch.connections import Connection, open_more_files
from nibai.app.onwatch.serving import STOPPING, Server, configured

LIMIT_SECONDS = 0.3


@pytest.fixture
def port(monkeypatch):
    """A server that waits for 0.3 s and takes four connections."""
    monkeypatch.setattr(connections, "HEADER_SECONDS", LIMIT_SECONDS)
    monkeypatch.setattr(connections, "BODY_SECONDS", LIMIT_SECONDS)
    monkeypatch.setattr(Connection, "most", 4)
    monkeypatch.setattr("nibai.app.onwatch.serving.open_more_files", lambda: 4)

    async def echo(request):
        body = await request.body()
        return PlainTextResponse(str(len(body)))

    app = Starlette(routes=[Route("/", echo, methods=["GET", "POST"])])
    server = Server(configured(app, "127.0.0.1:0", None), None)
    server.capture_signals = threading.Lock  # a thread has no signals
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(10)


def connected(port):
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def ended(client):
    """What came until the server closed the connection; TimeoutError if it does not."""
    found = b""
    try:
        while part := client.recv(4096):
            found += part
    except ConnectionResetError:
        pass
    return found


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST / HTTP/1.1\r\nHost: loc",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab",
    ],
    ids=["nothing", "half a head", "half a body"],
)
def test_who_sends_half_a_request_is_given_up(port, sent):
    with connected(port) as client:
        client.sendall(sent)
        begun = time.monotonic()
        ended(client)
        assert LIMIT_SECONDS * 0.8 < time.monotonic() - begun < 5


def test_half_a_second_request_on_a_connection_is_given_up_too(port):
    with connected(port) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        client.sendall(b"GET / HT")
        assert ended(client) in {b"", b"0"}


def test_who_takes_the_time_that_there_is_is_answered(port):
    with connected(port) as client:
        for part in (b"POST / HTTP/1.1\r\n", b"Host: x\r\nContent-Length: 4\r\n\r\n", b"ab", b"cd"):
            client.sendall(part)
            time.sleep(LIMIT_SECONDS / 5)
        assert client.recv(4096).startswith(b"HTTP/1.1 200")


def test_more_connections_than_fit_are_refused_and_room_comes_back(port):
    held = [connected(port) for _ in range(4)]
    with connected(port) as fifth:
        assert ended(fifth) == b""
    for one in held:
        one.close()
    deadline = time.monotonic() + 5
    while True:
        with connected(port) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            if ended(client).startswith(b"HTTP/1.1 200"):
                break
        assert time.monotonic() < deadline


@pytest.mark.parametrize(
    ("soft", "hard", "fits"), [(64, 64, 16), (256, 256, 160), (1024, 4096, 1000), (64, 1024, 928)]
)
def test_as_many_files_are_opened_as_the_process_may(monkeypatch, soft, hard, fits):
    limits = {"now": (soft, hard)}
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: limits["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda _kind, new: limits.update(now=new))
    assert open_more_files() == fits
    assert limits["now"] == (hard, hard)


@pytest.mark.parametrize("number", STOPPING)
def test_signals_stop_the_server_and_say_which(number):
    server = Server(configured(Starlette(), "127.0.0.1:0", None), None)
    before = {one: signal.getsignal(one) for one in STOPPING}
    try:
        with server.capture_signals():
            os.kill(os.getpid(), number)
            deadline = time.monotonic() + 5
            while not server.should_exit:
                assert time.monotonic() < deadline
        assert server.signal == number
        assert signal.getsignal(number) is signal.SIG_IGN, "the open minute is folded in peace"
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def test_a_terminal_that_was_told_not_to_end_it_does_not():
    server = Server(configured(Starlette(), "127.0.0.1:0", None), None)
    before = {one: signal.getsignal(one) for one in STOPPING}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with server.capture_signals():
            os.kill(os.getpid(), signal.SIGHUP)
        assert not server.should_exit
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
