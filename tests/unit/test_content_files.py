"""Contents on a real disk: what is written, what a restart finds, what is never given out."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gon.contents import ContentDigest, digest_of
from gon.limits import CONTENT_BYTES_MAX
from gon_server.content_book import ContentKey
from gon_server.content_files import ContentFiles
from gon_server.sealed import seal

TENANT = "local"
CONTENT = bytes(range(256)) * 8192


@pytest.fixture
def files(tmp_path: Path) -> ContentFiles:
    return ContentFiles(tmp_path / "contents", disk_free_bytes=0)


def key_of(files: ContentFiles, content: bytes = CONTENT, tenant: str = TENANT) -> ContentKey:
    digest = digest_of(files.key_of(tenant), memoryview(content))
    return ContentKey(files.shelf_of(tenant), digest)


def put(files: ContentFiles, content: bytes = CONTENT, key: ContentKey | None = None) -> bool:
    fd = seal("content", content)
    try:
        key = key or key_of(files, content)
        return files.store(key, files.key_of(TENANT), fd, len(content))
    finally:
        os.close(fd)


def read(files: ContentFiles, content: bytes = CONTENT) -> bytes | None:
    fd = files.open(key_of(files, content), files.key_of(TENANT), len(content))
    if fd is None:
        return None
    with os.fdopen(fd, "rb") as file:
        return file.read()


def path_of(tmp_path: Path, key: ContentKey) -> Path:
    return tmp_path / "contents" / key.tenant / key.digest.hex()


def test_what_is_stored_is_read_by_its_owner_alone(files: ContentFiles, tmp_path: Path) -> None:
    assert put(files)
    assert read(files) == CONTENT
    made = path_of(tmp_path, key_of(files))
    assert made.stat().st_mode & 0o777 == 0o600
    for directory in (made.parent, made.parent.parent):
        assert directory.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "contents" / "key").stat().st_mode & 0o777 == 0o600


def test_tenants_have_keys_and_directories_of_their_own(files: ContentFiles) -> None:
    assert files.key_of("a") != files.key_of("b")
    assert files.shelf_of("a") != files.shelf_of("b")
    assert key_of(files, tenant="a").digest != key_of(files, tenant="b").digest


def test_a_content_under_another_digest_is_not_kept(files: ContentFiles, tmp_path: Path) -> None:
    assert not put(files, b"x" * 4096, key_of(files))
    assert list((tmp_path / "contents").glob("*/*")) == []
    assert read(files) is None


def test_the_size_is_part_of_the_digest() -> None:
    assert digest_of(b"k", memoryview(b"")) != digest_of(b"k", memoryview(bytes(8)))
    assert digest_of(b"k", memoryview(bytes(8))) != digest_of(b"l", memoryview(bytes(8)))


def test_a_restart_finds_what_was_kept_in_the_order_of_its_use(
    files: ContentFiles, tmp_path: Path
) -> None:
    contents = [bytes([number]) * (4096 + number) for number in range(4)]
    for content in contents:
        assert put(files, content)
    order = [contents[number] for number in (2, 0, 3, 1)]
    files.remember(tuple(key_of(files, content) for content in order))
    again = ContentFiles(tmp_path / "contents", disk_free_bytes=0)
    found = [(key_of(again, content), len(content)) for content in order]
    assert again.scan() == found
    assert put(again, b"new")
    assert again.scan() == [*found, (key_of(again, b"new"), 3)]
    assert [read(again, content) for content in contents] == contents


def cut(path: Path) -> None:
    os.truncate(path, 100)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def spoil(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"x")
    # A file system's time may be too coarse to tell that it was just now.
    os.utime(path, ns=(1, 1))


def replace_it(path: Path) -> None:
    path.unlink()
    path.write_bytes(bytes(len(CONTENT)))


def link_it(path: Path) -> None:
    other = path.with_name("other")
    path.rename(other)
    path.symlink_to(other)


def link_it_hard(path: Path) -> None:
    os.link(path, path.parent.parent / "elsewhere")


def make_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    "harm", [cut, grow, spoil, replace_it, link_it, link_it_hard, make_a_pipe, Path.unlink]
)
@pytest.mark.parametrize("restart", [False, True])
def test_a_file_that_is_not_what_was_kept_is_never_given_out(
    files: ContentFiles,
    tmp_path: Path,
    harm: Callable[[Path], None],
    restart: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert put(files)
    harm(path_of(tmp_path, key_of(files)))
    if restart:
        files = ContentFiles(tmp_path / "contents", disk_free_bytes=0)
    with caplog.at_level(logging.WARNING):
        assert read(files) is None
    assert "is dropped" in caplog.text
    # It can be kept anew.
    files.remove(key_of(files))
    assert put(files)
    assert read(files) == CONTENT


def test_a_content_is_looked_at_once_after_a_restart(
    files: ContentFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert put(files)
    again = ContentFiles(tmp_path / "contents", disk_free_bytes=0)
    looked: list[int] = []

    class Counted:
        def __init__(self, key: bytes, size_bytes: int) -> None:
            looked.append(size_bytes)
            made = ContentDigest(key, size_bytes)
            self.feed = made.feed
            self.digest = made.digest

    monkeypatch.setattr("gon_server.content_files.ContentDigest", Counted)
    assert [read(again), read(again)] == [CONTENT, CONTENT]
    assert looked == [len(CONTENT)]


def test_what_is_no_content_is_dropped_at_the_start(
    files: ContentFiles, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert put(files)
    shelf = path_of(tmp_path, key_of(files)).parent
    (shelf / ("0" * 64 + ".new")).write_bytes(b"half of it")
    (shelf / "readme").write_bytes(b"x")
    (shelf / ("1" * 64)).write_bytes(b"")
    with (shelf / ("2" * 64)).open("wb") as file:
        file.truncate(CONTENT_BYTES_MAX + 1)
    (shelf / ("3" * 64)).symlink_to("/etc/passwd")
    (shelf / ("4" * 64)).mkdir()
    (tmp_path / "contents" / "strange").mkdir()
    assert ContentFiles(tmp_path / "contents").scan() == [(key_of(files), len(CONTENT))]
    assert {file.name for file in shelf.iterdir()} == {key_of(files).digest.hex(), "4" * 64}
    assert "dropped 5 files" in caplog.text


def test_a_disk_that_would_be_full_takes_nothing(tmp_path: Path) -> None:
    files = ContentFiles(tmp_path / "contents", disk_free_bytes=1 << 60)
    with pytest.raises(OSError, match="would be left"):
        put(files)


def test_a_disk_that_fails_in_the_middle_keeps_nothing(
    files: ContentFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_fd: int, _data: memoryview) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("gon_server.content_files.os.write", full)
        with pytest.raises(OSError, match="No space"):
            put(files)
    assert list((tmp_path / "contents").glob("*/*")) == []
    assert put(files)


def test_a_key_that_was_lost_makes_old_contents_useless(
    files: ContentFiles, tmp_path: Path
) -> None:
    before = key_of(files)
    assert put(files)
    (tmp_path / "contents" / "key").write_bytes(b"short")
    again = ContentFiles(tmp_path / "contents", disk_free_bytes=0)
    assert key_of(again) != before
    assert read(again) is None
    assert again.open(before, again.key_of(TENANT), len(CONTENT)) is None


def test_a_directory_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "contents").write_bytes(b"a file")
    with pytest.raises(OSError, match="exists"):
        ContentFiles(tmp_path / "contents")
