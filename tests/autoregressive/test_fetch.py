"""Where a file comes from: the user's folder, the cache, the mirrors; on this machine alone."""

import gzip
import hashlib
import io
import multiprocessing
import socket
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from analysis.console import log_to_stderr
from autoregressive.cache import cache_folder
from autoregressive.errors import DataError
from autoregressive.images.fetch import read_from_archive, read_verified

GOOD = b"the published bytes"
SHA = hashlib.sha256(GOOD).hexdigest()


class Mirror(ThreadingHTTPServer):
    """Serves ``files`` (path -> bytes) and lists what was asked for. With a ``barrier``, an answer
    waits until as many requests have come."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.asked, self.barrier = {}, [], threading.Barrier(1)

    def url(self, folder):
        return f"http://127.0.0.1:{self.server_port}/{folder}/"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.server.barrier.wait(60)
        body = self.server.files.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_):
        """Nothing on stderr."""


@pytest.fixture
def mirror():
    with Mirror() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def nobody():
    """An address that refuses connections: a port that is taken but not listened to."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/a/"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.delenv("META_LEARN_DATA", raising=False)
    monkeypatch.setenv("META_LEARN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache" / "set"


def fetch(*mirrors):
    return read_verified("set", "f.gz", SHA, mirrors)


def put(folder, content):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "f.gz").write_bytes(content)


def refused(*mirrors):
    with pytest.raises(DataError) as error:
        fetch(*mirrors)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_cache_folder_is_the_named_one(cache):
    assert cache_folder() == cache.parent


def test_the_cache_folder_is_else_the_platforms(monkeypatch):
    pooch = pytest.importorskip("pooch")
    monkeypatch.delenv("META_LEARN_CACHE")
    assert cache_folder() == pooch.os_cache("meta-learn")


@pytest.mark.parametrize("inside", ["set", "."])
def test_the_users_folder_comes_first(tmp_path, monkeypatch, cache, inside):
    put(tmp_path / "data" / inside, GOOD)
    put(cache, b"never looked at")
    monkeypatch.setenv("META_LEARN_DATA", str(tmp_path / "data"))
    assert fetch() == GOOD


def test_a_users_folder_without_the_file_is_passed_over(tmp_path, monkeypatch, cache):
    put(cache, GOOD)
    monkeypatch.setenv("META_LEARN_DATA", str(tmp_path))
    assert fetch() == GOOD


def test_a_wrong_file_of_the_users_is_refused_and_left_alone(tmp_path, monkeypatch, cache):
    put(tmp_path / "data", b"mine")
    put(cache, GOOD)
    monkeypatch.setenv("META_LEARN_DATA", str(tmp_path / "data"))
    message = refused()
    assert f"expected SHA-256 {SHA}, got {hashlib.sha256(b'mine').hexdigest()}" in message
    assert "unset META_LEARN_DATA" in message
    assert (tmp_path / "data" / "f.gz").read_bytes() == b"mine"


def test_a_users_folder_that_is_none_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("META_LEARN_DATA", str(tmp_path / "typo"))
    assert "is not a folder: correct it or unset it" in refused()


def test_a_download_is_kept(mirror, cache):
    mirror.files["/a/f.gz"] = GOOD
    assert fetch(mirror.url("a")) == GOOD
    assert fetch() == GOOD
    assert [p.name for p in cache.iterdir()] == ["f.gz"]


@pytest.mark.parametrize("wrong", [None, b"", b"something else", GOOD[:-1]])
def test_the_second_mirror_serves_where_the_first_does_not(mirror, cache, wrong):
    mirror.files.update({"/a/f.gz": wrong, "/b/f.gz": GOOD})
    assert fetch(mirror.url("a"), mirror.url("b")) == GOOD
    assert mirror.asked == ["/a/f.gz", "/b/f.gz"]
    assert (cache / "f.gz").read_bytes() == GOOD


@pytest.mark.parametrize("broken", [b"", GOOD[:5], b"something else", GOOD + bytes(2**24)])
def test_a_broken_file_in_the_cache_is_fetched_again(mirror, cache, broken):
    put(cache, broken)
    mirror.files["/a/f.gz"] = GOOD
    assert fetch(mirror.url("a")) == GOOD
    assert (cache / "f.gz").read_bytes() == GOOD


def test_no_network_names_both_ways_out(nobody, cache):
    message = refused(nobody)
    assert f"could not download f.gz ({nobody}: no connection)" in message
    assert "set META_LEARN_DATA" in message and "--data glyphs" in message
    assert list(cache.iterdir()) == []


def test_every_mirrors_failure_is_named(mirror, nobody):
    mirror.files["/b/f.gz"] = b"something else"
    message = refused(mirror.url("a"), mirror.url("b"), nobody)
    assert "/a/: HTTP status 404; " in message
    assert "/b/: what came has another SHA-256; " in message


