"""A page on this machine that shows the latest frame of a stream."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

_PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>ShuffleCam live</title>
<link rel="icon" href="data:,"><style>body{margin:0;background:#181818;color:#eee;font:15px sans-serif}
img{display:block;margin:1rem auto;max-width:96vw;max-height:90vh}</style></head>
<body><img alt="plain and delivered" src="stream"></body></html>"""


class LivePage:
    """A page on this machine alone that shows the latest frame.

    Its address holds a random token, because other users of the machine can reach it, and it shows plain pictures.
    """

    def __init__(self) -> None:
        self._fresh = threading.Condition()
        self._latest: bytes | None = None
        self._closed = False
        token = secrets.token_urlsafe(16)
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == f"/{token}/":
                    self._answer("text/html; charset=utf-8")
                    self.wfile.write(_PAGE.encode())
                elif self.path == f"/{token}/stream":
                    self._answer("multipart/x-mixed-replace; boundary=frame")
                    for jpeg in page._frames():
                        try:
                            self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + jpeg + b"\r\n")
                        except OSError:  # the viewer has left
                            return
                else:
                    self.send_error(404)

            def _answer(self, kind: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Cache-Control", "no-store")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Keep quiet: the path holds the token."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}/{token}/"

    def _frames(self) -> Iterator[bytes]:
        sent: bytes | None = None
        while True:
            with self._fresh:
                while self._latest is sent and not self._closed:
                    self._fresh.wait()
                if self._closed:
                    return
                sent = self._latest
            if sent is not None:
                yield sent

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Show a frame, uint8 (H, W, 3)."""
        done, encoded = cv2.imencode(".jpg", picture[:, :, ::-1])
        assert done
        with self._fresh:
            self._latest = encoded.tobytes()
            self._fresh.notify_all()

    @contextmanager
    def served(self) -> Iterator[Self]:
        """Answer requests inside the block."""
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            with self._fresh:
                self._closed = True
                self._fresh.notify_all()
            self._server.shutdown()
            self._server.server_close()
            thread.join()
