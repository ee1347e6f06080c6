"""The server of a page: on this machine alone, read-only, and without a way to any file.

It answers to a handful of addresses, and what they lead to is in memory. A page of another site, which a
browser shows at the same time, can read none of it: the browser keeps it from other sites' answers, and were
the other site's name to lead to this machine, the Host header would give that away, and it gets no answer.
"""

from __future__ import annotations

import errno
import json
import re
import secrets
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pycaffe_lite.errors import PycaffeError
from pycaffe_lite.view.dashboard import answers
from pycaffe_lite.view.dashboard.runs import ShownRun
from pycaffe_lite.view.net_page import drawing_script

ADDRESS = "127.0.0.1"
# Nothing but what this server has: no inline script or style, no other site, in no frame.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_PAGE = Path(__file__).with_name("page")
# The files of the page, by address.
_FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/chart.js": ("chart.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/drawing.js": ("drawing.js", "text/javascript"),
}
# Connections at once, and pages that are kept up to date. Seconds between two looks for news, and between two
# at whether the server is to end; seconds for a slow request.
MOST_CONNECTIONS, MOST_STREAMS = 128, 16
NEWS_SECONDS, POLL_SECONDS, REQUEST_SECONDS = 1.0, 0.1, 30.0
HTTP_PORT = 80
_KERNELS = re.compile(r"/kernels/(\d{1,9})")
_MISTAKE = re.compile(r"/mistake/(\d{1,9})/(\d{1,9})/(\d{1,9})")
_PNG = "image/png"


class PageServer:
    """Serves the page of some runs, in threads of its own, until it is closed.

    Args:
        runs: what the page shows; None where `show` says it later, until when browsers wait.
        port: where; 0 for any that is free.

    Attributes:
        port, url: of the page. streams: how many more pages can be kept up to date.
        name: which no other server has, so that an open page knows whether this is still the same.

    Raises:
        PycaffeError: the port is in use, or may not be used.
    """

    def __init__(self, runs: Sequence[ShownRun] | None, port: int = 0) -> None:
        self.runs: list[ShownRun] = []
        self.name = secrets.token_hex(8)
        self.streams = threading.BoundedSemaphore(MOST_STREAMS)
        self._is_over = threading.Event()
        try:
            self._server = _Server((ADDRESS, port), _Handler)
        except OSError as error:
            what = "it is in use" if error.errno == errno.EADDRINUSE else error.strerror
            raise PycaffeError(
                f"cannot show the page at port {port}: {what}; name another port, or none to get a free one"
            ) from None
        self._server.page = self
        self.port = self._server.server_address[1]
        self.url = f"http://{ADDRESS}:{self.port}/"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL_SECONDS,), name="dashboard", daemon=True
        )
        if runs is not None:
            self.show(runs)

    def show(self, runs: Sequence[ShownRun]) -> None:
        """Begins to answer, with the page of these runs."""
        self.runs = list(runs)
        self._thread.start()

    def is_own(self, hosts: Sequence[str]) -> bool:
        """Whether a request's Host headers name this page; browsers leave out port 80, which is http's."""
        ends = (f":{self.port}", "") if self.port == HTTP_PORT else (f":{self.port}",)
        return len(hosts) == 1 and hosts[0].lower() in [
            f"{h}{end}" for h in (ADDRESS, "localhost") for end in ends
        ]

    def wait_for_news(self) -> bool:
        """Waits for as long as news may be old; returns whether there will be more."""
        return not self._is_over.wait(NEWS_SECONDS)

    @property
    def is_over(self) -> bool:
        """Whether it is being closed."""
        return self._is_over.is_set()

    def close(self) -> None:
        """Ends the server; open pages say so."""
        self._is_over.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    page: PageServer

    def __init__(self, *arguments: Any) -> None:
        self._slots = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answers in a thread of its own; hangs up where too many are at work.

        Each has a file open, and those of a training must not run out: its snapshots need some.
        """
        if self._slots.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answers all that comes over one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle of an answer is nothing to tell anybody."""


