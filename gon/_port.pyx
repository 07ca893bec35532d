"""What a device may give besides gon.device.HostDevice, natively: its quick way of launches and
waits. Whoever runs batches asks it first and goes the device's usual way where it answers 0.
"""

from libc.stdint cimport uint8_t, uint64_t


cdef class Port:
    """A device without a quick way."""

    cdef int launch(
        self, uint64_t stream, uint64_t kernel, const uint8_t* op, Py_ssize_t config_at,
        Py_ssize_t size
    ) except -1:
        """Run a launch coded as in gon.wire.ops, `size` bytes at `op`, its grid at `config_at`;
        return 1, or 0 if nothing was done. Raises as HostDevice.launch.
        """
        return 0

    cdef int sync(self, uint64_t stream) except -1:
        """Wait for everything queued on the stream; return 1, or 0 if it is still to be waited
        for.
        """
        return 0

    cdef int renew(self, uint64_t buffer, uint64_t size) except -1:
        """Let a buffer of that size be a new one by the same handle, where it may be the same
        memory; return 1, or 0 if nothing was done. No image has to do with it.
        """
        return 0

    cdef int note(self, uint64_t stream, uint64_t event) except -1:
        """Let an event be the stream's last command (gon.timing); return 1, or 0 if nothing was
        done.
        """
        return 0

    cdef int times(self, uint64_t event, uint64_t* at) except -1:
        """Write the times of a noted command, once it has ended, and when that is; return 1, or 0 if they are
        still to be asked for.
        """
        return 0

    cdef uint8_t* window(
        self, uint64_t stream, uint64_t buffer, uint64_t offset, uint64_t size, bint wait
    ) except? NULL:
        """Return the memory of a buffer's range where the host itself has it, once the stream's
        work is done; NULL where that is to be asked for the usual way, or where there is work and
        this is not to `wait`. It is good until the next call of the device, for reading and for
        writing.
        """
        return NULL
