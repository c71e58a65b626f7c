"""The page's server: real requests over the loopback, honest ones and others."""

from __future__ import annotations

import http.client
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from vqcodec import viewing
from vqcodec.errors import BackendError
from vqcodec.viewing import HOST, Opened, ViewingServer, find_page

NAME = "d'été 100%25 & <b>.vqc"
Get = Callable[..., tuple[int, dict[str, str], bytes]]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A built page, with a file beside it that must not be had."""
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>the page")
    (folder / "assets" / "a.js").write_text("1")
    (folder / "ort.wasm.gz").write_bytes(b"\x1f\x8b")
    (folder / "sw.js").write_text("stays for ever")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    return folder


@pytest.fixture
def server(page: Path) -> Iterator[ViewingServer]:
    """A server in a thread, with a file of a nasty name."""
    with ViewingServer(page, Opened(NAME, b"bytes")) as one:
        thread = threading.Thread(target=one.serve_forever, args=(0.01,))
        thread.start()
        yield one
        one.shutdown()
        thread.join()


@pytest.fixture
def get(server: ViewingServer) -> Get:
    """Ask for a path, below the token unless it is absolute."""

    def ask(path: str, method: str = "GET", host: str = "") -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(HOST, server.server_port, timeout=10)
        target = path if path.startswith("/") else f"/{server.token}/{path}"
        connection.putrequest(method, target, skip_host=bool(host))
        if host:
            connection.putheader("Host", host)
        connection.endheaders()
        answer = connection.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return found

    return ask


def test_the_page_is_served_isolated_and_locked_down(get: Get) -> None:
    status, headers, body = get("")
    assert (status, body) == (200, b"<!doctype html>the page")
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe-inline" not in headers["Content-Security-Policy"]
    assert "Python" not in headers.get("Server", "")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("index.html?local&file=x", "text/html; charset=utf-8"),
        ("assets/a.js", "text/javascript; charset=utf-8"),
        ("ort.wasm.gz", "application/gzip"),
    ],
)
def test_files_have_their_types(get: Get, path: str, kind: str) -> None:
    status, headers, _ = get(path)
    assert (status, headers["Content-Type"]) == (200, kind)
    assert "Content-Encoding" not in headers  # the page unpacks what is packed


def test_the_address_opens_the_file(server: ViewingServer, get: Get) -> None:
    (inner,) = parse_qs(urlsplit(server.url).query)["file"]
    status, headers, body = get(inner)
    assert (status, body) == (200, b"bytes")
    assert headers["Content-Type"] == "application/octet-stream"


def test_a_head_has_no_body(get: Get) -> None:
    status, headers, body = get("assets/a.js", "HEAD")
    assert (status, headers["Content-Length"], body) == (200, "1", b"")
    assert get("nothing", "HEAD")[::2] == (404, b"")


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"]
)
def test_nothing_else_can_be_asked(get: Get, method: str) -> None:
    status, headers, _ = get("", method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/index.html",
        "/wrong/index.html",
        "/{token}x/index.html",
        "/{token}",
        "/./{token}/",
        "../secret.txt",
        "..%2fsecret.txt",
        "%2e%2e/secret.txt",
        "%2e%2e%2fsecret.txt",
        "assets/../../secret.txt",
        "..\\secret.txt",
        "assets/",
        "assets",
        "assets//a.js",
        "./assets/a.js",
        "link.txt",
        "sw.js",
        "file/",
        "file/other.vqc",
        "file/../index.html",
        "index.html%00.txt",
        "%ff%fe",
        "%",
        "http://127.0.0.1/{token}/",
        "/etc/passwd",
        "//etc/passwd",
        "/%2fetc/passwd",
    ],
)
def test_all_other_paths_lead_nowhere(server: ViewingServer, get: Get, path: str) -> None:
    status, _, body = get(path.format(token=server.token))
    assert status in (400, 404)
    assert b"secret" not in body
    assert server.token.encode() not in body


def test_other_names_of_this_machine_are_refused(server: ViewingServer, get: Get) -> None:
    port = server.server_port
    for host in (
        f"evil.example:{port}",
        "127.0.0.1",
        f"127.0.0.1:{port + 1}",
        f"[::1]:{port}",
        ",",
    ):
        status, _, body = get("", host=host)
        assert (status, body) == (421, b"Misdirected Request\n")
    assert get("", host=f"LOCALHOST:{port}")[0] == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /TOKEN/ HTTP/1.1\r\n\r\n",
        b"GET /TOKEN/ HTTP/1.1\r\nHost: HERE\r\nHost: evil\r\n\r\n",
        b"GET /TOKEN/ HTTP/9.9\r\nHost: HERE\r\n\r\n",
        b"\x00\xff\r\n\r\n",
        b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n",
    ],
    ids=["no host", "two hosts", "version", "binary", "long"],
)
def test_odd_requests_get_an_error_and_the_server_goes_on(
    server: ViewingServer, get: Get, request_bytes: bytes
) -> None:
    here = f"{HOST}:{server.server_port}".encode()
    with socket.create_connection((HOST, server.server_port), timeout=10) as line:
        line.sendall(request_bytes.replace(b"TOKEN", server.token.encode()).replace(b"HERE", here))
        line.shutdown(socket.SHUT_WR)
        answer = b""
        while more := line.recv(4096):
            answer += more
    assert b"the page" not in answer
    assert get("")[0] == 200


def test_two_servers_have_two_tokens_and_ports(server: ViewingServer, page: Path) -> None:
    with ViewingServer(page) as other:
        assert other.token != server.token
        assert len(other.token) >= 24
        assert other.server_port != server.server_port
        assert other.url.endswith("/?local")
        assert other.server_address[0] == "127.0.0.1"


def test_a_file_that_went_is_not_found(page: Path, get: Get) -> None:
    (page / "assets" / "a.js").unlink()
    assert get("assets/a.js")[0] == 404


def test_a_taken_port_is_said(server: ViewingServer, page: Path) -> None:
    with pytest.raises(BackendError, match=rf"port {server.server_port} .* is taken .*--port"):
        ViewingServer(page, port=server.server_port)


def test_a_page_that_was_not_built_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewing, "PLACES", (tmp_path / "a", tmp_path / "b"))
    with pytest.raises(BackendError, match="make viewer"):
        find_page()
    with pytest.raises(BackendError, match="make viewer"):
        ViewingServer(tmp_path)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "index.html").touch()
    assert find_page() == tmp_path / "b"


def test_names_of_other_alphabets_are_served(page: Path) -> None:
    name = os.fsdecode(b"\xe6\x97\xa5.vqc")
    with ViewingServer(page, Opened(name, b"")) as server:
        (inner,) = parse_qs(urlsplit(server.url).query)["file"]
        path = viewing._plain_path(f"/{server.token}/{inner}")
        assert server.find(path) == ("application/octet-stream", b"")
