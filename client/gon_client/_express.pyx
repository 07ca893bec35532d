"""The client's quick way, natively: ops are coded as they are gathered, a wait is one call from what
is gathered to the answer.

Everything here is a shorter way of what gon_client.link, outbox, intake and pending say, for what
programs do most; whatever is not plain goes their way, from the same state: a frame with a payload,
a link without a short way, an answer with a failure. So nothing is decided here but what to leave
to them.

Rules: the GIL is what makes gathering an op one step; nothing that may let it go, or run other
code, stands between the check of a state and its change.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.list cimport PyList_SetSlice
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.ref cimport Py_DECREF
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove

from gon.clock import SYSTEM_CLOCK
from gon.errors import GonError, RemoteProtocolError
from gon.limits import BATCH_OPS_MAX, HEAD_BYTES_MAX, INLINE_BYTES_MAX, REPEAT_BATCH_OPS
from gon.transport.framing import JOIN_BYTES_MAX
from gon.wire import ops as _ops
from gon.model import CommandTimes
from gon.wire.batch import decode, encode_op
from gon.wire.frame import Kind, plain_word
from gon.wire.versions import TELLING_TIMES
from gon_client.batcher import IDLE_OPS_TARGET
from gon_client.pending import NO_ORIGIN, Answer, is_ours, once_more

from gon.transport._lane cimport Lane, now_ns
from gon.wire._ledger cimport HEADER_BYTES, Ledger, header_field
from gon.wire.packing cimport (
    BYTES_HEAD, NUMBER_BYTES, put_array, put_bytes, put_number, take_array, take_bytes, take_number,
)

cdef extern from "Python.h":
    ctypedef struct PyFrameObject:
        pass
    ctypedef struct PyCodeObject:
        pass
    PyFrameObject* PyEval_GetFrame()
    PyCodeObject* PyFrame_GetCode(PyFrameObject* frame)
    int PyFrame_GetLasti(PyFrameObject* frame)

# Tags of ops, from the table.
cdef extern from "time.h" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int nanosleep(const timespec* wanted, timespec* left)

cdef enum:
    _TAG_WRITE = 3
    _TAG_READ = 4
    _TAG_ALLOCATE = 1
    _TAG_FREE = 2
    _TAG_SYNC = 12
    _TAG_NOTE = 80
    _TAG_TIMES = 81
    _TAG_TELL = 83
    # The times of a command, and when they are told.
    _TIMES = 5
    # The least room an outbox has, and that for the ends of its ops.
    _ROOM = 16384
    _ENDS = 256
    # What an op may take more when it is folded, and its share of what opens the frame.
    _FOLD_BYTES = 32
    _SYNC_BYTES = 2 + 2 * NUMBER_BYTES
    # A write without its bytes.
    _WRITE_BYTES = 2 + 4 * NUMBER_BYTES + BYTES_HEAD
    # What stands before the ops of a frame.
    _OPENING_BYTES = 1 + NUMBER_BYTES + 5
    # Answers of one frame that are taken the quick way.
    _ANSWERS = 64
    # A prefix on a stream, before the head.
    _PREFIX_BYTES = 8
    # The most that a number takes among arguments.
    _NUMBER_BYTES = 8
    # Files whose code was looked at: more than queue work at a time.
    _FILES_KNOWN = 512

assert _ops.Write.__struct_config__.tag == _TAG_WRITE
assert _ops.Read.__struct_config__.tag == _TAG_READ
assert _ops.Allocate.__struct_config__.tag == _TAG_ALLOCATE
assert _ops.Free.__struct_config__.tag == _TAG_FREE
assert _ops.Sync.__struct_config__.tag == _TAG_SYNC
assert _ops.NoteCommand.__struct_config__.tag == _TAG_NOTE
assert _ops.AskTimes.__struct_config__.tag == _TAG_TIMES
assert _ops.TellTimes.__struct_config__.tag == _TAG_TELL

cdef uint64_t _REPLIES = plain_word(Kind.REPLIES)
cdef uint64_t _ACK = plain_word(Kind.ACK)
cdef uint64_t _QUIET = plain_word(Kind.QUIET)
cdef Py_ssize_t _JOIN_BYTES = JOIN_BYTES_MAX
cdef Py_ssize_t _FOLD_OPS = REPEAT_BATCH_OPS
cdef Py_ssize_t _OPS = BATCH_OPS_MAX
cdef Py_ssize_t _HEAD_BYTES = HEAD_BYTES_MAX
# What is left of a head for coded ops.
cdef Py_ssize_t _OPS_BYTES = HEAD_BYTES_MAX - HEADER_BYTES - _OPENING_BYTES
cdef uint32_t _INLINE_BYTES = INLINE_BYTES_MAX
cdef Py_ssize_t _IDLE_OPS = IDLE_OPS_TARGET
cdef object _Launch = _ops.Launch
cdef object _last_code = None


# Whether the code of a file is this package's: every frame between a program and this is asked.
cdef dict _files = {}


cdef object _is_ours(object code):
    known = _files.get(code.co_filename)
    if known is None:
        if len(_files) >= _FILES_KNOWN:
            _files.clear()
        known = _files[code.co_filename] = is_ours(code)
    return known


cdef object caller():
    """Return where the program is: the nearest frame that is not this package's."""
    global _last_code
    cdef PyFrameObject* frame = PyEval_GetFrame()
    if frame == NULL:
        return NO_ORIGIN
    code = <object>PyFrame_GetCode(frame)
    Py_DECREF(code)  # it came with a reference of its own
    if code is not _last_code:
        if _is_ours(code):
            outer = <object>frame
            while _is_ours(outer.f_code) and outer.f_back is not None:
                outer = outer.f_back
            return (outer.f_code, outer.f_lasti)
        _last_code = code
    return (code, PyFrame_GetLasti(frame))