def test_a_web_page_from_a_mirror_is_called_one(mirror, cache):
    mirror.files["/a/f.gz"] = b"<!DOCTYPE html><html>Sign in</html>"
    assert f"{mirror.url('a')}: a web page came, not the file" in refused(mirror.url("a"))
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("quiet", [True, False])
def test_quiet_covers_downloads(mirror, capfd, quiet):
    mirror.files.update({"/a/f.gz": b"another file", "/b/f.gz": GOOD})
    log_to_stderr(quiet)
    fetch(mirror.url("a"), mirror.url("b"))
    out, err = capfd.readouterr()
    asked = [f"downloading {mirror.url(folder)}f.gz" for folder in "ab"]
    assert (out, err.splitlines()) == ("", [] if quiet else asked)


def test_a_cache_that_cannot_be_written_is_one_clear_error(tmp_path, monkeypatch, mirror):
    (tmp_path / "file").touch()
    monkeypatch.setenv("META_LEARN_CACHE", str(tmp_path / "file" / "cache"))
    mirror.files["/a/f.gz"] = GOOD
    assert "cannot write to the cache folder" in refused(mirror.url("a"))
    assert "set META_LEARN_CACHE to a folder that can be written" in refused(mirror.url("a"))


def test_a_folder_in_the_files_place_is_one_clear_error(cache, mirror):
    (cache / "f.gz").mkdir(parents=True)
    mirror.files["/a/f.gz"] = GOOD
    assert "cannot write to the cache folder" in refused(mirror.url("a"))


def test_two_processes_may_fetch_the_same_file_at_once(mirror, cache):
    put(cache, b"broken")
    mirror.files["/a/f.gz"] = GOOD
    mirror.barrier = threading.Barrier(2)
    job = ("set", "f.gz", SHA, (mirror.url("a"),))
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.starmap(read_verified, [job, job], chunksize=1) == [GOOD, GOOD]
    assert mirror.asked == ["/a/f.gz"] * 2
    assert [(p.name, p.read_bytes()) for p in cache.iterdir()] == [("f.gz", GOOD)]


def test_a_file_is_known_by_the_digest_of_its_packing(tmp_path, monkeypatch, cache):
    packed = gzip.compress(GOOD)
    digest = hashlib.md5(packed).hexdigest()
    put(tmp_path / "data" / "Other" / "raw", packed)
    monkeypatch.setenv("META_LEARN_DATA", str(tmp_path / "data"))
    assert read_verified("set", "f.gz", digest, (), also=("Other",)) == GOOD
    put(tmp_path / "data" / "set", gzip.compress(b"mine"))
    (tmp_path / "data" / "Other" / "raw" / "f.gz").unlink()
    with pytest.raises(DataError, match=f"expected MD5 {digest}, got "):
        read_verified("set", "f.gz", digest, (), also=("Other",))


@pytest.mark.parametrize("folder", [".", "raw"])
def test_the_file_of_another_set_in_a_shared_folder_is_passed_over(
    tmp_path, monkeypatch, mirror, cache, folder
):
    put(tmp_path / "data" / folder, b"of another set")
    monkeypatch.setenv("META_LEARN_DATA", str(tmp_path / "data"))
    mirror.files["/a/f.gz"] = GOOD
    assert read_verified("set", "f.gz", SHA, (mirror.url("a"),), borrowed=True) == GOOD
    put(tmp_path / "data" / "set", b"mine")
    with pytest.raises(DataError, match="is not the published file"):
        read_verified("set", "f.gz", SHA, (mirror.url("a"),), borrowed=True)


MEMBERS = {"f.gz": GOOD, "g.gz": b"the other one"}
DIGESTS = {name: hashlib.md5(content).hexdigest() for name, content in MEMBERS.items()}


def archive(members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as whole:
        for name, content in members.items():
            whole.writestr(f"gzip/{name}", content)
    return file.getvalue()


def fetch_member(name, content, *mirrors):
    sha256 = hashlib.sha256(content).hexdigest()
    return read_from_archive("set", name, DIGESTS, "all.zip", sha256, mirrors)


def test_one_download_of_an_archive_gives_all_its_files(mirror, cache):
    content = archive({**MEMBERS, "h.gz": b"not wanted"})
    mirror.files["/a/all.zip"] = content
    for name, expected in MEMBERS.items():
        assert fetch_member(name, content, mirror.url("a")) == expected
    assert mirror.asked == ["/a/all.zip"]
    assert sorted(p.name for p in cache.iterdir()) == ["f.gz", "g.gz"]


@pytest.mark.parametrize("members", [{"f.gz": b"another"}, {"h.gz": GOOD}])
def test_an_archive_without_the_published_file_is_refused(mirror, cache, members):
    content = archive(members)
    mirror.files["/a/all.zip"] = content
    with pytest.raises(DataError, match=r"does not hold the published f\.gz"):
        fetch_member("f.gz", content, mirror.url("a"))
    assert list(cache.iterdir()) == []


def test_the_users_own_copy_comes_before_an_archive(tmp_path, monkeypatch):
    put(tmp_path / "data" / "SET" / "raw", GOOD)
    monkeypatch.setenv("META_LEARN_DATA", str(tmp_path / "data"))
    assert fetch_member("f.gz", b"no archive") == GOOD
