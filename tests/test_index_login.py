"""A package index that wants a login is named as that, and nothing waits for an answer."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler

import pytest
from conftest import on_terminal, served


@pytest.fixture
def index():
    """The address of an index that answers as one does that wants a login."""

    class Login(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="packages"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_) -> None:
            pass

    with served(Login) as address:
        yield f"{address}/simple"


MESSAGE = (
    "the package index refuses what was asked (401, 403): it wants a login, or another one\r\nfix: pip config set "
)


def test_index_that_wants_a_login_is_named_and_nobody_is_asked(clone, index, tmp_path):
    """At a terminal, where pip would ask for a name: for uv, which is not in this cache yet."""
    clone.environment |= {
        "PIP_INDEX_URL": index,
        "PIP_CONFIG_FILE": "/dev/null",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    status, screen = on_terminal(clone, ["timeout", "--foreground", "20", "make", "venv"], "")
    assert status == 2, screen
    assert f"error: venv: {MESSAGE}" in screen


def test_uv_names_it_too(lab, index, tmp_path):
    """And make lock does not take it for bounds that have no solution."""
    settings = {"PIP_INDEX_URL": index, "PIP_CONFIG_FILE": "/dev/null", "UV_CACHE_DIR": str(tmp_path / "uv")}
    run = lab.run(".venv/bin/python", "-m", "env.lock", "lock", **settings)
    assert f"error: lock: {MESSAGE}".replace("\r", "") in run.stderr, run.stderr