cdef class Outbox:
    """Ops gathered, each coded as it comes; see gon_client.outbox."""

    def __cinit__(self):
        self._room = _ROOM
        self._data = <uint8_t*>PyMem_Realloc(NULL, self._room)
        self._ends_room = _ENDS
        self._ends = <uint32_t*>PyMem_Realloc(NULL, self._ends_room * sizeof(uint32_t))
        if self._data == NULL or self._ends == NULL:
            raise MemoryError
        self._marks = []
        self.first = 1

    def __dealloc__(self):
        PyMem_Free(self._data)
        PyMem_Free(self._ends)

    cdef uint8_t* room(self, Py_ssize_t size) except NULL:
        """Return where an op of up to `size` bytes is coded, for `took` to gather it."""
        cdef uint8_t* data
        cdef uint32_t* ends
        cdef Py_ssize_t room = self._room
        while room - self._size < size:
            room *= 2
        if room != self._room:
            data = <uint8_t*>PyMem_Realloc(self._data, room)
            if data == NULL:
                raise MemoryError
            self._data, self._room = data, room
        if self.count == self._ends_room:
            ends = <uint32_t*>PyMem_Realloc(self._ends, 2 * self._ends_room * sizeof(uint32_t))
            if ends == NULL:
                raise MemoryError
            self._ends, self._ends_room = ends, 2 * self._ends_room
        return self._data + self._size

    cdef Py_ssize_t took(self, Py_ssize_t size, object origin) except -1:
        """Gather the op that was coded in the room; return how many there are now."""
        self._size += size
        self._ends[self.count] = <uint32_t>self._size
        self._marks.append(origin)
        self.count += 1
        return self.count

    cdef Py_ssize_t put(self, const uint8_t* op, Py_ssize_t size, object origin) except -1:
        """Gather a coded op; return how many there are now."""
        memcpy(self.room(size), op, size)
        return self.took(size, origin)

    def add(self, op, origin, Py_ssize_t inline_bytes=0):
        cdef bytes coded = encode_op(op)
        if type(op) is _Launch:
            # Which bytes are keys is not known here: more than a number's may be.
            for arg in op.args:
                if type(arg) is bytes and PyBytes_GET_SIZE(arg) > _NUMBER_BYTES:
                    self.keyed = True
        self.put(<const uint8_t*>PyBytes_AS_STRING(coded), PyBytes_GET_SIZE(coded), origin)
        self.inline_bytes += inline_bytes
        return self.count

    cdef Py_ssize_t _fitting(self) noexcept:
        """Return how many ops, of those gathered, go in one frame: all, but for what finalizers
        gather while its thread sends.
        """
        cdef Py_ssize_t count = min(self.count, _OPS)
        while count > 1 and self._ends[count - 1] > _OPS_BYTES:
            count -= 1
        return count

    cdef bytes _sealed(self, Ledger session, Py_ssize_t count):
        """Number and keep a frame of the first `count` ops; return its head. Nothing else can run
        between that and `_take_out`, so what is gathered goes out once.
        """
        cdef uint8_t[_OPENING_BYTES] opening
        cdef uint8_t* at
        cdef bytes body, head
        cdef Py_ssize_t size = self._ends[count - 1] if count else 0
        session._check()
        if (
            self.folds is not None and not self.keyed and _FOLD_OPS <= count
            and size + _FOLD_BYTES * count < _HEAD_BYTES
        ):
            body = self.folds.fold_coded(self.first, self._data, self._ends, count)
            head = session.seal(
                <const uint8_t*>PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body), NULL, 0
            )
            self.folds.stale = False
            return head
        at = put_array(put_number(put_array(opening, 2), self.first), count)
        return session.seal(opening, at - opening, self._data, size)

    cdef int _take_out(self, Py_ssize_t count) except -1:
        """Forget the first `count` ops, whose origins somebody has."""
        cdef Py_ssize_t size = self._ends[count - 1] if count else 0, index
        cdef uint8_t* data
        cdef uint32_t* ends
        self.first += count
        self.count -= count
        self._size -= size
        # Of what is left only that much is known.
        self.inline_bytes = min(self.inline_bytes, self._size)
        PyList_SetSlice(self._marks, 0, count, <object>NULL)
        if self.count:
            memmove(self._data, self._data + size, self._size)
            for index in range(self.count):
                self._ends[index] = self._ends[index + count] - <uint32_t>size
            return 0
        self.keyed = False
        if self._room > 64 * _ROOM:
            data = <uint8_t*>PyMem_Realloc(self._data, _ROOM)
            if data != NULL:
                self._data, self._room = data, _ROOM
        if self._ends_room > 64 * _ENDS:
            ends = <uint32_t*>PyMem_Realloc(self._ends, _ENDS * sizeof(uint32_t))
            if ends != NULL:
                self._ends, self._ends_room = ends, _ENDS
        return 0

    @property
    def number(self):
        """What the next op's will be."""
        return self.first + self.count

    @property
    def last(self):
        return self.first + self.count - 1

    def seal(self, Ledger session not None):
        cdef uint64_t first = self.first
        cdef Py_ssize_t count = self._fitting()
        # Made before: making it may run the collector, and so code that gathers.
        cdef list marks = self._marks[:count]
        cdef bytes head = self._sealed(session, count)
        self._take_out(count)
        return first, marks, head

    def claim(self, uint64_t count):
        if self.count:
            return 0
        self.first += count
        return self.first - count


