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
# quarter of a second.
SPIN_SKIP_MAX = 4096
