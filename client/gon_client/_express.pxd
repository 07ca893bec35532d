from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from gon.wire._ledger cimport Ledger
from gon.wire._repeats cimport Folds


cdef class Express
cdef class SyncAnswer

cdef class Outbox:
    cdef uint8_t* _data
    cdef Py_ssize_t _size
    cdef Py_ssize_t _room
    # Where each op ends in `_data`, with room for as many.
    cdef uint32_t* _ends
    cdef Py_ssize_t _ends_room
    cdef list _marks
    cdef public Folds folds
    cdef readonly uint64_t first
    cdef readonly Py_ssize_t count
    cdef readonly Py_ssize_t inline_bytes
    cdef public bint ended
    # Whether there are keys among what is gathered: folded batches are remembered, these are not to
    # be.
    cdef bint keyed

    cdef uint8_t* room(self, Py_ssize_t size) except NULL
    cdef Py_ssize_t took(self, Py_ssize_t size, object origin) except -1
    cdef Py_ssize_t put(self, const uint8_t* op, Py_ssize_t size, object origin) except -1
    cdef Py_ssize_t _fitting(self) noexcept
    cdef bytes _sealed(self, Ledger session, Py_ssize_t count)
    cdef int _take_out(self, Py_ssize_t count) except -1


cdef class SyncAnswer:
    cdef Express _express
    cdef readonly bint settled
    # Something else than what was waited for has failed.
    cdef readonly bint poisoned
    cdef readonly object error


cdef class TimesAnswer(SyncAnswer):
    cdef uint64_t[5] _times
    cdef uint64_t _event
    cdef bint _is_asked
    cdef uint64_t _asked_number
    # The number of the op that noted the command, 0 if that is not known.
    cdef uint64_t _number
    cdef int64_t _sent_ns
    cdef int64_t _heard_ns

    cdef int _put_note(self, uint64_t stream) except -1
    cdef int _put_ask(self) except -1
    cdef void _hear(self) noexcept


cdef class Express:
    cdef object _link
    cdef Outbox _outbox
    cdef Ledger _session
    cdef object _expected
    cdef dict _answers
    cdef object _batcher
    cdef object _pump
    cdef object _turn
    cdef object _turn_lock
    # The threads in the middle of something: see gon_client.interruption.
    cdef list _inside
    cdef object _sending
    # What was broken off of sending and of receiving (gon_client.interruption).
    cdef object _unsent
    cdef object _unread
    cdef object _batches
    cdef object _cookies
    # Of what asks for times, as the host knows it.
    cdef uint64_t _times_tag
    cdef public uint64_t waits
    cdef uint64_t _waited_stream
    cdef uint64_t _waited_number
    # The last frame sent by the short way: its first op, and when it went; when the last frame came.
    cdef uint64_t _sent_first
    cdef int64_t _sent_ns
    cdef int64_t _received_ns
    # When the last wait was over; when one began that ends a burst, 0 for none.
    cdef int64_t _woke_ns
    cdef int64_t _burst_ns
    # The frame whose acknowledgement has told that its stream was quiet.
    cdef uint64_t _quiet_frame
    # The stream of the last upload that has left it quiet, and the number of the next op then.
    cdef uint64_t _uploaded_stream
    cdef uint64_t _uploaded_number
    # What moves whole arrays natively (gon_client._mapped, _transfers), None for nothing.
    cdef public object copies
    # Set while a graph is captured: launches go the long way, which knows of that.
    cdef public bint capturing

    cdef uint64_t _cookie(self) except 0
    cdef Py_ssize_t _code_sync(self, uint8_t* op, uint64_t stream, SyncAnswer answer) except -1
    cdef bint broken_off(self) except -1
    cdef bint take_turn(self) except -1
    cdef int give_turn(self) except -1
    cdef int _wait(self, object answer) except -1
    cdef int _send_now(self) except -1
    cdef int queue(self, const uint8_t* op, Py_ssize_t size, object origin) except -1
    cdef int _open(self) except -1
    cdef int _gathered(self) except -1
    cdef int _exchange(self, object answer) except -1
    cdef int _send(self) except -1
    cdef bint _is_quick(self, Py_ssize_t more_bytes) except -1
    cdef int _receive(self) except -1
    cdef bint _settle(self, const uint8_t* head, Py_ssize_t size) except -1
    cdef bint _acknowledged(self, uint64_t ack) except -1
    cdef bint _is_for(self, uint64_t cookie, const uint8_t* data, uint32_t size) except -1
    cdef int _uploaded(self, uint64_t stream, uint64_t number) except -1
    cdef int _apply(self, uint64_t cookie, const uint8_t* data, uint32_t size) except -1


cdef class Prepared:
    cdef Express _express
    cdef uint64_t _stream
    cdef bytes _coded

    cdef TimesAnswer _put_noted(self, uint64_t event)


cdef object caller()
