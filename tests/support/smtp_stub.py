"""A mail server for tests: it keeps what it is sent, and refuses as told."""

import socketserver
import threading
from contextlib import contextmanager


class Post:
    """Letters that arrived; `refuse` is answered to MAIL FROM instead of 250."""

    def __init__(self):
        self.letters = []
        self.refuse = None
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
                elif word == b"DATA":
                    self.say("354 go on")
                    letter = b"".join(iter(self.rfile.readline, b".\r\n"))
                    post.letters.append(letter.decode())
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
