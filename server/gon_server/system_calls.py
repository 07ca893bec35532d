"""System calls that are refused to workers, by what they are for: the kernel's numbers of each.

    name: (x86_64, aarch64)    None where the machine has no such call
    Rule                       those of which an argument says whether they are refused

Sources: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h of Linux.

Rules: data only. A number never changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

Calls: TypeAlias = Mapping[str, tuple[int | None, int | None]]


class Rule(NamedTuple):
    """Calls that are made only where one of their arguments, counted from 0, is one of the values,
    or, if it `refuses`, is none of them. Of the argument 32 bits are seen, those of `mask`.
    """

    calls: Calls
    values: tuple[int, ...]
    argument: int = 0
    mask: int = 0xFFFFFFFF
    refuses: bool = False


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
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "setpriority": (141, 140),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
    "ioprio_set": (251, 30),
}
# What changes a file by its path and is no matter of Landlock's: modes, owners, times, attributes.
CHANGING: Calls = {
    "chmod": (90, None),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    "truncate": (76, 45),
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
    "open_tree_attr": (467, 467),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265),
    "inotify_add_watch": (254, 27),
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
# What begins threads and processes by a structure that no filter can look into.
CLONE3: Calls = {
    "clone3": (435, 435),
}
_CLONE: Calls = {"clone": (56, 220)}
_CLONE_THREAD, _CLONE_NEW = 0x00010000, 0x7E020000
# No namespace with a process, nor datagrams, which reach any socket that a path names, nor a
# connection that begins with its data, nor signals by way of what a file descriptor has to tell.
RULES = (
    Rule({"sendto": (44, 206)}, (0,), argument=3, mask=0x20000000),
    Rule({"sendmsg": (46, 211)}, (0,), argument=2, mask=0x20000000),
    Rule({"sendmmsg": (307, 269)}, (0,), argument=3, mask=0x20000000),
    Rule({"fcntl": (72, 25)}, (8, 10, 15), argument=1, refuses=True),
    Rule({"ioctl": (16, 29)}, (0x8901, 0x8902), argument=1, refuses=True),
    Rule({"socketpair": (53, 199)}, (1, 5), argument=1, mask=0xF),
    Rule(_CLONE, (0,), mask=_CLONE_NEW),
)
# Limits of other processes than the caller.
OWN_LIMITS = Rule({"prlimit64": (302, 261)}, (0,))
# Threads, but no processes.
THREADS = Rule(_CLONE, (_CLONE_THREAD,), mask=_CLONE_THREAD)
# To outlive gond: not to be killed with the spawner.
STAYING = Rule({"prctl": (157, 167)}, (1,), refuses=True)


def scheduled_as(policy: int) -> Rule:
    """Return the rule by which a process sets no policy of scheduling but the one it has: ZeroMQ
    gives its thread that of the process, and aborts where it cannot.
    """
    return Rule({"sched_setscheduler": (144, 119)}, (policy,), argument=1)


def to_itself(process: int) -> tuple[Rule, ...]:
    """Return the rules by which a process signals itself alone, and sets its own limits alone."""
    signals: Calls = {"kill": (62, 129), "tgkill": (234, 131)}
    return Rule(signals, (process,)), OWN_LIMITS._replace(values=(0, process))
