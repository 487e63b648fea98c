"""A mail server for tests: it keeps what it is sent, and refuses as told."""

import socketserver
import threading
from contextlib import contextmanager

LONGEST_LINE = 1000
"""Bytes with the end of the line (RFC 5321)."""


class Post:
    """Letters that arrived; `refuse` is answered to MAIL FROM instead of 250.

    `unknown` readers are refused one by one; lines above 998 bytes end the conversation.
    """

    def __init__(self):
        self.letters = []
        self.refuse = None
        self.unknown = ()
        self.port = 0


@contextmanager
def serve():
    """A server on a free port of this machine."""
    post = Post()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, text):
            self.wfile.write(f"{text}\r\n".encode())

        def handle(self):
            self.say("220 here")
            for line in iter(self.rfile.readline, b""):
                word = line.split()[0].upper() if line.split() else b""
                if word == b"MAIL" and post.refuse:
                    self.say(post.refuse)
                elif word == b"RCPT" and any(one in line.decode() for one in post.unknown):
                    self.say("550 no such reader")
                elif word == b"DATA":
                    self.say("354 go on")
                    lines = list(iter(self.rfile.readline, b".\r\n"))
                    if any(len(one) > LONGEST_LINE for one in lines):
                        self.say("500 line too long")
                        continue
                    post.letters.append(b"".join(lines).decode())
                    self.say("250 kept")
                elif word == b"QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 fine")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    post.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield post
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
