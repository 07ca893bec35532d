from libc.stdint cimport uint64_t

from gon._port cimport Port


cdef bint replay(object executor, Port port, object op, uint64_t number) except -1