class _Handler(BaseHTTPRequestHandler):
    """Answers one browser."""

    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = REQUEST_SECONDS

    def version_string(self) -> str:
        """What the answers say of the server."""
        return "pycaffe-lite"

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: the log is that of the training."""

    def do_GET(self) -> None:
        """Answers a request."""
        # A request with a whole address is for a proxy, and need not mean this page.
        if not self.server.page.is_own(self.headers.get_all("Host", [])) or not self.path.startswith("/"):
            self._answer(403, "text/plain", b"This address is not the page's.\n")
            return
        address = urlsplit(self.path)
        try:
            self._route(address.path, parse_qs(address.query, max_num_fields=20))
        except (IndexError, ValueError):  # a number that there is not, or that is none
            self._missing()

    def _route(self, path: str, query: dict[str, list[str]]) -> None:
        runs = self.server.page.runs
        if path in _FILES:
            name, kind = _FILES[path]
            self._answer(200, f"{kind}; charset=utf-8", page_file(name))
        elif path == "/runs":
            self._json(answers.runs(runs))
        elif path == "/curves":
            numbers = [int(text) for text in query.get("runs", [""])[0].split(",") if text][: len(runs)]
            bounds = [float(query[name][0]) for name in ("first", "last") if name in query]
            columns = int(query.get("columns", ["600"])[0])
            self._json(answers.curves({i: _at(runs, i) for i in numbers}, columns, *bounds))
        elif path == "/run":
            self._json(answers.run(_at(runs, int(query["id"][0]))) if "id" in query else None)
        elif path == "/net":
            self._json(answers.net(_at(runs, int(query["id"][0]))) if "id" in query else None)
        elif path == "/news":
            self._stream()
        elif found := _KERNELS.fullmatch(path):
            self._picture(answers.kernels_picture(_at(runs, int(found[1]))))
        elif found := _MISTAKE.fullmatch(path):
            number, net, k = map(int, found.groups())
            test = _at(runs, number).record().tests.get(net)
            if test and "at" in query and int(query["at"][0]) != test.iteration:
                self._replaced()
            else:
                self._picture(answers.mistake_picture(test, k))
        else:
            self._missing()

    def _stream(self) -> None:
        """Sends the states of the runs whenever they have changed: server-sent events.

        Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
        """
        page = self.server.page
        if not page.streams.acquire(blocking=False):
            self._answer(503, "text/plain", b"Too many pages are open.\n")
            return
        try:
            self.close_connection = True
            self.send_response(200)
            self._send_headers("text/event-stream")
            self.end_headers()
            self.wfile.write(f"event: server\ndata: {page.name}\n\n".encode())
            told = ""
            while not page.is_over:
                news = json.dumps(answers.runs(page.runs))
                # A comment in place of old news: writing is how one learns that the browser has gone.
                self.wfile.write(f"data: {news}\n\n".encode() if news != told else b":\n\n")
                self.wfile.flush()
                told = news
                page.wait_for_news()
            self.wfile.write(b"event: end\ndata: 0\n\n")
        finally:
            page.streams.release()

    def _json(self, value: object) -> None:
        self._answer(200, "application/json", json.dumps(value).encode())

    def _picture(self, data: bytes | None) -> None:
        if data is None:
            self._missing()
        else:
            self._answer(200, _PNG, data)

    def _replaced(self) -> None:
        """Answers that a picture was of an earlier test; the page is about to ask for the new ones."""
        self.send_response(204)
        self.end_headers()

    def _missing(self) -> None:
        self._answer(404, "text/plain", b"There is nothing at this address.\n")

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self._send_headers(kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_headers(self, kind: str) -> None:
        self.send_header("Content-Type", kind)
        for name, value in HEADERS.items():
            self.send_header(name, value)


def _at(runs: Sequence[ShownRun], number: int) -> ShownRun:
    if number < 0:
        raise IndexError(number)
    return runs[number]


def page_file(name: str) -> bytes:
    """A file of the page."""
    return (drawing_script() if name == "drawing.js" else _PAGE.joinpath(name).read_text("utf-8")).encode()