cdef bint _take_times(const uint8_t* data, uint32_t size, uint64_t* times) noexcept nogil:
    """Take what answers a question for times; False if it is something else."""
    cdef uint32_t count
    cdef const uint8_t* end = data + size
    cdef const uint8_t* at = take_array(data, end, &count)
    if at == NULL or not _TIMES - 1 <= count <= _TIMES:
        return False
    times[_TIMES - 1] = 0
    for index in range(count):
        at = take_number(at, end, &times[index])
    return at == end


cdef class Express:
    """The quick way of one session link's launches and waits."""

    def __init__(self, link):
        self._link = link
        self._outbox = link._outbox
        self._session = link._session
        self._expected = link._expected
        self._answers = link._expected.answers
        self._batches = link._origins.batches
        self._batcher = link._batcher
        self._pump = link._pump
        self._turn, self._turn_lock = link._turn, link._turn.lock
        self._inside = link._inside.threads
        self._sending = link._sending
        self._unsent, self._unread = link._sending.unfinished, link._unread
        self._cookies = link.cookies
        self._times_tag = _TAG_TELL if link.version >= TELLING_TIMES else _TAG_TIMES
        if link._clock is SYSTEM_CLOCK:
            link._attendance.doze = self.doze

    def doze(self, double tick_s, int ticks):
        """Sleep for a tick, and for others, two at a time, up to `ticks` while the program waits
        and leaves nothing, by the machine's clock; return the number of the first op that was not
        sent before the last sleep. What is looked at is the program's own, read without its lock.
        """
        cdef Outbox outbox = self._outbox
        cdef uint64_t waits, first
        cdef timespec tick
        cdef int together = 1
        with nogil:
            while True:
                waits, first = self.waits, outbox.first
                tick.tv_sec = <long>(together * tick_s)
                tick.tv_nsec = <long>((together * tick_s - <double>tick.tv_sec) * 1e9)
                nanosleep(&tick, NULL)
                ticks -= together
                if ticks <= 0 or self.waits == waits or outbox.count and outbox.first == first:
                    break
                together = 2
        return first

    cdef int queue(self, const uint8_t* op, Py_ssize_t size, object origin) except -1:
        """Gather a coded op that nobody waits for here."""
        self._open()
        self._outbox.put(op, size, origin)
        self._gathered()
        return 0

    cdef int _open(self) except -1:
        """Raise what has ended the session."""
        if self._outbox.ended:
            raise self._link.ending.error()
        return 0

    cdef int _gathered(self) except -1:
        """Send what is gathered if it is worth a frame, or let the pump do so."""
        cdef Py_ssize_t target = self._batcher.ops_target
        if self._outbox.count >= target:
            self._link.send_posted()
        elif self._pump.parked:
            self._pump.wake()
        return 0

    cdef uint64_t _cookie(self) except 0:
        """Return a number for an answer; raise what has ended the session."""
        cdef uint64_t cookie = next(self._cookies)
        if self._outbox.ended:
            raise self._link.ending.error()
        return cookie

    def sync(self, uint64_t stream):
        """Queue a sync of a stream; return its answer."""
        cdef uint8_t[_SYNC_BYTES] op
        cdef SyncAnswer answer = SyncAnswer.__new__(SyncAnswer)
        self.queue(op, self._code_sync(op, stream, answer), NO_ORIGIN)
        return answer

    def sync_now(self, uint64_t stream):
        """Wait for everything queued on a stream; as `sync` and a wait without a limit.

        What the upload before it was told answers it, once: the next one asks the worker again.
        """
        cdef uint8_t[_SYNC_BYTES] op
        if self._uploaded_number == self._outbox.first + self._outbox.count:
            if self._uploaded_stream == stream and not self._outbox.ended:
                self._uploaded_number = 0
                return
        cdef SyncAnswer answer = SyncAnswer.__new__(SyncAnswer)
        # It goes out with the wait, so nobody needs to be told of it.
        self._outbox.put(op, self._code_sync(op, stream, answer), NO_ORIGIN)
        cdef uint64_t number = self._outbox.first + self._outbox.count
        self._wait(answer)
        if answer.error is not None:
            raise once_more(answer.error)
        if not answer.poisoned:
            self._waited_stream, self._waited_number = stream, number

    cdef Py_ssize_t _code_sync(self, uint8_t* op, uint64_t stream, SyncAnswer answer) except -1:
        """Expect an answer to a sync, and code that; return its size."""
        cdef uint64_t cookie = self._cookie()
        answer._express = self
        self._answers[cookie] = answer
        return put_number(put_number(put_number(put_array(op, 3), _TAG_SYNC), stream), cookie) - op

    def note(self, uint64_t stream, uint64_t event):
        """Queue that an event is to be the last command of a stream; return the times of that."""
        cdef TimesAnswer answer = self.times(event)
        answer._put_note(stream)
        self._gathered()
        return answer

    def times(self, uint64_t event):
        """Return the times of the command that an event is, to be asked for."""
        cdef TimesAnswer answer = TimesAnswer.__new__(TimesAnswer)
        answer._express, answer._event = self, event
        return answer

    def prepare(self, uint64_t stream, kernel, grid, block, shared_bytes, tuple args):
        """Return a launch, as RemoteDevice.launch takes one, to be queued again and again."""
        cdef Prepared prepared = Prepared.__new__(Prepared)
        prepared._express, prepared._stream = self, stream
        prepared._coded = encode_op(_ops.Launch(stream, kernel, grid, block, shared_bytes, args))
        return prepared

    def allocate(self, uint64_t buffer, uint64_t size_bytes):
        """Queue a new buffer."""
        cdef uint8_t[2 + 2 * NUMBER_BYTES] op
        cdef uint8_t* at = put_number(put_array(op, 3), _TAG_ALLOCATE)
        at = put_number(put_number(at, buffer), size_bytes)
        self.queue(op, at - op, caller())

    def free(self, uint64_t buffer):
        """Queue the end of a buffer."""
        cdef uint8_t[2 + NUMBER_BYTES] op
        cdef uint8_t* at = put_number(put_number(put_array(op, 2), _TAG_FREE), buffer)
        self.queue(op, at - op, caller())

    def renew(self, uint64_t buffer, uint64_t size_bytes):
        """Queue the end of a buffer, and a new one by the same handle."""
        cdef uint8_t[2 + 2 * NUMBER_BYTES] op
        cdef uint8_t* at = put_number(put_number(put_array(op, 2), _TAG_FREE), buffer)
        origin = caller()
        self._open()
        self._outbox.put(op, at - op, origin)
        at = put_number(put_array(op, 3), _TAG_ALLOCATE)
        at = put_number(put_number(at, buffer), size_bytes)
        self.queue(op, at - op, origin)

    def write(self, uint64_t stream, uint64_t buffer, uint64_t offset, data):
        """Queue a write of at most INLINE_BYTES_MAX contiguous bytes."""
        cdef Py_buffer view
        cdef uint8_t* op
        cdef uint8_t* at
        cdef Py_ssize_t count
        cdef Outbox outbox = self._outbox
        origin = caller()
        if outbox.ended:
            raise self._link.ending.error()
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            op = outbox.room(_WRITE_BYTES + view.len)
            at = put_number(put_number(put_number(put_array(op, 6), _TAG_WRITE), stream), buffer)
            at = put_number(put_number(at, offset), view.len)
            at = put_bytes(at, <const uint8_t*>view.buf, <uint32_t>view.len)
            count = outbox.took(at - op, origin)
            outbox.inline_bytes += view.len
        finally:
            PyBuffer_Release(&view)
        if count >= <Py_ssize_t>self._batcher.ops_target or (
            outbox.inline_bytes >= <Py_ssize_t>self._batcher.bytes_target
        ):
            self._link.send_posted()
        elif self._pump.parked:
            self._pump.wake()

    def read(self, uint64_t stream, uint64_t buffer, uint64_t offset, out):
        """Queue a read into `out`, at most INLINE_BYTES_MAX, writable; return its answer, None if
        that is to be done the long way.
        """
        cdef uint8_t[2 + 5 * NUMBER_BYTES] op
        cdef uint8_t* at
        expected = self._expected
        if not expected.may_ask():
            return None
        origin = caller()
        answer = Answer(self, out, origin)
        cdef uint64_t size = out.nbytes
        cdef uint64_t cookie = self._cookie()
        at = put_number(put_number(put_number(put_array(op, 6), _TAG_READ), stream), buffer)
        at = put_number(put_number(put_number(at, offset), size), cookie)
        expected.asked_bytes += size
        self._answers[cookie] = answer
        self.queue(op, at - op, origin)
        return answer

    @property
    def waited(self):
        """The stream that was waited for last, and what the number of the next op was then."""
        return self._waited_stream, self._waited_number

    def found_quiet(self, uint64_t stream, uint64_t number):
        """Hear that nothing is on its way on a stream, and nothing has failed, as after a wait for
        it, if the next op has that number.
        """
        self._waited_stream, self._waited_number = stream, number

    cdef int _uploaded(self, uint64_t stream, uint64_t number) except -1:
        """Hear of an upload that is there and has left its stream quiet, as `found_quiet` does."""
        self._waited_stream, self._waited_number = stream, number
        self._uploaded_stream, self._uploaded_number = stream, number
        return 0

    def wait(self, answer, timeout_s):
        """Return when the answer is settled, as SessionLink.wait does."""
        if timeout_s is None:
            self._wait(answer)
        else:
            self._link.wait(answer, timeout_s)

    cdef bint broken_off(self) except -1:
        """Return whether a frame is in the middle of something, or was left there: the long way
        ends its link then.
        """
        return self._unsent.link is not None or self._unread.link is not None

    cdef bint take_turn(self) except -1:
        """Take the turn, if it is free and this is no finalizer; `give_turn` is to follow."""
        cdef object here = PyThread_get_thread_ident()
        if here in self._inside:
            return False
        self._inside.append(here)
        if self._turn_lock.acquire(False):
            return True
        self._inside.remove(here)
        return False

    cdef int give_turn(self) except -1:
        """Hand the turn back, and tell those who follow."""
        self._turn_lock.release()
        self._inside.remove(PyThread_get_thread_ident())
        if self._turn.followers:
            self._turn.tell()
        return 0

    cdef int _wait(self, object answer) except -1:
        if not self.take_turn():
            self._link.wait(answer, None)
            return 0
        self.waits += 1
        self._burst_ns = 0
        try:
            self._exchange(answer)
        finally:
            self.give_turn()
        if not answer.settled:
            self._link.wait_on(answer, None)
        self._woke_ns = now_ns()
        if self._burst_ns:
            self._batcher.ends(self._woke_ns / 1e9)
        return 0

    cdef int _send_now(self) except -1:
        """Send what is gathered at once, for it is waited for in a moment."""
        if self.take_turn():
            try:
                self._exchange(None)
            finally:
                self.give_turn()
        if self._outbox.count:
            self._link.send_posted()
        return 0

    cdef int _exchange(self, object answer) except -1:
        """Send what is gathered, and receive one frame if there is an answer to wait for: what
        nearly every wait needs. Needs the turn.
        """
        cdef Outbox outbox = self._outbox
        # Not waited for: who has it may be waiting for the turn.
        if not self._sending.acquire(False):
            return 0
        try:
            if outbox.count:
                if outbox.count > _IDLE_OPS or not self._batcher.settled:
                    self._burst_ns = now_ns()
                    self._batcher.woke_s = self._woke_ns / 1e9
                    self._batcher.begins(self._burst_ns / 1e9)
                    self._batcher.waited(outbox.count)
                if outbox.ended:
                    raise self._link.ending.error()
                if self._expected.large is not None or not self._session.may_keep():
                    return 0
                self._send()
        finally:
            self._sending.release()
        if answer is not None and not outbox.count and not answer.settled:
            self._receive()
            # The first may be no more than the acknowledgement of what was sent before. Others may
            # wait for what it was: then they are told first.
            if not answer.settled and not self._turn.followers:
                self._receive()
        return 0

    cdef int _send(self) except -1:
        """Send the gathered ops as one frame; as SessionLink._send_batch, for a small one."""
        cdef Outbox outbox = self._outbox
        cdef Ledger session = self._session
        cdef bytes head
        cdef list marks
        cdef Py_ssize_t count, size, sent
        if not self._is_quick(0):
            self._link._send_batch(self._link.receive_now)
            return 0
        transport = self._link._link
        cdef Lane lane = transport.lane
        count = outbox._fitting()
        marks = outbox._marks[:count]
        cdef uint64_t first = outbox.first
        head = outbox._sealed(session, count)
        outbox._take_out(count)
        self._batches.append((first, marks))
        # Not told of to the batcher: whoever sends here waits for the answer at once.
        size = PyBytes_GET_SIZE(head)
        self._sent_first, self._sent_ns = first, now_ns()
        sent = lane.put(<const uint8_t*>PyBytes_AS_STRING(head), size)
        if sent != _PREFIX_BYTES + size:
            try:
                self._link.send_rest(transport, head, sent)
            except BaseException:
                self._unsent.link = transport  # as Whole, if it did not get that far
                raise
        return 0

    cdef bint _is_quick(self, Py_ssize_t more_bytes) except -1:
        """Return whether what is gathered, and so much more, goes by the link's lane."""
        return (
            self._session.is_open and self._link._link.lane is not None
            and self._outbox._size + more_bytes <= _JOIN_BYTES - HEADER_BYTES - _OPENING_BYTES
            and not self.broken_off()
        )

    cdef int _receive(self) except -1:
        """Receive one frame and let it take effect; as SessionLink._take."""
        cdef Py_ssize_t size = -1
        link = self._link
        transport = link._link
        cdef Lane lane = transport.lane
        if lane is not None and not self._outbox.ended and not self.broken_off():
            size = lane.take()
            if size >= 0:
                if not self._settle(lane.head, size):
                    try:
                        link.take(None, lane.view(size))
                    except GonError:
                        raise
                    except BaseException:
                        self._unread.link = transport  # as it does, if it did not get that far
                        raise
                return 0
        link.take(None)
        return 0

    cdef bint _settle(self, const uint8_t* head, Py_ssize_t size) except -1:
        """Let a frame take effect if it is nothing but good answers, without payloads."""
        cdef Ledger session = self._session
        cdef const uint8_t* end = head + size
        cdef const uint8_t* at
        cdef uint64_t seq, ack
        cdef uint32_t count, fields, index, other
        cdef uint64_t[_ANSWERS] cookies
        cdef (const uint8_t*)[_ANSWERS] data
        cdef uint32_t[_ANSWERS] sizes
        # Whoever has received it, here or with a large read: times are learnt from it.
        self._received_ns = now_ns()
        if size < HEADER_BYTES or not session.is_open:
            return False
        cdef uint64_t word = header_field(head, 0)
        if (word == _ACK or word == _QUIET) and size == HEADER_BYTES and not header_field(head, 1):
            if word == _QUIET:
                self._quiet_frame = header_field(head, 2)
            return self._acknowledged(header_field(head, 2))
        if word != _REPLIES:
            return False
        seq, ack = header_field(head, 1), header_field(head, 2)
        if seq != session.received + 1 or ack > session.sent:
            return False
        at = take_array(head + HEADER_BYTES, end, &count)
        if at == NULL or count > _ANSWERS:
            return False
        for index in range(count):
            at = take_number(take_array(at, end, &fields), end, &cookies[index])
            if at == NULL or fields != 4 or end - at < 3:
                return False
            data[index], sizes[index] = NULL, 0
            if at[0] == 0xc0:
                at += 1
            else:
                at = take_bytes(at, end, &data[index], &sizes[index])
            # No payload, no failure.
            if at == NULL or end - at < 2 or at[0] != 0 or at[1] != 0xc0:
                return False
            at += 2
            if not self._is_for(cookies[index], data[index], sizes[index]):
                return False
            for other in range(index):
                if cookies[other] == cookies[index]:
                    return False
        if at != end:
            return False
        session.received = seq
        for index in range(count):
            self._apply(cookies[index], data[index], sizes[index])
        # Last, for these may run other code, another thread or the handler of a signal.
        return self._acknowledged(ack)

    cdef bint _acknowledged(self, uint64_t ack) except -1:
        """Forget what the worker has; False where it cannot have that."""
        cdef Ledger session = self._session
        if ack > session.sent:
            return False
        if ack > session.acked:
            session.take_ack(ack)
        if session.acked == session.sent and self._batcher.ops_target != _IDLE_OPS:
            self._batcher.flying(0)
        return True

    cdef bint _is_for(self, uint64_t cookie, const uint8_t* data, uint32_t size) except -1:
        """Return whether an answer of that kind is expected."""
        cdef uint64_t[_TIMES] times
        answer = self._answers.get(cookie)
        if type(answer) is SyncAnswer:
            return data == NULL
        if type(answer) is TimesAnswer:
            return data != NULL and _take_times(data, size, times)
        if type(answer) is not Answer:
            return False
        target = answer.target
        if target is None:
            return data == NULL
        # A large read, whatever answers it, is counted where its pieces are.
        return data != NULL and target.nbytes == size and size <= _INLINE_BYTES

    cdef int _apply(self, uint64_t cookie, const uint8_t* data, uint32_t size) except -1:
        """Settle one answer that `_is_for` has looked at, unless it has failed since then."""
        cdef Py_buffer view
        answer = self._answers.pop(cookie, None)
        if answer is None:
            return 0
        if type(answer) is SyncAnswer:
            (<SyncAnswer>answer).settled = True
            return 0
        if type(answer) is TimesAnswer:
            _take_times(data, size, (<TimesAnswer>answer)._times)
            (<TimesAnswer>answer)._hear()
            return 0
        target = answer.target
        if target is not None:
            PyObject_GetBuffer(target, &view, PyBUF_WRITABLE)
            memcpy(view.buf, data, size)
            PyBuffer_Release(&view)
            self._expected.answered_bytes += size
            answer.target = None
        answer.settled = True
        return 0


