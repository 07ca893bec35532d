"""The worker's quick way, natively: from a frame to the device and back, for batches of launches and
waits.

Everything here is a shorter way of what gon_server.conversation and gon_server.executor say, from
the same state; whatever is not plain goes their way: payloads, large reads, what follows a failure,
a batch that does not look as one should. The device is asked by its port (gon._port).

Rules: a batch is looked at as a whole before any of it runs, so that one that cannot be decoded has
no effect. Nothing of a peer's is believed: every read is bounded by the frame's end.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t, uint32_t, uint64_t

import msgspec

from gon.errors import GonError
from gon.limits import BATCH_OPS_MAX, INLINE_BYTES_MAX, OP_NUMBER_MAX
from gon.wire import ops as _ops
from gon.wire.batch import Failure, Reply, decode_replies, is_large_read
from gon.wire.frame import Kind, plain_word
from gon.wire.repeats import FOLDED_HEAD

from gon._port cimport Port
from gon.transport._lane cimport Lane
from gon_server._replay cimport replay
from gon.wire._ledger cimport HEADER_BYTES, Ledger, header_field
from gon.wire._repeats cimport Unfolds
from gon.wire.packing cimport (
    BYTES_HEAD, NUMBER_BYTES, put_array, put_bytes_head, put_number, skip, take_array, take_bytes, take_number,
)

cdef enum:
    _TAG_READ = 4
    _TAG_SYNC = 12
    _TAG_LAUNCH = 34
    _OPS = 1024
    _PREFIX_BYTES = 8
    _FOLDED_HEAD = 0x93
    # What the answers of a frame take on the quick way, what one takes beside its data, and what
    # opens their list.
    _OUT_BYTES = 8192
    _ANSWER_BYTES = 4 + NUMBER_BYTES + BYTES_HEAD
    _OPENING_BYTES = 5

assert _ops.Read.__struct_config__.tag == _TAG_READ
assert _ops.Sync.__struct_config__.tag == _TAG_SYNC
assert _ops.Launch.__struct_config__.tag == _TAG_LAUNCH
assert BATCH_OPS_MAX == _OPS
assert FOLDED_HEAD == _FOLDED_HEAD

cdef uint64_t _BATCH = plain_word(Kind.BATCH)
# An acknowledgement is owed at the latest after this many batches, however busy the link is.
cdef int _ACK_EVERY = 8
cdef uint64_t _INLINE_BYTES = INLINE_BYTES_MAX
cdef uint64_t _OP_NUMBER = OP_NUMBER_MAX
cdef object _decode_op = msgspec.msgpack.Decoder(_ops.AnyOp).decode
cdef object _Write = _ops.Write
cdef object _WritePart = _ops.WritePart
cdef object _RunGraph = _ops.RunGraph

cdef struct Step:
    # An op of the batch being run: its tag, or 0 where it is in `decoded`.
    int tag
    uint64_t stream
    # A launch's kernel, the cookie of a sync or read.
    uint64_t subject
    uint64_t buffer
    uint64_t offset
    uint64_t length
    Py_ssize_t at
    Py_ssize_t config_at
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
    # Answers as they are coded, and all of them once one is not of the plain kind.
    cdef uint8_t[_OUT_BYTES] _out
    cdef Py_ssize_t _out_size
    cdef int _answers
    cdef list _replies
    cdef dict _poison

    def __init__(
        self, conversation, executor, Ledger session not None, Unfolds unfolds not None,
        Port port not None,
    ):
        self._conversation = conversation
        self._executor = executor
        self._poison = executor.poison
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
                conversation.acknowledge(link)
            size = lane.take()
            if size < 0:
                return None
            if not self._execute(link, lane, lane.head, size):
                return lane.view(size)

    cdef bint _execute(
        self, object link, Lane lane, const uint8_t* head, Py_ssize_t size
    ) except -1:
        """Let a plain batch take effect and answer it; False if it is not one."""
        cdef Ledger session = self._session
        cdef uint64_t seq, ack
        conversation = self._conversation
        if size < HEADER_BYTES or header_field(head, 0) != _BATCH:
            return False
        seq, ack = header_field(head, 1), header_field(head, 2)
        if seq != session.received + 1 or ack > session.sent:
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
        self._run(body, count, first)
        session.received = seq
        if plain is not None:
            self._unfolds.commit()
        if self._replies is not None:
            conversation.answer(link, self._all_replies())
        elif not self._answers:
            conversation.owed += 1
        elif not session.may_keep():
            conversation.answer(link, self._all_replies())
        else:
            self._answer(link, lane)
        return True

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
            if count < 0:
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
                step.config_at = at - start
                at = take_number(_take_dims(_take_dims(at, end), end), end, &tag)
                at = _take_args(at, end)
            elif tag == _TAG_SYNC and fields == 3:
                step.tag = _TAG_SYNC
                at = take_number(take_number(at, end, &step.stream), end, &step.subject)
            elif tag == _TAG_READ and fields == 6:
                step.tag = _TAG_READ
                at = take_number(take_number(at, end, &step.stream), end, &step.buffer)
                at = take_number(take_number(at, end, &step.offset), end, &step.length)
                at = take_number(at, end, &step.subject)
                if at == NULL or step.length > _INLINE_BYTES:
                    return -1
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
        for index in range(count):
            step = &self._steps[index]
            op = None
            if step.tag == 0:
                op = self._decoded[next_decoded]
                next_decoded += 1
                if (
                    self._replays and clean and type(op) is _RunGraph
                    and replay(executor, self._port, op, first + index)
                ):
                    clean = self._clean()
                    continue
            elif clean:
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
            self._add(executor.run_op(op, first + index))
            clean = self._clean()
        self._decoded = None
        return 0

    cdef bint _clean(self) noexcept:
        """Return whether nothing is poisoned."""
        return not self._poison

    cdef bint _step(self, Step* step, const uint8_t* body) except -1:
        """Run one step by the device's port; False if that is left to the executor."""
        cdef uint8_t* at
        if step.tag == _TAG_LAUNCH:
            return self._port.launch(
                step.stream, step.subject, body + step.at, step.config_at, step.size
            )
        cdef uint64_t length = step.length if step.tag == _TAG_READ else 0
        if self._replies is not None or self._out_size + _ANSWER_BYTES + length > _OUT_BYTES:
            return False
        at = put_number(put_array(self._out + self._out_size, 4), step.subject)
        if step.tag == _TAG_SYNC:
            if not self._port.sync(step.stream):
                return False
            at[0] = 0xc0
            at += 1
        else:
            at = put_bytes_head(at, <uint32_t>length)
            if not self._port.read(step.stream, step.buffer, step.offset, length, at):
                return False
            at += length
        # No payload, no failure.
        at[0] = 0
        at[1] = 0xc0
        self._out_size = at + 2 - self._out
        self._answers += 1
        return True

    cdef int _add(self, object reply) except -1:
        if reply is not None:
            self._replies = self._all_replies()
            self._replies.append(reply)
        return 0
