"""gond's hand on builds: obeys the book of builds with real workers, files and time.

    worker ──Build──▶ asked ──▶ book ──▶ Start ──Build──▶ builder ──Built──▶ built ──▶ book ──▶
    Deliver ──Built──▶ worker

Rules: the book decides. Programs and modules are sealed files that gond passes on: it digests the
former and reads nothing of the latter. Only what a builder gave is ever kept. Whoever sends what it
may not is killed, and says so. A large program is digested by a thread beside the loop.
Must not know: leases but for their tenant, grpc, drivers.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor

from gon.clock import Clock
from gon.errors import LeaseRefused, RemoteProtocolError
from gon.limits import CONTENT_STEP_BYTES, LOG_BYTES_MAX, MESSAGE_BYTES_MAX, PROGRAM_BYTES_MAX
from gon.program_limits import built_bytes, sealed_program_bytes
from gon_server.build_effects import (
    Deliver,
    Dismiss,
    Doom,
    Effect,
    Evict,
    Fail,
    Failure,
    Forget,
    Hire,
    Place,
    Start,
    Waiter,
)
from gon_server.builds import BuildBook
from gon_server.leases import LOCAL_TENANT
from gon_server.modules import ModuleKey
from gon_server.orders import Built, Recruit
from gon_server.sealed import check_sealed
from gon_server.supervision import SupervisedWorker

log = logging.getLogger("gond.building")

HireWorker = Callable[[str], Coroutine[None, None, SupervisedWorker]]


def key_of(tenant: str, builds: str, program: int) -> ModuleKey:
    """Return what the module of a program, a sealed file, is found by; `builds` is what it depends
    on besides.
    """
    about = builds.encode()
    digest = hashlib.blake2b(len(about).to_bytes(8, "little") + about, digest_size=32)
    at = 0
    while some := os.pread(program, CONTENT_STEP_BYTES, at):
        digest.update(some)
        at += len(some)
    return ModuleKey(tenant, digest.digest())


def _check_words(order: Built) -> None:
    """Raise RemoteProtocolError for more words than an order to a worker can take."""
    for text, bytes_max in ((order.message, MESSAGE_BYTES_MAX), (order.log, LOG_BYTES_MAX)):
        if len(text.encode()) > bytes_max:
            raise RemoteProtocolError(f"{len(text)} characters of words")


class Building:
    """Builds for one host, on the running asyncio loop. `kept` are units that keep a builder."""

    def __init__(
        self,
        book: BuildBook,
        hire: HireWorker,
        kept: Iterable[str],
        recruit: Callable[[str], Recruit],
        clock: Clock,
        program_bytes: int = 0,
    ) -> None:
        """`recruit` says what a unit's builders are told; `program_bytes` is the most that an
        uploaded program may have.
        """
        self._book = book
        self._hire_worker = hire
        self._kept = frozenset(kept)
        self._recruit_order = recruit
        self._program_bytes_max = sealed_program_bytes(program_bytes)
        self._built_bytes_max = built_bytes(program_bytes)
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._hiring: set[asyncio.Task[None]] = set()
        self._builders: dict[int, SupervisedWorker] = {}
        self._roles: dict[int, int] = {}  # builders by their worker's number
        self._askers: dict[int, SupervisedWorker] = {}
        self._programs: dict[ModuleKey, int] = {}
        self._modules: dict[ModuleKey, int] = {}
        self._underway: dict[int, ModuleKey] = {}
        self._effects: deque[Effect] = deque()
        self._obeying = False
        self._closed = False
        # Digests large programs, beside the loop; it starts when there is one.
        self._digester = ThreadPoolExecutor(1, "gond-programs")

    def __repr__(self) -> str:
        return f"Building({self._book!r})"

    # What workers say -----------------------------------------------------------------------------
    def warm(self, worker: SupervisedWorker) -> None:
        """Hear of a worker that nobody has yet: from the first on a unit that builds keeps one."""
        if worker.builds and worker.unit in self._kept:
            self._obey(self._book.keep(Place(LOCAL_TENANT, worker.unit), self._now_s()))

    def asked(self, tenant: str, worker: SupervisedWorker, number: int, program: int) -> None:
        """Take a worker's question; `program` is a file, ours from now on."""
        try:
            size_bytes = check_sealed(program, self._program_bytes_max)
        except RemoteProtocolError as error:
            os.close(program)
            worker.kill(f"the worker wants nonsense built: {error.message}")
            return
        if size_bytes <= PROGRAM_BYTES_MAX:
            self._ask(tenant, worker, number, program, key_of(tenant, worker.builds, program))
            return
        digesting = self._loop.run_in_executor(
            self._digester, key_of, tenant, worker.builds, program
        )
        digesting.add_done_callback(
            lambda key: self._digested(tenant, worker, number, program, key)
        )

    def _digested(
        self,
        tenant: str,
        worker: SupervisedWorker,
        number: int,
        program: int,
        key: asyncio.Future[ModuleKey],
    ) -> None:
        """Go on with a question whose program took its time to digest."""
        if self._closed or not worker.alive or key.cancelled():
            os.close(program)
        else:
            self._ask(tenant, worker, number, program, key.result())

    def _ask(
        self, tenant: str, worker: SupervisedWorker, number: int, program: int, key: ModuleKey
    ) -> None:
        if self._programs.setdefault(key, program) != program:
            os.close(program)
        self._askers[worker.number] = worker
        waiter = Waiter(worker.number, number)
        self._obey(self._book.ask(Place(tenant, worker.unit), waiter, key, self._now_s()))

    def built(self, worker: SupervisedWorker, order: Built, module: int | None) -> None:
        """Take a builder's answer; `module` is a file, ours from now on."""
        builder = self._roles[worker.number]
        key = self._underway.pop(builder, None)
        try:
            if key is None or order.number != builder or (module is None) != bool(order.code):
                raise RemoteProtocolError("it was not asked")
            _check_words(order)
            size_bytes = 0 if module is None else check_sealed(module, self._built_bytes_max)
        except RemoteProtocolError as error:
            if module is not None:
                os.close(module)
            worker.kill(f"the builder answers nonsense: {error.message}")
            return
        now_s = self._now_s()
        if module is None:
            failure = Failure(order.code, order.message, order.log)
            self._obey(self._book.failed(builder, failure, now_s, last=order.last))
            return
        log.debug("built %r: %d bytes", key, size_bytes)
        self._modules[key] = module
        self._obey(self._book.built(builder, size_bytes, now_s))

    def gone(self, worker: SupervisedWorker) -> None:
        """Hear that a worker is no more, whatever it was."""
        if self._closed:
            return
        builder = self._roles.pop(worker.number, None)
        if builder is not None:
            self._builder_gone(builder, worker.fate)
        if self._askers.pop(worker.number, None) is not None:
            self._obey(self._book.waiter_gone(worker.number))

    # The end --------------------------------------------------------------------------------------
    def stop(self) -> None:
        """Keep no builders from now on; what leases still want is built."""
        self._book.stop()

    def close(self) -> None:
        """Give everything back. The workers end with the fleet."""
        self._closed = True
        self._digester.shutdown(wait=False, cancel_futures=True)
        if self._timer is not None:
            self._timer.cancel()
        for task in self._hiring:
            task.cancel()
        for files in (self._programs, self._modules):
            for fd in files.values():
                os.close(fd)
            files.clear()
        log.info("%s; %s", self._book.statistics(), self._book.cache.statistics())

    # Obeying the book -----------------------------------------------------------------------------
    def _obey(self, effects: Iterable[Effect]) -> None:
        """Obey the effects, after those that are being obeyed: a worker may be lost meanwhile."""
        self._effects.extend(effects)
        if self._obeying:
            return
        self._obeying = True
        try:
            while self._effects:
                self._step(self._effects.popleft())
        finally:
            # Whatever goes wrong with one effect must not end all builds.
            self._obeying = False
            self._schedule()

    def _step(self, effect: Effect) -> None:
        match effect:
            case Hire(builder=builder, place=place):
                hired = self._hire_worker(place.unit)
                task = self._loop.create_task(self._recruit(builder, place, hired))
                self._hiring.add(task)
                task.add_done_callback(self._hiring.discard)
            case Start(builder=builder, key=key) if builder in self._builders:
                self._start(builder, key)
            case Dismiss(builder=builder, reason=reason) if builder in self._builders:
                log.debug("builder %d ends: %s", builder, reason)
                self._builders[builder].end(reason)
            case Doom(builder=builder, reason=reason) if builder in self._builders:
                self._builders[builder].kill(f"worker killed: {reason}")
            case Deliver(waiter=waiter, key=key) if waiter.worker in self._askers:
                self._askers[waiter.worker].answer(Built(waiter.number), self._modules[key])
            case Fail(waiter=waiter, failure=failure) if waiter.worker in self._askers:
                order = Built(waiter.number, failure.code, failure.message, failure.log)
                self._askers[waiter.worker].answer(order, None)
            case Forget(key=key):
                os.close(self._programs.pop(key))
            case Evict(key=key):
                os.close(self._modules.pop(key))
            case _:
                log.debug("%r: it is gone", effect)

    def _start(self, builder: int, key: ModuleKey) -> None:
        log.debug("builder %d builds %r", builder, key)
        self._underway[builder] = key
        if not self._builders[builder].build(builder, self._programs[key]):
            self._underway.pop(builder, None)
            self._obey(self._book.not_begun(builder, self._now_s()))

    async def _recruit(
        self, builder: int, place: Place, hired: Coroutine[None, None, SupervisedWorker]
    ) -> None:
        """Make a worker the builder that the book counts on."""
        try:
            worker = await hired
            self._builders[builder] = worker
            self._roles[worker.number] = builder
            await worker.recruit(self._recruit_order(place.unit))
        except LeaseRefused as error:
            log.error("no builder for %s on unit %s: %s", place.tenant, place.unit, error.message)
            self._builder_gone(builder, error.message)
            return
        log.debug("builder %d of %s is %r", builder, place.tenant, worker)
        self._obey(self._book.ready(builder, self._now_s()))

    def _builder_gone(self, builder: int, reason: str) -> None:
        self._builders.pop(builder, None)
        key = self._underway.pop(builder, None)
        if key is not None:
            log.warning("builder %d is gone while it built %r: %s", builder, key, reason)
        self._obey(self._book.gone(builder, reason, self._now_s()))

    def _now_s(self) -> float:
        return self._clock.now_s()

    def _schedule(self) -> None:
        """Come back when the next wait is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline_s = self._book.next_deadline_s()
        if deadline_s is not None:
            delay_s = max(0.0, deadline_s - self._now_s())
            self._timer = self._loop.call_later(delay_s, self._expire)

    def _expire(self) -> None:
        self._obey(self._book.expire(self._now_s()))
