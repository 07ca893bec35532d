"""gond's hand on contents: obeys the book of contents with real files and workers.

    worker ──Find──▶ book ──▶ Open ──▶ [reading thread] files.open ──Found + file──▶ worker
    worker ──Offer──▶ book ──▶ Store ──▶ [writing thread] files.store ──Taken──▶ worker

Rules: the book decides. The loop never reads, digests or writes a content: one thread does what
reads, one what writes, and removes, in order. What a worker offers is believed to be nothing until
its digest says so. Whatever fails costs a transfer only, and is logged, once for as long as it
goes on. Must not know: leases but for their tenant, grpc, drivers.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from gon.errors import RemoteProtocolError
from gon.limits import CONTENT_BYTES_MAX, CONTENT_DIGEST_BYTES, CONTENT_STOP_S
from gon_server.content_book import (
    Asker,
    ContentBook,
    ContentKey,
    Effect,
    Open,
    Refuse,
    Remove,
    Store,
    Thank,
)
from gon_server.content_files import ContentFiles
from gon_server.orders import Find, Found, Offer
from gon_server.sealed import check_sealed
from gon_server.supervision import SupervisedWorker

log = logging.getLogger("gond.contents")


class ContentStore:
    """Keeps contents for one host, on the running asyncio loop; without `files` it keeps none."""

    def __init__(self, book: ContentBook, files: ContentFiles | None) -> None:
        self._book = book
        self._files = files
        self._loop = asyncio.get_running_loop()
        self._reading = ThreadPoolExecutor(1, "gond-contents-read")
        self._writing = ThreadPoolExecutor(1, "gond-contents-write")
        self._askers: dict[int, SupervisedWorker] = {}
        # What each tenant's digests are keyed with, by its shelf.
        self._keys: dict[str, bytes] = {}
        self._failing = ""
        self._closed = False
        if files is not None:
            self._obey(book.restore(files.scan()))

    def __repr__(self) -> str:
        return f"ContentStore({self._book!r})"

    def key_of(self, tenant: str) -> bytes:
        """Return what a tenant's digests are keyed with; empty where nothing is kept."""
        return b"" if self._files is None else self._files.key_of(tenant)

    def heard(
        self, tenant: str | None, worker: SupervisedWorker, order: Find | Offer, fd: int | None
    ) -> None:
        """Take what a worker asks or offers; `fd` is a file, ours from now on."""
        self._askers[worker.number] = worker
        try:
            if tenant is None or self._files is None:
                raise RemoteProtocolError("contents are not kept for it")
            if len(order.digest) != CONTENT_DIGEST_BYTES or (fd is None) == isinstance(
                order, Offer
            ):
                raise RemoteProtocolError("it speaks of a content wrongly")
            if isinstance(order, Offer) and fd is not None:
                check_sealed(fd, CONTENT_BYTES_MAX)
        except RemoteProtocolError as error:
            if fd is not None:
                os.close(fd)
            worker.kill(f"the worker wants nonsense kept: {error.message}")
            return
        key = ContentKey(self._shelf_of(tenant), order.digest)
        if isinstance(order, Find):
            asker = Asker(worker.number, order.number)
            self._obey(self._book.find(asker, key, order.size_bytes))
        elif fd is not None:
            size_bytes = os.fstat(fd).st_size
            self._obey(self._book.offer(worker.number, key, size_bytes), fd)

    def gone(self, worker: SupervisedWorker) -> None:
        """Hear that a worker is no more."""
        if self._askers.pop(worker.number, None) is not None:
            self._book.worker_gone(worker.number)

    async def stop(self) -> None:
        """Finish what is being written, within a bound, and let the next start know the order."""
        if self._files is None or self._closed:
            return
        last = self._loop.run_in_executor(self._writing, self._files.remember, self._book.keys())
        await asyncio.wait((last,), timeout=CONTENT_STOP_S)

    def close(self) -> None:
        """Give everything back."""
        self._closed = True
        for pool in (self._reading, self._writing):
            pool.shutdown(wait=False, cancel_futures=True)
        if self._files is not None:
            log.info("%s", self._book.statistics())

    def _shelf_of(self, tenant: str) -> str:
        assert self._files is not None, "asked only where contents are kept"
        shelf = self._files.shelf_of(tenant)
        self._keys[shelf] = self._files.key_of(tenant)
        return shelf

    # Obeying the book -----------------------------------------------------------------------------
    def _obey(self, effects: Iterable[Effect], offered: int | None = None) -> None:
        """Obey the effects; `offered` is the file that one of them may be about, closed if not."""
        for effect in effects:
            match effect:
                case Open():
                    self._open(effect)
                case Refuse(asker=asker):
                    self._answer(asker, None)
                case Store():
                    assert offered is not None, "only an offer is stored"
                    self._store(effect, offered)
                    offered = None
                case Thank(worker=number):
                    if number in self._askers:
                        self._askers[number].content_taken()
                case Remove(key=key):
                    if self._files is not None:
                        self._writing.submit(self._files.remove, key)
        if offered is not None:
            os.close(offered)

    def _open(self, effect: Open) -> None:
        assert self._files is not None, "nothing is kept"
        key = effect.key
        opening = self._loop.run_in_executor(
            self._reading, self._files.open, key, self._keys[key.tenant], effect.size_bytes
        )
        opening.add_done_callback(partial(self._opened, effect))

    def _opened(self, effect: Open, opening: asyncio.Future[int | None]) -> None:
        if opening.cancelled():
            return
        fd = opening.result()
        if fd is None:
            self._obey(self._book.lost(effect.asker, effect.key))
            return
        try:
            self._answer(effect.asker, fd)
        finally:
            os.close(fd)

    def _store(self, effect: Store, fd: int) -> None:
        assert self._files is not None, "nothing is kept"
        key = effect.key
        storing = self._loop.run_in_executor(
            self._writing, self._files.store, key, self._keys[key.tenant], fd, effect.size_bytes
        )
        storing.add_done_callback(partial(self._stored, effect, fd))

    def _stored(self, effect: Store, fd: int, storing: asyncio.Future[bool]) -> None:
        # The thread has done with it, or has never begun.
        os.close(fd)
        if storing.cancelled():
            return
        try:
            kept = storing.result()
        except OSError as error:
            self._complain(error.strerror or str(error))
            self._obey(self._book.refused(effect.key))
            return
        if not kept:
            log.warning("worker %d offered another content as %r", effect.worker, effect.key)
            self._obey(self._book.refused(effect.key))
            return
        self._failing = ""
        log.debug("content %r is kept: %d bytes", effect.key, effect.size_bytes)
        self._obey(self._book.stored(effect.key))

    def _answer(self, asker: Asker, fd: int | None) -> None:
        worker = self._askers.get(asker.worker)
        if worker is not None:
            worker.found(Found(asker.number), fd)

    def _complain(self, why: str) -> None:
        if why != self._failing:
            self._failing = why
            log.warning("contents are not kept: %s", why)


def open_store(directory: Path, *, bytes_max: int, tenant_bytes_max: int) -> ContentStore:
    """Return the store below a state directory; one that keeps nothing where `bytes_max` is 0, or
    the directory cannot be used.
    """
    book = ContentBook(bytes_max=bytes_max, tenant_bytes_max=tenant_bytes_max)
    if not bytes_max:
        return ContentStore(book, None)
    try:
        return ContentStore(book, ContentFiles(directory / "contents"))
    except OSError as error:
        log.warning("no contents are kept: %s", error)
        return ContentStore(book, None)
