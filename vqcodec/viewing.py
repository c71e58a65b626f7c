"""A page served to this machine alone: the files of a folder, and at most one more, over HTTP.

Everything that may be asked for is listed before the first request, under a random token; no path
is ever put together from what a request says. Standard library only.
"""

from __future__ import annotations

import errno
import secrets
import socketserver
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from vqcodec.errors import BackendError

HOST: Final = "127.0.0.1"
INDEX: Final = "index.html"

_PACKAGE = Path(__file__).resolve().parent
PLACES: Final = (_PACKAGE / "_viewer", _PACKAGE.parent / "docs" / "viewer" / "dist")
"""Where the built page lies: in the wheel; in a source checkout."""

_WORKER: Final = "sw.js"
"""The service worker, which a page of a random address must not install: it would stay for ever."""

_IDLE_S = 30.0
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".gz": "application/gzip",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
_PLAIN: Final = "application/octet-stream"
_HEADERS: Final = {
    # Isolated from other pages, so that the networks get threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; "
    "worker-src 'self' blob:; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # the token is in the address
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Opened:
    """A file that the page opens at once: its name, without folders, and its bytes."""

    name: str
    data: bytes


class ViewingServer(ThreadingHTTPServer):
    """Serves a page until it is closed; it listens as soon as it is made.

    Args:
        page: folder of the built page.
        opened: a file that the page opens at once.
        port: to listen at; 0 for one that the system chooses.

    Raises:
        BackendError: the page is not there, or the port cannot be had.
    """

    daemon_threads = True

    def __init__(self, page: Path, opened: Opened | None = None, *, port: int = 0) -> None:
        self.token = secrets.token_urlsafe(18)
        self.files = _listed(page)
        self.opened = opened
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            taken = error.errno in (errno.EADDRINUSE, errno.EACCES)
            fact = "is taken or not allowed" if taken else f"cannot be had ({error.strerror})"
            raise BackendError(
                f"port {port} of {HOST} {fact}. Give another with --port, or none."
            ) from error

    def server_bind(self) -> None:
        """Bind, without asking a name server what this machine is called."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])

    @property
    def url(self) -> str:
        """Address of the page; whoever does not know it gets nothing."""
        asked = "?local"
        if self.opened is not None:
            asked += f"&file=file/{quote(quote(self.opened.name, safe=''), safe='')}"
        return f"http://{HOST}:{self.server_port}/{self.token}/{asked}"

    def find(self, path: str) -> tuple[str, Path | bytes] | None:
        """Look a request's path up: its type and its file or bytes; None where nothing is."""
        given, slash, name = path.removeprefix("/").partition("/")
        is_known = secrets.compare_digest(given.encode(errors="replace"), self.token.encode())
        if not slash or not is_known:
            return None
        name = name or INDEX
        if self.opened is not None and name == f"file/{self.opened.name}":
            return _PLAIN, self.opened.data
        if name not in self.files:
            return None
        return _TYPES.get(Path(name).suffix.lower(), _PLAIN), self.files[name]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a browser that hangs up is no error."""


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for what is listed."""

    server: ViewingServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "vqcodec", ""
    timeout = _IDLE_S

    def do_GET(self) -> None:
        """Send a file."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Send a file's head."""
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        # A page of another site can make its own name mean this machine; the name gives it away.
        known = {f"{name}:{self.server.server_port}" for name in (HOST, "localhost")}
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or hosts[0].lower() not in known:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return
        found = self.server.find(_plain_path(self.path))
        if found is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        kind, content = found
        try:
            data = content if isinstance(content, bytes) else content.read_bytes()
        except OSError:  # removed since it was listed
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if with_body:
            self.wfile.write(data)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer with the status alone and hang up: what was sent along is not read."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            code = HTTPStatus.METHOD_NOT_ALLOWED
        text = f"{HTTPStatus(code).phrase}\n".encode()
        self.send_response(code)
        if code == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.send_header("Content-Type", _TYPES[".txt"])
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def end_headers(self) -> None:
        """Add what every answer carries."""
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep stderr for the command's own words."""


def find_page() -> Path:
    """Find the built page.

    Raises:
        BackendError: it was not built.
    """
    for place in PLACES:
        if (place / INDEX).is_file():
            return place
    raise BackendError(
        "the page is not there: it is built from a source checkout. Run 'make viewer' in one "
        "(it needs Node.js 20.19 or newer)."
    )


def _listed(page: Path) -> dict[str, Path]:
    """Everything of a page that may be asked for, by its path in the address."""
    root = page.resolve()
    if not (root / INDEX).is_file():
        raise BackendError(f"{page}: no page is there. Run 'make viewer'.")
    return {
        name: path
        for path in root.rglob("*")
        if (name := path.relative_to(root).as_posix()) != _WORKER
        and path.is_file()
        and path.resolve().is_relative_to(root)  # no link leads out
    }


def _plain_path(target: str) -> str:
    """A request's path without query, unquoted once; empty where it is no path."""
    if not target.startswith("/") or target.startswith("//"):
        return ""
    try:
        return unquote(urlsplit(target).path, errors="strict")
    except ValueError:
        return ""
