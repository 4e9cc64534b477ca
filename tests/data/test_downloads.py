"""Downloads from a server on this machine, and files of a local folder: only the right bytes are believed."""

import errno
import hashlib
import io
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pushforward.data.downloads import Source, fetch
from pushforward.errors import UserError

FILE = "images.gz"
CONTENT = bytes(range(256)) * 1000
SHA256 = {FILE: hashlib.sha256(CONTENT).hexdigest()}
ARCHIVE = "set.tar.gz"
MEMBERS = {"set/one.bin": CONTENT[::-1], "set/two.bin": b"two" * 1000}
OTHERS = {"set/readme.html": b"<p>", "../outside.bin": b"!"}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        folder = self.path.split("/")[1]
        self.server.asked.append(folder)
        whole = self.server.content
        body = {"altered": whole[:-1] + b"!", "empty": b"", "short": whole[:1000]}.get(folder, whole)
        self.send_response(404 if folder == "missing" else 200)
        self.send_header("Content-Length", str(len(whole) if folder == "truncated" else len(body)))
        self.end_headers()
        self.wfile.write(body[:500] if folder == "truncated" else body)

    def log_message(self, *arguments):
        """Quiet."""


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked, server.content = [], CONTENT
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


def packed(members):
    """A tar.gz of named contents; None makes a folder, a str a link to what it says."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if content is None:
                member.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
            else:
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    return stream.getvalue()


def archived(server, *folders, content=None):
    """The source whose mirrors have an archive of the members, or any other content, in place of the files."""
    server.content = packed({**OTHERS, **MEMBERS}) if content is None else content
    return Source(
        "things",
        source(server, *folders).mirrors,
        {name: hashlib.sha256(member).hexdigest() for name, member in MEMBERS.items()},
        (ARCHIVE, hashlib.sha256(server.content).hexdigest()),
    )


def everything_below(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_archive_is_unpacked_once(server, cache):
    good = archived(server, "good")
    for name in (*MEMBERS, *MEMBERS):
        assert fetch(good, name) == cache / name
    assert everything_below(cache.parent) == {f"things/{name}": content for name, content in MEMBERS.items()}
    assert [entry.name for entry in cache.iterdir()] == ["set"]
    assert server.asked == ["good"]


@pytest.mark.parametrize("altered", [b"", CONTENT[::-1][:-1], None])
def test_an_altered_member_in_the_cache_is_downloaded_again(server, cache, altered):
    good = archived(server, "good")
    path = fetch(good, "set/one.bin")
    path.unlink()
    if altered is not None:
        path.write_bytes(altered)
    assert fetch(good, "set/two.bin").read_bytes() == MEMBERS["set/two.bin"]
    assert server.asked == ["good"]
    assert fetch(good, "set/one.bin").read_bytes() == MEMBERS["set/one.bin"]
    assert server.asked == ["good", "good"]


@pytest.mark.parametrize("bad", ["missing", "altered", "empty", "short", "truncated"])
def test_the_next_mirror_is_asked_for_an_archive(server, cache, bad):
    assert fetch(archived(server, bad, "good"), "set/one.bin").read_bytes() == MEMBERS["set/one.bin"]
    assert server.asked == [bad, "good"]


def assert_nothing_unpacked(source, cache, message):
    with pytest.raises(UserError, match=rf"cannot download set.tar.gz \({message}\); try again, or") as error:
        fetch(source, "set/two.bin")
    assert "set PUSHFORWARD_DATA to a folder that holds things/set/two.bin" in str(error.value)
    assert "\n" not in str(error.value)
    assert not cache.is_dir() or not list(cache.iterdir())


@pytest.mark.parametrize(
    ("bad", "reason"), [("missing", "status 404"), ("altered", "wrong sha256"), ("truncated", "ChunkedEncodingError")]
)
def test_no_good_mirror_of_an_archive(server, cache, bad, reason):
    assert_nothing_unpacked(archived(server, bad), cache, f"127.0.0.1: {reason}")


WHOLE = packed(MEMBERS)
BAD_ARCHIVES = {
    "a member is missing": (packed({"set/two.bin": MEMBERS["set/two.bin"]}), "its set/one.bin is missing or altered"),
    "a member is altered": (packed({**MEMBERS, "set/one.bin": CONTENT}), "its set/one.bin is missing or altered"),
    "a member is empty": (packed({**MEMBERS, "set/one.bin": b""}), "its set/one.bin is missing or altered"),
    "a member is a folder": (packed({**MEMBERS, "set/one.bin": None}), "its set/one.bin is missing or altered"),
    "a member is a link": (packed({**MEMBERS, "set/one.bin": "/etc/passwd"}), "its set/one.bin is missing or altered"),
    "a link leads nowhere": (packed({**MEMBERS, "set/one.bin": "none"}), "its set/one.bin is missing or altered"),
    "no archive": (CONTENT, "not unpacked: ReadError"),
    "nothing": (b"", "not unpacked: ReadError"),
    "half an archive": (WHOLE[: len(WHOLE) // 2], "not unpacked: .*"),
    "a damaged archive": (WHOLE[:300] + bytes(100) + WHOLE[400:], ".*"),
}


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_an_unusable_archive_leaves_nothing(server, cache, case):
    content, message = BAD_ARCHIVES[case]
    assert_nothing_unpacked(archived(server, "good", content=content), cache, message)


def test_a_full_disk_leaves_nothing(server, cache, monkeypatch):
    good = archived(server, "good")

    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    assert_nothing_unpacked(good, cache, "not unpacked: No space left on device")


def test_an_archive_for_a_cache_that_cannot_be_written(server, cache):
    cache.parent.mkdir(parents=True)
    cache.write_text("a file where the folder should be")
    assert_nothing_unpacked(archived(server, "good"), cache, "not unpacked: .*")


def test_members_in_a_local_folder(server, tmp_path, monkeypatch):
    monkeypatch.setenv("PUSHFORWARD_DATA", str(tmp_path))
    good = archived(server, "good")
    path = tmp_path / "things" / "set" / "two.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(MEMBERS["set/two.bin"])
    assert fetch(good, "set/two.bin") == path
    with pytest.raises(UserError, match=r"things/set/one\.bin: No such file or directory"):
        fetch(good, "set/one.bin")
    assert server.asked == []
