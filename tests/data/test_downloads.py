"""Downloads from a server on this machine, and files of a local folder: only the right bytes are believed."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pushforward.data.downloads import Source, fetch
from pushforward.errors import UserError

FILE = "images.gz"
CONTENT = bytes(range(256)) * 1000
SHA256 = {FILE: hashlib.sha256(CONTENT).hexdigest()}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        folder = self.path.split("/")[1]
        self.server.asked.append(folder)
        body = {"altered": CONTENT[:-1] + b"!", "empty": b"", "short": CONTENT[:1000]}.get(folder, CONTENT)
        self.send_response(404 if folder == "missing" else 200)
        self.send_header("Content-Length", str(len(CONTENT) if folder == "truncated" else len(body)))
        self.end_headers()
        self.wfile.write(body[:5000] if folder == "truncated" else body)

    def log_message(self, *arguments):
        """Quiet."""


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("PUSHFORWARD_DATA", raising=False)
    return tmp_path / "pushforward" / "things"


def source(server, *folders):
    return Source("things", tuple(f"http://127.0.0.1:{server.server_port}/{folder}/" for folder in folders), SHA256)


def test_download_is_cached(server, cache):
    good = source(server, "good")
    path = fetch(good, FILE)
    assert path == cache / FILE
    assert path.read_bytes() == CONTENT
    assert fetch(good, FILE) == path
    assert server.asked == ["good"]
    assert [entry.name for entry in cache.iterdir()] == [FILE]


@pytest.mark.parametrize("bad", ["missing", "altered", "empty", "short", "truncated"])
def test_the_next_mirror_is_asked(server, cache, bad):
    assert fetch(source(server, bad, "good"), FILE).read_bytes() == CONTENT
    assert server.asked == [bad, "good"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("missing", "status 404"),
        ("altered", "wrong sha256"),
        ("empty", "wrong sha256"),
        ("short", "wrong sha256"),
        ("truncated", "ChunkedEncodingError"),
    ],
)
def test_no_good_mirror(server, cache, bad, reason):
    with pytest.raises(UserError, match=rf"cannot download images.gz \(127.0.0.1: {reason}\)") as error:
        fetch(source(server, bad), FILE)
    assert "set PUSHFORWARD_DATA to a folder that holds things/images.gz" in str(error.value)
    assert "\n" not in str(error.value)
    assert not cache.exists() or not list(cache.iterdir())


def test_no_server(server, cache):
    gone = source(server, "good")
    server.server_close()
    with pytest.raises(UserError, match=r"cannot download images.gz \(127.0.0.1: "):
        fetch(gone, FILE)


def test_an_altered_file_in_the_cache_is_downloaded_again(server, cache):
    cache.mkdir(parents=True)
    (cache / FILE).write_bytes(CONTENT[:-1])
    assert fetch(source(server, "good"), FILE).read_bytes() == CONTENT


def test_a_cache_that_cannot_be_written(server, cache):
    cache.parent.mkdir(parents=True)
    cache.write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"cannot download images.gz"):
        fetch(source(server, "good"), FILE)


def test_local_folder(server, tmp_path, monkeypatch):
    monkeypatch.setenv("PUSHFORWARD_DATA", str(tmp_path))
    good = source(server, "good")
    path = tmp_path / "things" / FILE
    with pytest.raises(UserError, match=r"things/images.gz: No such file or directory \(PUSHFORWARD_DATA is set to"):
        fetch(good, FILE)
    path.parent.mkdir()
    for wrong in (b"", CONTENT[:-1], CONTENT[:-1] + b"!"):
        path.write_bytes(wrong)
        with pytest.raises(UserError, match=rf"images.gz \({len(wrong):,} bytes\) is truncated or altered") as error:
            fetch(good, FILE)
        assert "\n" not in str(error.value)
    path.write_bytes(CONTENT)
    assert fetch(good, FILE) == path
    assert server.asked == []
