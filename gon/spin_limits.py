"""How long a receiver looks again and again before it blocks; see gon.transport.spin."""

# As long as nothing says otherwise (µs).
SPIN_US_MAX = 50.0
# Where waits have lately taken longer than that, but no longer than this (µs): what comes from a
# kernel of some tens of microseconds, from over a switch, or from a peer that must be woken itself.
PATIENT_SPIN_US_MAX = 200.0
# So many quicker waits make a receiver forget that.
PATIENT_WAITS = 64
# Waits that block at once, without a spin, after spins in vain: 4096 of them make a vain spin
# nothing, also in the 99th percentile; a peer that becomes fast is noticed within as many waits, a
# quarter of a second. A power of SPIN_SKIP_FACTOR.
SPIN_SKIP_MAX = 4096
# By so much each further spin in vain makes them more: five are enough to learn that ends share a
# core. One in vain among others costs one wait.
SPIN_SKIP_FACTOR = 8

# Shorter waits than this are not left to a socket's own limit (SO_RCVTIMEO), which counts in ticks
# of the kernel: where it has 250 a second, 50 µs took up to 8 ms.
TICKS_S = 0.02
