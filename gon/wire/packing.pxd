# Msgpack by hand, for the few shapes that nearly every frame has: writing them, and reading them
# strictly. What is written is what msgspec writes; what the readers do not take is msgspec's to
# read, so each says only whether it took what it found.
#
# Rules: a reader never looks at or beyond `end`; nothing is allocated.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

# The most bytes an unsigned number takes, and the head of a string of bytes.
cdef enum:
    NUMBER_BYTES = 9
    BYTES_HEAD = 5


cdef inline uint8_t* put_number(uint8_t* at, uint64_t value) noexcept nogil:
    """Write an unsigned number; return where the next thing goes."""
    cdef int shift
    if value < 0x80:
        at[0] = <uint8_t>value
        return at + 1
    if value < 0x100:
        at[0] = 0xcc
        at[1] = <uint8_t>value
        return at + 2
    if value < 0x10000:
        at[0] = 0xcd
        at[1] = <uint8_t>(value >> 8)
        at[2] = <uint8_t>value
        return at + 3
    if value >> 32 == 0:
        at[0] = 0xce
        at[1] = <uint8_t>(value >> 24)
        at[2] = <uint8_t>(value >> 16)
        at[3] = <uint8_t>(value >> 8)
        at[4] = <uint8_t>value
        return at + 5
    at[0] = 0xcf
    for shift in range(8):
        at[1 + shift] = <uint8_t>(value >> (56 - 8 * shift))
    return at + 9


cdef inline uint8_t* put_array(uint8_t* at, uint32_t count) noexcept nogil:
    """Write the head of an array."""
    if count < 16:
        at[0] = <uint8_t>(0x90 | count)
        return at + 1
    if count < 0x10000:
        at[0] = 0xdc
        at[1] = <uint8_t>(count >> 8)
        at[2] = <uint8_t>count
        return at + 3
    at[0] = 0xdd
    at[1] = <uint8_t>(count >> 24)
    at[2] = <uint8_t>(count >> 16)
    at[3] = <uint8_t>(count >> 8)
    at[4] = <uint8_t>count
    return at + 5


cdef inline uint8_t* put_bytes_head(uint8_t* at, uint32_t size) noexcept nogil:
    """Write the head of a string of bytes."""
    if size < 0x100:
        at[0] = 0xc4
        at[1] = <uint8_t>size
        at += 2
    elif size < 0x10000:
        at[0] = 0xc5
        at[1] = <uint8_t>(size >> 8)
        at[2] = <uint8_t>size
        at += 3
    else:
        at[0] = 0xc6
        at[1] = <uint8_t>(size >> 24)
        at[2] = <uint8_t>(size >> 16)
        at[3] = <uint8_t>(size >> 8)
        at[4] = <uint8_t>size
        at += 5
    return at


cdef inline uint8_t* put_bytes(uint8_t* at, const uint8_t* data, uint32_t size) noexcept nogil:
    """Write a string of bytes."""
    at = put_bytes_head(at, size)
    memcpy(at, data, size)
    return at + size


cdef inline const uint8_t* take_number(
    const uint8_t* at, const uint8_t* end, uint64_t* value
) noexcept nogil:
    """Read an unsigned number; return what follows, NULL if there is none."""
    cdef int size, index
    cdef uint64_t found = 0
    if at == NULL or at >= end:
        return NULL
    if at[0] < 0x80:
        value[0] = at[0]
        return at + 1
    if at[0] < 0xcc or at[0] > 0xcf:
        return NULL
    size = 1 << (at[0] - 0xcc)
    if end - at < 1 + size:
        return NULL
    for index in range(1, 1 + size):
        found = found << 8 | at[index]
    value[0] = found
    return at + 1 + size


cdef inline const uint8_t* take_array(
    const uint8_t* at, const uint8_t* end, uint32_t* count
) noexcept nogil:
    """Read the head of an array of fewer than 65,536 things; NULL if there is none."""
    if at == NULL or at >= end:
        return NULL
    if at[0] & 0xf0 == 0x90:
        count[0] = at[0] & 0x0f
        return at + 1
    if at[0] == 0xdc and end - at >= 3:
        count[0] = <uint32_t>at[1] << 8 | at[2]
        return at + 3
    return NULL


cdef inline const uint8_t* take_bytes(
    const uint8_t* at, const uint8_t* end, const uint8_t** data, uint32_t* size
) noexcept nogil:
    """Read a string of fewer than 65,536 bytes; NULL if there is none."""
    if at == NULL or end - at < 3:
        return NULL
    if at[0] == 0xc4:
        size[0] = at[1]
        at += 2
    elif at[0] == 0xc5:
        size[0] = <uint32_t>at[1] << 8 | at[2]
        at += 3
    else:
        return NULL
    if end - at < <Py_ssize_t>size[0]:
        return NULL
    data[0] = at
    return at + size[0]


cdef inline const uint8_t* skip(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Return what follows one thing of any kind that ops are made of, NULL if it is cut short."""
    cdef uint64_t left = 1
    cdef uint64_t size
    cdef int bytes_of_size
    if at == NULL:
        return NULL
    while left:
        left -= 1
        if at >= end:
            return NULL
        size = 0
        if at[0] < 0x80 or at[0] >= 0xe0 or at[0] in (0xc0, 0xc2, 0xc3):
            at += 1
        elif at[0] >> 4 == 0x9:
            left += at[0] & 0x0f
            at += 1
        elif at[0] >> 5 == 0x5:
            size = 1 + (at[0] & 0x1f)
        elif 0xca <= at[0] <= 0xd3:
            size = 1 + (4 if at[0] == 0xca else 8 if at[0] == 0xcb else 1 << ((at[0] - 0xcc) & 3))
        elif 0xc4 <= at[0] <= 0xc6 or 0xd9 <= at[0] <= 0xdd:
            # A length of 1, 2 or 4 bytes, and as many bytes, or things where it is an array.
            if at[0] <= 0xc6:
                bytes_of_size = 1 << (at[0] - 0xc4)
            elif at[0] <= 0xdb:
                bytes_of_size = 1 << (at[0] - 0xd9)
            else:
                bytes_of_size = 2 << (at[0] - 0xdc)
            if end - at < 1 + bytes_of_size:
                return NULL
            for index in range(1, 1 + bytes_of_size):
                size = size << 8 | at[index]
            if at[0] >= 0xdc:
                # Each thing takes a byte at least, so a false count ends soon.
                left += size
                size = 0
            at += 1 + bytes_of_size
        else:
            return NULL
        if <uint64_t>(end - at) < size:
            return NULL
        at += size
    return at
