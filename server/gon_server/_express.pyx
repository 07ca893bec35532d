"""The worker's quick way, natively: from a frame to the device and back, for batches of launches,
waits, and bytes that are written and read.

Everything here is a shorter way of what gon_server.conversation and gon_server.executor say, from
the same state; whatever is not plain goes their way: transfers in several pieces, what follows a
failure, a batch that does not look as one should. The device is asked by its port (gon._port).

Rules: a batch is looked at as a whole before any of it runs, so that one that cannot be decoded has
no effect. Nothing of a peer's is believed: every read is bounded by the frame's end.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.buffer cimport PyBUF_READ, PyBUF_SIMPLE, PyBUF_WRITE, PyBuffer_Release, PyObject_GetBuffer
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

import msgspec

from gon.errors import GonError
from gon.limits import BATCH_OPS_MAX, INLINE_BYTES_MAX, OP_NUMBER_MAX
from gon.wire import ops as _ops
from gon.payoff import BLOCKED_S
from gon.wire.batch import Failure, Reply, decode_replies, is_large_read
from gon.wire.frame import Kind, plain_word
from gon.wire.repeats import FOLDED_HEAD

from gon._port cimport Port
from gon.transport._lane cimport Lane, now_ns
from gon_server._replay cimport replay
from gon_server.limits import SLOW_WAIT_S
from gon_server.line import WIDE
from gon.wire._ledger cimport HEADER_BYTES, Ledger, header_field, put_header
from gon.wire._repeats cimport Unfolds
from gon.wire.packing cimport (
    BYTES_HEAD, NUMBER_BYTES, put_array, put_bytes_head, put_number, skip, take_array, take_bytes, take_number,
)

cdef enum:
    _TAG_ALLOCATE = 1
    _TAG_FREE = 2
    _TAG_WRITE = 3
    _TAG_READ = 4
    _TAG_SYNC = 12
    _TAG_LAUNCH = 34
    _TAG_NOTE = 80
    _TAG_TIMES = 81
    _TAG_TELL = 83
    _OPS = 1024
    _PREFIX_BYTES = 8
    # The size of a frame's one payload, behind its header.
    _SIZE_BYTES = 8
    # A frame of one read's bytes, without those.
    _WHOLE_BYTES = HEADER_BYTES + _SIZE_BYTES + 4 + 2 * NUMBER_BYTES
    _FOLDED_HEAD = 0x93
    # What the answers of a frame take on the quick way, what one takes beside its data, and what
    # opens their list.
    _OUT_BYTES = 8192
    _ANSWER_BYTES = 4 + NUMBER_BYTES + BYTES_HEAD
    _OPENING_BYTES = 5
    # The times of a command, and when they are told.
    _TIMES = 5
    _TIMES_BYTES = 1 + _TIMES * NUMBER_BYTES

assert _ops.Allocate.__struct_config__.tag == _TAG_ALLOCATE
assert _ops.Free.__struct_config__.tag == _TAG_FREE
assert _ops.Write.__struct_config__.tag == _TAG_WRITE
assert _ops.Read.__struct_config__.tag == _TAG_READ
assert _ops.Sync.__struct_config__.tag == _TAG_SYNC
assert _ops.Launch.__struct_config__.tag == _TAG_LAUNCH
assert _ops.NoteCommand.__struct_config__.tag == _TAG_NOTE
assert _ops.AskTimes.__struct_config__.tag == _TAG_TIMES
assert _ops.TellTimes.__struct_config__.tag == _TAG_TELL
assert BATCH_OPS_MAX == _OPS
assert FOLDED_HEAD == _FOLDED_HEAD

cdef uint64_t _BATCH = plain_word(Kind.BATCH)
cdef uint64_t _BATCH_AND_PAYLOAD = _BATCH | 1 << 16
cdef uint64_t _REPLIES_AND_PAYLOAD = plain_word(Kind.REPLIES) | 1 << 16
cdef uint64_t _ACK = plain_word(Kind.ACK)
cdef uint64_t _QUIET = plain_word(Kind.QUIET)
# An acknowledgement is owed at the latest after this many batches, however busy the link is.
cdef int _ACK_EVERY = 8
cdef uint64_t _INLINE_BYTES = INLINE_BYTES_MAX
# What takes longer to send says something of the link.
cdef int64_t _BLOCKED_NS = int(BLOCKED_S * 1e9)
cdef uint64_t _OP_NUMBER = OP_NUMBER_MAX
cdef object _WIDE = WIDE
cdef int64_t _SLOW_NS = int(SLOW_WAIT_S * 1e9)
cdef object _decode_op = msgspec.msgpack.Decoder(_ops.AnyOp).decode
cdef object _Write = _ops.Write
cdef object _WritePart = _ops.WritePart
cdef object _RunGraph = _ops.RunGraph

cdef struct Step:
    # An op of the batch being run: its tag, or 0 where it is in `decoded`.
    int tag
    uint64_t stream
    # A launch's kernel, the cookie of what is answered, a note's event; an ask's event is a stream.
    uint64_t subject
    uint64_t buffer
    uint64_t offset
    uint64_t length
    Py_ssize_t at
    # From `at` on: a launch's grid, a write's bytes.
    Py_ssize_t rest_at
    Py_ssize_t size


cdef const uint8_t* _take_dims(const uint8_t* at, const uint8_t* end) noexcept nogil:
    cdef uint32_t count
    cdef uint64_t value
    at = take_array(at, end, &count)
    if at == NULL or count != 3:
        return NULL
    for _ in range(3):
        at = take_number(at, end, &value)
        # As gon.model has it: larger ones are for the long way to tell.
        if at == NULL or value == 0 or value >> 32:
            return NULL
    return at


cdef const uint8_t* _take_args(const uint8_t* at, const uint8_t* end) noexcept nogil:
    cdef uint32_t count, size, fields
    cdef uint64_t value
    cdef const uint8_t* data
    at = take_array(at, end, &count)
    while at != NULL and count:
        count -= 1
        if at >= end:
            return NULL
        if at[0] == 0xc4 or at[0] == 0xc5:
            at = take_bytes(at, end, &data, &size)
        elif at[0] >> 4 == 0x9:
            # A view of a buffer (tag 1, two numbers) or block-local memory (tag 2, one).
            at = take_number(take_array(at, end, &fields), end, &value)
            if at == NULL or not (value == 1 and fields == 3 or value == 2 and fields == 2):
                return NULL
            for _ in range(fields - 1):
                at = take_number(at, end, &value)
        else:
            at = take_number(at, end, &value)
    return at


cdef bint _has_bytes(
    const uint8_t* at, const uint8_t* start, const uint8_t* end, Step* step
) noexcept nogil:
    """Take a write that carries its bytes, as many as it says."""
    cdef const uint8_t* data
    cdef uint32_t size
    at = take_number(take_number(at, end, &step.stream), end, &step.buffer)
    at = take_number(take_number(at, end, &step.offset), end, &step.length)
    if take_bytes(at, end, &data, &size) == NULL or size != step.length:
        return False
    step.rest_at = data - start
    return True


cdef class Express:
    """The quick way of one conversation."""

    cdef object _conversation
    cdef object _executor
    cdef Ledger _session
    cdef Unfolds _unfolds
    cdef Port _port
    # Whether the port is more than none.
    cdef bint _replays
    cdef Step[_OPS] _steps
    cdef list _decoded
    # The last frame that was an upload, after which its stream had nothing left to do.
    cdef uint64_t _quiet_frame
    # Whether the batch's last op is a read whose bytes go as payload.
    cdef bint _ends_large
    # Answers as they are coded, and all of them once one is not of the plain kind.
    cdef uint8_t[_OUT_BYTES] _out
    cdef Py_ssize_t _out_size
    cdef int _answers
    cdef list _replies
    cdef dict _poison
    # What waits long, what is held for it, and the streams of what is in line (gon_server.holding).
    cdef object _holding
    cdef list _held
    cdef set _slow
    cdef set _reading
    cdef list _late

    def __init__(
        self, conversation, executor, Ledger session not None, Unfolds unfolds not None,
        Port port not None,
    ):
        self._conversation = conversation
        self._executor = executor
        self._poison = executor.poison
        self._holding = executor.holding
        self._held, self._slow = self._holding.held, self._holding.slow
        self._reading, self._late = self._holding.reading, self._holding.late
        self._session = session
        self._unfolds = unfolds
        self._port = port
        self._replays = type(port) is not Port

    def converse(self, link, Lane lane not None):
        """Serve a link's plain batches by its lane; return the first head that is not one, None
        where the next frame is to be received the long way.
        """
        cdef Py_ssize_t size
        conversation = self._conversation
        while True:
            if conversation.owed and (conversation.owed >= _ACK_EVERY or not lane.there()):
                self._acknowledge(link, lane)
            size = lane.take()
            if size < 0:
                return None
            if not self._execute(link, lane, lane.head, size):
                return lane.view(size)
            if conversation.downloads or self._held or self._late:
                return None

    cdef int _acknowledge(self, object link, Lane lane) except -1:
        """Tell the client what has taken effect."""
        cdef uint8_t[HEADER_BYTES] word
        cdef Py_ssize_t sent
        self._conversation.owed = 0
        cdef uint64_t last = self._session.received
        tells = self._quiet_frame == last and self._conversation.tells_quiet and self._clean()
        put_header(word, _QUIET if tells else _ACK, 0, last)
        sent = lane.put(word, HEADER_BYTES)
        if sent != _PREFIX_BYTES + HEADER_BYTES:
            link.send_rest(PyBytes_FromStringAndSize(<char*>word, HEADER_BYTES), sent, None)
        return 0

    cdef bint _execute(
        self, object link, Lane lane, const uint8_t* head, Py_ssize_t size
    ) except -1:
        """Let a plain batch take effect and answer it; False if it is not one."""
        cdef Ledger session = self._session
        cdef uint64_t seq, ack, word
        conversation = self._conversation
        if size < HEADER_BYTES:
            return False
        word, seq, ack = header_field(head, 0), header_field(head, 1), header_field(head, 2)
        if seq != session.received + 1 or ack > session.sent:
            return False
        if word == _BATCH_AND_PAYLOAD:
            return self._upload(link, lane, head, size)
        if word != _BATCH:
            return False
        cdef uint64_t first
        cdef const uint8_t* body = head + HEADER_BYTES
        cdef bytes plain = None
        size -= HEADER_BYTES
        if size and body[0] == _FOLDED_HEAD:
            plain = self._unfolds.unfold_coded(body, size)
            body, size = <const uint8_t*>PyBytes_AS_STRING(plain), PyBytes_GET_SIZE(plain)
        cdef Py_ssize_t count = self._look(body, size, &first)
        if count < 0:
            return False
        if ack > session.acked:
            session.take_ack(ack)
        cdef bint ends_large = self._ends_large
        cdef Step* last = &self._steps[count - 1]
        self._run(body, count - ends_large, first)
        session.received = seq
        if plain is not None:
            self._unfolds.commit()
        if self._replies is not None:
            conversation.answer(link, self._all_replies())
        elif not self._answers:
            # What is read tells of it too.
            conversation.owed += not ends_large
        elif not session.may_keep():
            conversation.answer(link, self._all_replies())
        else:
            self._answer(link, lane)
        if ends_large:
            op = _decode_op(PyBytes_FromStringAndSize(<char*>body + last.at, last.size))
            self._download(link, lane, last, op, first + count - 1)
        return True

    cdef bint _upload(
        self, object link, Lane lane, const uint8_t* head, Py_ssize_t size
    ) except -1:
        """Let a write of a whole payload take effect; False if that goes the long way."""
        cdef Ledger session = self._session
        cdef uint64_t seq = header_field(head, 1), ack = header_field(head, 2)
        cdef const uint8_t* end = head + size
        cdef const uint8_t* at = head + HEADER_BYTES + _SIZE_BYTES
        cdef uint64_t first, tag, stream, buffer, offset, length
        cdef uint32_t pair, count, fields
        cdef uint8_t* memory
        cdef Py_ssize_t got
        if size < HEADER_BYTES + _SIZE_BYTES or not self._clean() or self._reading:
            return False
        at = take_array(take_number(take_array(at, end, &pair), end, &first), end, &count)
        at = take_number(take_array(at, end, &fields), end, &tag)
        at = take_number(take_number(at, end, &stream), end, &buffer)
        at = take_number(take_number(at, end, &offset), end, &length)
        # No data but the payload, and nothing else to do.
        if at == NULL or at + 1 != end or at[0] != 0xc0 or pair != 2 or count != 1:
            return False
        if tag != _TAG_WRITE or fields != 6 or length != header_field(head, 3):
            return False
        if not 0 < first <= _OP_NUMBER or length <= _INLINE_BYTES:
            return False
        if self._may_hold() and stream in self._slow:
            return False
        memory = self._port.window(stream, buffer, offset, length, True)
        if memory == NULL:
            return False
        if ack > session.acked:
            session.take_ack(ack)
        got = lane.fill(memory, length)
        if got != <Py_ssize_t>length:
            link.receive_into(
                PyMemoryView_FromMemory(<char*>memory + got, length - got, PyBUF_WRITE)
            )
        session.received = seq
        self._conversation.owed += 1
        self._quiet_frame = seq
        return True

    cdef int _download(
        self, object link, Lane lane, Step* step, object op, uint64_t number
    ) except -1:
        """Send the bytes of a large read at once, or leave that to come."""
        cdef uint8_t* memory = NULL
        cdef bytes head
        cdef int64_t began_ns
        cdef Py_ssize_t sent
        conversation = self._conversation
        downloads = conversation.downloads
        if self._may_wait_long(step):
            reply = self._holding.run(op, number)
            if reply is None:
                conversation.owed += 1  # it is held
            elif reply.size_bytes:
                downloads.add(op, number)
            else:
                conversation.answer(link, [reply])
            return 0
        began_ns = now_ns()
        if self._clean():
            # Frees that were held up until now come first, and not between here and the send.
            downloads.forget_received()
            memory = self._port.window(step.stream, step.buffer, step.offset, step.length, True)
            self._waited(step.stream, began_ns)
        if memory == NULL or not (
            self._session.may_keep() and downloads.may_send_whole(step.length)
        ):
            reply = self._executor.run_op(op, number)
            if reply.size_bytes:
                downloads.add(op, number)
            else:
                conversation.answer(link, [reply])
            return 0
        head = self._keep_whole(step)
        downloads.send_whole(op, self._session.sent)
        conversation.owed = 0
        began_ns = now_ns()
        sent = lane.put_with(
            <const uint8_t*>PyBytes_AS_STRING(head), PyBytes_GET_SIZE(head), memory, step.length
        )
        if sent >= 0:
            payload = PyMemoryView_FromMemory(<char*>memory, step.length, PyBUF_READ)
            link.send_rest(head, sent, None, (payload,))
        if now_ns() - began_ns > _BLOCKED_NS:
            downloads.took(step.length, (now_ns() - began_ns) / 1e9)
        return 0

    cdef bytes _keep_whole(self, Step* step):
        """Number and keep the frame whose payload is all of a read; return its head."""
        cdef uint8_t[_WHOLE_BYTES] frame
        cdef uint8_t* at
        cdef int index
        cdef Ledger session = self._session
        put_header(frame, _REPLIES_AND_PAYLOAD, session.sent + 1, session.received)
        for index in range(_SIZE_BYTES):
            frame[HEADER_BYTES + index] = <uint8_t>(step.length >> (8 * index))
        at = put_array(put_array(frame + HEADER_BYTES + _SIZE_BYTES, 1), 4)
        at = put_number(at, step.subject)
        at[0] = 0xc0  # no data but the payload
        at = put_number(at + 1, step.length)
        at[0] = 0xc0  # no failure
        head = PyBytes_FromStringAndSize(<char*>frame, at + 1 - frame)
        session.keep(head)
        return head

    cdef int _answer(self, object link, Lane lane) except -1:
        """Send the answers that are coded."""
        cdef uint8_t[_OPENING_BYTES] opening
        cdef Py_ssize_t opened = put_array(opening, self._answers) - opening
        cdef bytes head = self._session.seal(opening, opened, self._out, self._out_size)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(head)
        cdef Py_ssize_t sent = lane.put(<const uint8_t*>PyBytes_AS_STRING(head), size)
        if sent != _PREFIX_BYTES + size:
            link.send_rest(head, sent, None)
        if self._conversation.owed:
            self._conversation.owed = 0
        return 0

    def run(self, body):
        """Run the batch in `body`; return its replies, None if it is not a plain one."""
        cdef Py_buffer view
        cdef uint64_t first
        cdef Py_ssize_t count
        PyObject_GetBuffer(body, &view, PyBUF_SIMPLE)
        try:
            count = self._look(<const uint8_t*>view.buf, view.len, &first)
            if count < 0 or self._ends_large:
                return None
            self._run(<const uint8_t*>view.buf, count, first)
        finally:
            PyBuffer_Release(&view)
        return self._all_replies()

    cdef list _all_replies(self):
        """Return the replies of the batch that was run, in order."""
        cdef uint8_t[_OPENING_BYTES] opening
        cdef Py_ssize_t opened
        if self._replies is None:
            opened = put_array(opening, self._answers) - opening
            self._replies = decode_replies(
                PyBytes_FromStringAndSize(<char*>opening, opened)
                + PyBytes_FromStringAndSize(<char*>self._out, self._out_size),
                (),
            )
        return self._replies

    cdef Py_ssize_t _look(self, const uint8_t* body, Py_ssize_t size, uint64_t* first) except -2:
        """Look at a whole batch and note its steps; return their number, -1 if it is not plain."""
        cdef const uint8_t* end = body + size
        cdef const uint8_t* at
        cdef const uint8_t* start
        cdef uint32_t count, fields, index
        cdef uint64_t tag
        cdef Step* step
        self._decoded = None
        self._ends_large = False
        at = take_array(body, end, &count)
        if at == NULL or count != 2:
            return -1
        at = take_array(take_number(at, end, first), end, &count)
        if at == NULL or not 0 < count <= _OPS or not 0 < first[0] <= _OP_NUMBER:
            return -1
        for index in range(count):
            step = &self._steps[index]
            start = at
            at = take_number(take_array(at, end, &fields), end, &tag)
            if at == NULL:
                return -1
            step.at = start - body
            if tag == _TAG_LAUNCH and fields == 7:
                step.tag = _TAG_LAUNCH
                at = take_number(at, end, &step.stream)
                at = take_number(at, end, &step.subject)
                step.rest_at = at - start
                at = take_number(_take_dims(_take_dims(at, end), end), end, &tag)
                at = _take_args(at, end)
            elif tag == _TAG_SYNC and fields == 3:
                step.tag = _TAG_SYNC
                at = take_number(take_number(at, end, &step.stream), end, &step.subject)
            elif tag == _TAG_ALLOCATE and fields == 3:
                step.tag = _TAG_ALLOCATE
                at = take_number(take_number(at, end, &step.buffer), end, &step.length)
            elif tag == _TAG_FREE and fields == 2:
                step.tag = _TAG_FREE
                at = take_number(at, end, &step.buffer)
            elif fields == 3 and (tag == _TAG_NOTE or tag == _TAG_TIMES or tag == _TAG_TELL):
                step.tag = <int>tag
                at = take_number(take_number(at, end, &step.stream), end, &step.subject)
            elif tag == _TAG_READ and fields == 6:
                step.tag = _TAG_READ
                at = take_number(take_number(at, end, &step.stream), end, &step.buffer)
                at = take_number(take_number(at, end, &step.offset), end, &step.length)
                at = take_number(at, end, &step.subject)
                if at == NULL or step.length > _INLINE_BYTES and index != count - 1:
                    return -1
                self._ends_large = step.length > _INLINE_BYTES
            elif tag == _TAG_WRITE and fields == 6 and _has_bytes(at, start, end, step):
                step.tag = _TAG_WRITE
                at = start + step.rest_at + step.length
            else:
                step.tag = 0
                at = skip(start, end)
                if at == NULL or not self._decode(index, start, at - start):
                    return -1
            if at == NULL:
                return -1
            step.size = at - start
        # What follows a batch is msgspec's to complain of.
        return count if at == end else -1

    cdef bint _decode(self, uint32_t index, const uint8_t* at, Py_ssize_t size) except -1:
        """Note an op of another kind; False if it is none, or one that has to do with payloads."""
        try:
            op = _decode_op(PyBytes_FromStringAndSize(<const char*>at, size))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        if (
            is_large_read(op) or type(op) is _WritePart
            or (index == 0 and type(op) is _Write and op.data is None)
        ):
            return False
        if self._decoded is None:
            self._decoded = []
        self._decoded.append(op)
        return True

    cdef int _run(self, const uint8_t* body, Py_ssize_t count, uint64_t first) except -1:
        """Run the steps that were noted; leave cookies of plain answers, or all replies."""
        cdef Py_ssize_t index
        cdef Step* step
        cdef Py_ssize_t next_decoded = 0
        cdef bint clean = self._clean()
        executor = self._executor
        self._answers = self._out_size = 0
        self._replies = None
        index = -1
        while index + 1 < count:
            index += 1
            step = &self._steps[index]
            op = None
            if step.tag == 0:
                op = self._decoded[next_decoded]
                next_decoded += 1
                if (
                    self._replays and clean and not self._reading and type(op) is _RunGraph
                    and replay(executor, self._port, op, first + index)
                ):
                    clean = self._clean()
                    continue
            elif step.tag == _TAG_FREE:
                # What is held may be of this buffer.
                if clean and not self._reading and index + 1 < count and self._renew(step):
                    index += 1
                    continue
            elif clean and not self._may_wait_long(step):
                try:
                    if self._step(step, body):
                        continue
                except GonError as error:
                    op = _decode_op(PyBytes_FromStringAndSize(<char*>body + step.at, step.size))
                    failure = Failure.of(error, type(op).__name__, first + index)
                    self._add(executor.fail(op, failure))
                    clean = False
                    continue
            if op is None:
                op = _decode_op(PyBytes_FromStringAndSize(<char*>body + step.at, step.size))
            self._add(self._holding.run(op, first + index))
            clean = self._clean()
        self._decoded = None
        return 0

    cdef bint _may_wait_long(self, Step* step) except -1:
        """Return whether a step is to go the long way, for it may be held or come behind what is."""
        if step.tag == _TAG_TIMES or step.tag == _TAG_TELL:
            return self._may_hold()
        if step.tag == _TAG_NOTE and self._reading:
            return True  # a question that is held may be for its event
        if self._reading and (step.stream in self._reading or _WIDE in self._reading):
            return True
        return (
            (step.tag == _TAG_SYNC or step.tag == _TAG_READ)
            and self._may_hold() and step.stream in self._slow
        )

    cdef bint _may_hold(self) except -1:
        """Return whether anything is held, or waits that take long are to be."""
        return bool(self._held) or bool(self._slow) and self._holding.told_s is not None

    cdef int _waited(self, uint64_t stream, int64_t began_ns) except -1:
        """Note that a wait has taken long."""
        if now_ns() - began_ns >= _SLOW_NS:
            self._slow.add(stream)
        return 0

    cdef bint _clean(self) noexcept:
        """Return whether nothing is poisoned."""
        return not self._poison

    cdef bint _renew(self, Step* step) except -1:
        """Run the free of a buffer together with the next step, if that makes another of its size
        by the same handle, and it may be the same memory; False if nothing was done.
        """
        cdef Step* made = step + 1
        if made.tag != _TAG_ALLOCATE or made.buffer != step.buffer:
            return False
        executor = self._executor
        return (
            executor.quota.is_plain(made.buffer, made.length)
            and not len(executor.pins)
            and self._port.renew(made.buffer, made.length)
        )

    cdef bint _step(self, Step* step, const uint8_t* body) except -1:
        """Run one step by the device's port; False if that is left to the executor."""
        cdef uint8_t* at
        if step.tag == _TAG_ALLOCATE:
            return False
        if step.tag == _TAG_LAUNCH:
            return self._port.launch(
                step.stream, step.subject, body + step.at, step.rest_at, step.size
            )
        if step.tag == _TAG_NOTE:
            return self._port.note(step.stream, step.subject)
        cdef uint8_t* memory
        if step.tag == _TAG_WRITE:
            memory = self._port.window(step.stream, step.buffer, step.offset, step.length, False)
            if memory == NULL:
                return False
            memcpy(memory, body + step.at + step.rest_at, step.length)
            return True
        cdef uint64_t length = 0
        if step.tag == _TAG_READ:
            length = step.length
        elif step.tag == _TAG_TIMES or step.tag == _TAG_TELL:
            length = _TIMES_BYTES
        if self._replies is not None or self._out_size + _ANSWER_BYTES + length > _OUT_BYTES:
            return False
        at = put_number(put_array(self._out + self._out_size, 4), step.subject)
        cdef int64_t began_ns = now_ns()
        if step.tag == _TAG_SYNC:
            if not self._port.sync(step.stream):
                return False
            self._waited(step.stream, began_ns)
            at[0] = 0xc0
            at += 1
        elif step.tag == _TAG_TIMES or step.tag == _TAG_TELL:
            at = self._put_times(at, step.stream, _TIMES - (step.tag == _TAG_TIMES))
            if at == NULL:
                return False
        else:
            memory = self._port.window(step.stream, step.buffer, step.offset, length, True)
            if memory == NULL:
                return False
            at = put_bytes_head(at, <uint32_t>length)
            memcpy(at, memory, length)
            at += length
            self._waited(step.stream, began_ns)
        # No payload, no failure.
        at[0] = 0
        at[1] = 0xc0
        self._out_size = at + 2 - self._out
        self._answers += 1
        return True

    cdef uint8_t* _put_times(self, uint8_t* at, uint64_t event, int count) except? NULL:
        """Write an answer's data, so many times of a command; NULL if that is left to the executor.
        """
        cdef uint64_t[_TIMES] times
        cdef uint8_t[_TIMES_BYTES] coded
        cdef uint8_t* end = put_array(coded, count)
        if not self._port.times(event, times):
            return NULL
        for index in range(count):
            end = put_number(end, times[index])
        at = put_bytes_head(at, <uint32_t>(end - coded))
        memcpy(at, coded, end - coded)
        return at + (end - coded)

    cdef int _add(self, object reply) except -1:
        if reply is not None:
            self._replies = self._all_replies()
            self._replies.append(reply)
        return 0
