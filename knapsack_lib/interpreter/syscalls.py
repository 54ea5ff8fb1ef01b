"""System calls: their numbers, and the filters that refuse all but what plain Python needs (seccomp).

Runs on the child side, where nothing of the package exists: standard library only. Numbers are those
of the kernel's headers (linux/seccomp.h, asm/unistd.h); the layout of a filter follows seccomp(2).
"""

import ctypes
import errno
import os
import signal
import struct
import sys
from itertools import groupby

# Name, number on x86-64, number on aarch64; a dash where the architecture has no such call.
# ALLOWED: with any arguments. LIMITED: with some arguments only. OWN: what this file itself calls.
ALLOWED = """
read 0 63, write 1 64, open 2 -, close 3 57, stat 4 -, fstat 5 80, lstat 6 -, poll 7 -, lseek 8 62,
mmap 9 222, mprotect 10 226, munmap 11 215, brk 12 214, rt_sigaction 13 134, rt_sigprocmask 14 135,
rt_sigreturn 15 139, pread64 17 67, pwrite64 18 68, readv 19 65, writev 20 66, access 21 -,
pipe 22 -, select 23 -, sched_yield 24 124, mremap 25 216, mincore 27 232, madvise 28 233,
dup 32 23, dup2 33 -, pause 34 -, nanosleep 35 101, getitimer 36 102, alarm 37 -, setitimer 38 103,
getpid 39 172, exit 60 93, uname 63 160, getcwd 79 17, chdir 80 49,
fchdir 81 50, readlink 89 -, umask 95 166, gettimeofday 96 169, getrlimit 97 163, getrusage 98 165,
sysinfo 99 179, times 100 153, getuid 102 174, getgid 104 176, geteuid 107 175, getegid 108 177,
getppid 110 173, getpgrp 111 -, getgroups 115 158, getresuid 118 148, getresgid 120 150,
getpgid 121 155, getsid 124 156, capget 125 90, rt_sigpending 127 136, rt_sigtimedwait 128 137,
rt_sigsuspend 130 133, sigaltstack 131 132, statfs 137 43, fstatfs 138 44, getpriority 140 141,
sched_getparam 143 121, sched_getscheduler 145 120, sched_get_priority_max 146 125,
sched_get_priority_min 147 126, arch_prctl 158 -, gettid 186 178, time 201 -, futex 202 98,
sched_getaffinity 204 123, epoll_create 213 -, getdents64 217 61, set_tid_address 218 96,
restart_syscall 219 128, fadvise64 221 223, clock_gettime 228 113, clock_getres 229 114,
clock_nanosleep 230 115, exit_group 231 94, epoll_wait 232 -, epoll_ctl 233 21, openat 257 56,
newfstatat 262 79, readlinkat 267 78, faccessat 269 48, pselect6 270 72, ppoll 271 73,
set_robust_list 273 99, get_robust_list 274 100, epoll_pwait 281 22, eventfd2 290 19,
epoll_create1 291 20, dup3 292 24, pipe2 293 59, preadv 295 69, pwritev 296 70, getcpu 309 168,
getrandom 318 278, membarrier 324 283, statx 332 291, rseq 334 293, close_range 436 436,
faccessat2 439 439, futex_waitv 449 449
"""
LIMITED = """
ioctl 16 29, clone 56 220, fork 57 -, fcntl 72 25, prctl 157 167, wait4 61 260, waitid 247 95,
prlimit64 302 261, clone3 435 435, sendto 44 206, recvfrom 45 207, recvmsg 47 212, socketpair 53 199
"""
OWN = """
sendmsg 46 211, seccomp 317 277, capset 126 91, landlock_create_ruleset 444 444, landlock_add_rule 445 445,
landlock_restrict_self 446 446, close_range 436 436
"""
# Column of the tables above, AUDIT_ARCH of linux/audit.h
MACHINES = {"x86_64": (1, 0xC000003E), "aarch64": (2, 0xC00000B7)}


def numbers(table: str) -> dict[str, int]:
    """Name -> number of the calls of a table that this machine has; none for a system other than
    Linux or a machine that is not known."""
    column = MACHINES.get(os.uname().machine, (0, 0))[0] if sys.platform == "linux" else 0
    rows = [row.split() for row in table.split(",")] if column else []
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}


NUMBERS = numbers(LIMITED) | numbers(OWN)
CLONE_THREAD, CLONE_SETTID_CLEARTID = 0x10000, 0x01200000
PIPE_SIZE = (1031, 1032)  # F_SETPIPE_SZ, F_GETPIPE_SZ
F_SETFL, F_DUPFD_CLOEXEC = 4, 1030
AF_UNIX, STREAMS = 1, (1, 0x801, 0x80001, 0x80801)  # with SOCK_NONBLOCK and SOCK_CLOEXEC
# Is it a terminal, its size, bytes to read, flags
TERMINAL_QUESTIONS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_SET_NO_NEW_PRIVS = 1, 4, 15, 16, 38

NEW_LISTENER = 8  # SECCOMP_FILTER_FLAG_NEW_LISTENER
KILL, ERROR, ALLOW, NOTIFY = 0x80000000, 0x00050000, 0x7FFF0000, 0x7FC00000
REFUSE, UNKNOWN, CHILDLESS = ERROR | errno.EPERM, ERROR | errno.ENOSYS, ERROR | errno.ECHILD
# Of linux/bpf_common.h, combined
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCH, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
ASKED = 16  # offset of struct seccomp_data in struct seccomp_notif
Line = tuple[int, int, int, int]  # struct sock_filter: code, jump if true, jump if false, value

libc = ctypes.CDLL(None, use_errno=True)
# Elsewhere than on Linux a child may outlive its parent.
prctl = getattr(libc, "prctl", lambda *_: -1)