cdef class SyncAnswer:
    """The answer to a sync; as gon_client.pending.Answer, without data."""

    target = None
    origin = NO_ORIGIN

    def __repr__(self):
        state = "failed" if self.error else "here" if self.settled else "on its way"
        return f"Answer({state})"

    def done(self):
        return self.settled

    def wait(self, timeout_s=None):
        if not self.settled:
            if timeout_s is None:
                self._express._wait(self)
            else:
                self._express.wait(self, timeout_s)
        if self.error is not None:
            raise once_more(self.error)

    def settle(self, reply, origins):
        if reply.failure is not None:
            self.error = reply.failure.exception(origins.name(reply.failure.number))
        self.poisoned = reply.data is not None
        self.settled = True

    def fail(self, error):
        self.error = error
        self.settled = True


cdef class TimesAnswer(SyncAnswer):
    """The answer to a question for times; as gon_client.remote_timing.TimesAnswer."""

    def ask(self):
        """Ask for the times now, if that was not done."""
        if not self._is_asked:
            self._put_ask()
            self._express._gathered()

    cdef int _put_note(self, uint64_t stream) except -1:
        """Gather that the event is the last command of a stream."""
        cdef uint8_t[2 + 2 * NUMBER_BYTES] op
        cdef uint8_t* at = put_number(put_number(put_array(op, 3), _TAG_NOTE), stream)
        cdef Express express = self._express
        express._open()
        self._number = express._outbox.first + express._outbox.count
        express._outbox.put(op, put_number(at, self._event) - op, NO_ORIGIN)
        return 0

    cdef int _put_ask(self) except -1:
        """Gather the question."""
        cdef uint8_t[2 + 2 * NUMBER_BYTES] op
        cdef uint8_t* at = put_number(put_number(put_array(op, 3), self._express._times_tag), self._event)
        cdef Express express = self._express
        cdef uint64_t cookie = express._cookie()
        self._is_asked = True
        express._answers[cookie] = self
        self._asked_number = express._outbox.first + express._outbox.count
        express._outbox.put(op, put_number(at, cookie) - op, NO_ORIGIN)
        return 0

    @property
    def is_asked(self):
        return self._is_asked

    @property
    def is_latest(self):
        """Whether nothing was queued since it was asked for, or noted if it was not."""
        cdef uint64_t last = self._asked_number if self._is_asked else self._number
        return last and self._express._outbox.number == last + 1

    def wait(self, timeout_s=None):
        self.ask()
        SyncAnswer.wait(self, timeout_s)

    @property
    def times(self):
        return CommandTimes(
            self._times[0], self._times[1], self._times[2], self._times[3], self._times[4]
        )

    @property
    def between_ns(self):
        return self._sent_ns, self._heard_ns

    cdef void _hear(self) noexcept:
        """Note when it has come; and when its command went, if that is known: what is noted is the
        op before the note, so it went with the last frame if that begins with one of the two.
        """
        cdef Express express = self._express
        self._heard_ns = express._received_ns
        self._sent_ns = express._sent_ns if self._number > express._sent_first else 0
        self.settled = True

    def settle(self, reply, origins):
        self._heard_ns = now_ns()
        if reply.failure is None and reply.data is not None:
            told = decode(CommandTimes, reply.data)
            for index in range(_TIMES):
                self._times[index] = told[index]
        elif reply.failure is None:
            raise RemoteProtocolError("a question for times was answered without any")
        else:
            self.error = reply.failure.exception(origins.name(reply.failure.number))
        self.settled = True


cdef class Prepared:
    """A launch that is coded already."""

    def __repr__(self):
        return f"Prepared({len(self._coded)} bytes)"

    def queue(self):
        """Queue the launch."""
        self._express.queue(
            <const uint8_t*>PyBytes_AS_STRING(self._coded), PyBytes_GET_SIZE(self._coded), caller()
        )

    def queue_noted(self, uint64_t event):
        """Queue the launch, and that an event is to be it, with nothing between the two; return its
        times.
        """
        cdef TimesAnswer answer = self._put_noted(event)
        self._express._gathered()
        return answer

    cdef TimesAnswer _put_noted(self, uint64_t event):
        """Gather a launch and its note; return its times."""
        cdef Express express = self._express
        cdef TimesAnswer answer = express.times(event)
        express._open()
        express._outbox.put(
            <const uint8_t*>PyBytes_AS_STRING(self._coded), PyBytes_GET_SIZE(self._coded), caller()
        )
        answer._put_note(self._stream)
        return answer

    def queue_asked(self, uint64_t event):
        """As `queue_noted`, and ask for the times, all of it sent at once."""
        cdef TimesAnswer answer = self._put_noted(event)
        answer._put_ask()
        self._express._send_now()
        return answer
