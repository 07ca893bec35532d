"""System calls that are refused to workers, by what they are for: the kernel's numbers of each.

    name: (x86_64, aarch64)    None where the machine has no such call

Sources: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h of Linux.

Rules: data only. A number never changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

Calls: TypeAlias = Mapping[str, tuple[int, int | None]]

# Other processes' memory, files and signals, and memory that outlives its process.
OTHERS: Calls = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "migrate_pages": (256, 238),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
}
# Ways to make other calls that no filter sees.
UNSEEN: Calls = {
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
}
# Another view of the host: mounts, namespaces, files by number.
SURROUNDINGS: Calls = {
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265),
}
# The kernel itself: no library of ours needs these, and faults were often found in them.
KERNEL: Calls = {
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "syslog": (103, 116),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "fanotify_init": (300, 262),
}
# Reaching somebody.
CONNECTING: Calls = {
    "connect": (42, 203),
}
# Making sockets, and being reached; a pair of sockets, and those that are passed, need none of it.
LISTENING: Calls = {
    "socket": (41, 198),
    "bind": (49, 200),
    "listen": (50, 201),
}
# Being reached at a socket that listens already.
ACCEPTING: Calls = {
    "accept": (43, 202),
    "accept4": (288, 242),
}
# Running programs.
PROGRAMS: Calls = {
    "execve": (59, 221),
    "execveat": (322, 281),
    "fork": (57, None),
    "vfork": (58, None),
}
# Signals to threads of any process.
SIGNALS: Calls = {
    "tkill": (200, 130),
}
# Signals, by the process they go to.
TO_ONE: Calls = {
    "kill": (62, 129),
    "tgkill": (234, 131),
}
# Limits of a process, 0 for one's own.
LIMITS: Calls = {
    "prlimit64": (302, 261),
}
# What begins threads and processes.
CLONE: Calls = {
    "clone": (56, 220),
}
# The same, by a structure that no filter can look into.
CLONE3: Calls = {
    "clone3": (435, 435),
}