def call(name: str, *args: object) -> int:
    """A system call by name. Raises OSError; KeyError on a machine that the tables do not know."""
    result = int(libc.syscall(ctypes.c_long(NUMBERS[name]), *args))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def try_filter(_: object = None) -> None:
    """In a process of its own, all of it: where a listener is refused (gVisor), or somebody around
    has one already, the kernel says so only then. Raises OSError."""
    call("seccomp", 2, 0, struct.pack("I", NOTIFY))  # SECCOMP_GET_ACTION_AVAIL
    if (pid := os.fork()) == 0:
        try:
            install_filter(filter_program(), NEW_LISTENER)
        except OSError as error:
            os._exit(error.errno or 1)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    if status:
        number = os.WEXITSTATUS(status) or errno.EPERM
        raise OSError(number, os.strerror(number))


def filter_program() -> bytes:
    """The seccomp filter. A copy of the process is a question to the host (NOTIFY); threads are not
    processes."""

    def only(name: str, *cases: list[tuple[int, int, int]], otherwise: int = REFUSE) -> list[Line]:
        """Allow a call when all tests of some case hold: (kind, half word of the arguments,
        value)."""
        body: list[Line] = []
        for tests in cases:
            for done, (kind, half, value) in enumerate(tests):
                failed = 2 * (len(tests) - done) - 1
                body += [(LOAD, 0, 0, ARGUMENTS + 4 * half), (kind, 0, failed, value)]
            body.append((RETURN, 0, 0, ALLOW))
        body.append((RETURN, 0, 0, otherwise))
        return [(EQUAL, 0, len(body), NUMBERS[name]), *body] if name in NUMBERS else []

    allowed: list[Line] = []
    in_order = enumerate(sorted(numbers(ALLOWED).values()))
    for _, consecutive in groupby(in_order, lambda pair: pair[1] - pair[0]):
        run = [number for _, number in consecutive]
        allowed += [(AT_LEAST, 0, 2, run[0]), (AT_LEAST, 1, 0, run[-1] + 1), (RETURN, 0, 0, ALLOW)]
    commands = (*range(F_SETFL + 1), F_DUPFD_CLOEXEC, *PIPE_SIZE)
    program = [
        (LOAD, 0, 0, ARCH),
        (EQUAL, 1, 0, MACHINES[os.uname().machine][1]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        # The x32 spelling of the same calls; other machines have none that high.
        (AT_LEAST, 0, 1, 0x40000000),
        (RETURN, 0, 0, REFUSE),
        *allowed,
        *only("clone", [(ANY_BIT, 0, CLONE_THREAD)], otherwise=NOTIFY),
        *only("fork", otherwise=NOTIFY),
        # A pair of sockets inside the process, which an event loop wakes itself with. Streams have no
        # way to another end. No flags: the bytes out of band that they could ask for have been a
        # way into kernels.
        *only("socketpair", *([(EQUAL, 0, AF_UNIX), (EQUAL, 2, kind)] for kind in STREAMS)),
        *only("sendto", [(EQUAL, 6, 0), (EQUAL, 8, 0), (EQUAL, 9, 0)]),
        *only("recvfrom", [(EQUAL, 6, 0)]),
        *only("recvmsg", [(EQUAL, 4, 0)]),
        # Until `seal`
        *only("sendmsg", []),
        *only("seccomp", []),
        *only("clone3", otherwise=UNKNOWN),  # its flags are out of sight: use clone
        *only("ioctl", *([(EQUAL, 2, question)] for question in TERMINAL_QUESTIONS)),
        # No F_SETOWN, which would let the kernel send signals to any process.
        *only("fcntl", *([(EQUAL, 2, command)] for command in commands)),
        *only(
            "prctl",
            [(EQUAL, 0, PR_SET_NAME)],
            [(EQUAL, 0, PR_GET_NAME)],
            [(EQUAL, 0, PR_SET_PDEATHSIG), (EQUAL, 2, signal.SIGKILL)],
        ),
        # Limits may be read: no pointer to new ones.
        *only("prlimit64", [(EQUAL, 4, 0), (EQUAL, 5, 0)]),
        # The copies of its state are no children of a block's: it may wait for one by number, above
        # 0 as a signed word, and otherwise has none.
        (EQUAL, 0, 5, NUMBERS["wait4"]),
        (LOAD, 0, 0, ARGUMENTS),
        (AT_LEAST, 2, 0, 1 << 31),
        (AT_LEAST, 0, 1, 1),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, CHILDLESS),
        *only("waitid", otherwise=CHILDLESS),
        (RETURN, 0, 0, REFUSE),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in program)


def sealing_program() -> bytes:
    """The filter on top of the other."""
    program = [
        (LOAD, 0, 0, NUMBER),
        (EQUAL, 1, 0, NUMBERS["sendmsg"]),
        (EQUAL, 0, 1, NUMBERS["seccomp"]),
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in program)


def install_filter(program: bytes, flags: int) -> int:
    """With NEW_LISTENER, returns a descriptor that reports every attempt to copy the process and
    waits for the answer."""
    code = ctypes.create_string_buffer(program, len(program))
    order = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    return call("seccomp", 1, ctypes.c_uint(flags), order)  # SECCOMP_SET_MODE_FILTER


def is_plain_copy(question: bytes) -> bool:
    """Whether struct seccomp_notif asks for a copy of the process and nothing with it, such as a
    name space."""
    (number,) = struct.unpack_from("=i", question, ASKED)
    (flags,) = struct.unpack_from("=Q", question, ASKED + ARGUMENTS)
    return number == NUMBERS.get("fork") or flags & ~CLONE_SETTID_CLEARTID == signal.SIGCHLD
