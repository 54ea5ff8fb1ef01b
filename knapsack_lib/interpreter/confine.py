"""What a child process may do: Landlock for files, seccomp for system calls, rlimits, no
privileges. No root needed.

Runs on the child side, where nothing of the package exists: standard library only.

    bounds = Confinement(without=())       # in the warm parent, once: drops privileges, closes the file system
    listener = bounds.close(memory=...)    # in every child, before it sees any code of the model

Everything is refused but what plain Python needs. Numbers are those of linux/landlock.h; the layout of
a rule follows landlock(7). Filters of system calls are in syscalls.py.
"""

import ctypes
import errno
import os
import resource
import struct
import sys
from collections.abc import Callable, Sequence

from knapsack_lib.interpreter.syscalls import (
    NEW_LISTENER,
    NUMBERS,
    PR_SET_DUMPABLE,
    PR_SET_NO_NEW_PRIVS,
    call,
    filter_program,
    install_filter,
    prctl,
    sealing_program,
    try_filter,
)

PROTECTIONS = {
    "files": "no file outside Python's own library is read, none is written (Landlock)",
    "syscalls": "no network, no new process, no signal or tracing, no other kernel service (seccomp)",
    "limits": "memory, file size, descriptors and core dumps are bounded (rlimits)",
    "privileges": "no capability of root is kept, none can be gained",
}

MOST_FILES = 1 << 20  # descriptors, where there is no limit
WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE = 1 << 1, 1 << 2, 1 << 3, 1 << 14  # LANDLOCK_ACCESS_FS_*
RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # how many there are, by ABI; from 5 on one more


class Unavailable(Exception):
    """A protection does not work here: its name in PROTECTIONS, why."""


class Confinement:
    """The protections of one warm parent and its children. `trees`: what may be read beside Python's
    own library. Raises Unavailable where one cannot be
    had."""

    def __init__(self, without: tuple[str, ...] = (), trees: Sequence[str] = ()):
        self.active = tuple(name for name in PROTECTIONS if name not in without)
        self._descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        needs_linux = [name for name in self.active if name != "limits"]
        if needs_linux and not NUMBERS:
            linux_only = f"it exists on Linux only, this is {sys.platform}"
            unknown = f"machine type {os.uname().machine} is unknown"
            raise Unavailable(needs_linux[0], unknown if sys.platform == "linux" else linux_only)
        if needs_linux:
            prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        for name, (start, by, since) in STARTS.items():
            try:
                if name in self.active:
                    start(trees)
            except OSError as error:
                why = WHY.get(error.errno or 0, f"it needs Linux {since} or newer")
                raise Unavailable(name, f"{by}: {error.strerror}; {why}") from None
        self._filter = filter_program() if "syscalls" in self.active else b""

    def check_memory(self, memory: int) -> None:
        """Raises Unavailable where this process may have less than a child is to get."""
        most = resource.getrlimit(resource.RLIMIT_AS)[1]
        if "limits" in self.active and most != resource.RLIM_INFINITY and most < memory:
            raise Unavailable(
                "limits",
                f"a process may have {most >> 20} MB here, see ulimit -v, and limits.memory_mb is {memory >> 20}",
            )

    def close_to_others(self) -> None:
        """No other child reads, writes or traces this one by way of /proc: all have the same user,
        and a pipe is no file that Landlock guards. The filter refuses to undo it; copies have it
        from their original."""
        if "files" in self.active or "syscalls" in self.active:
            prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)

    def close(self, memory: int) -> int | None:
        """Bound this child for good, to so many bytes of memory. Returns the descriptor on which
        its attempts to fork are reported, if any."""
        if "limits" in self.active:
            for what, most in (
                (resource.RLIMIT_AS, memory),
                (resource.RLIMIT_FSIZE, 0),
                (resource.RLIMIT_CORE, 0),
                (resource.RLIMIT_NOFILE, 128),
            ):
                resource.setrlimit(what, (most, most))
        return install_filter(self._filter, NEW_LISTENER) if self._filter else None

    def seal(self) -> None:
        """Refuse what was needed to hand the listener over, before any code of the model comes: a
        descriptor sent into a pair of sockets counts against the limit of all children together."""
        if self._filter:
            install_filter(sealing_program(), 0)

    def close_descriptors(self, low: int) -> None:
        """From `low` on. A limit lowered since leaves those above it open, so it is not the limit
        that says how many."""
        try:
            call("close_range", low, ctypes.c_uint(0xFFFFFFFF), 0)
        except (OSError, KeyError):  # an older system, or one that the tables do not know
            limit = self._descriptors if self._descriptors > 0 else MOST_FILES
            os.closerange(low, min(limit, MOST_FILES))


# Privileges and files -----------------------------------------------------------------------------


def drop_privileges(_: Sequence[str]) -> None:
    """Give up every capability, so that being root helps nothing."""
    call("capset", struct.pack("Ii", 0x20080522, 0), bytes(24))


def readable_paths() -> list[tuple[str, int]]:
    """(path, rights) of everything a child may open: the standard library, shared libraries, three
    devices."""
    library = os.path.dirname(os.__file__)
    # Packages, and perhaps the study's own files, live in the two that are left out.
    names = set(os.listdir(library)) - {"site-packages", "dist-packages"}
    trees = ["/etc/ld.so.cache", "/dev/zero", "/dev/urandom", "/usr/share/zoneinfo"]
    trees += [os.path.join(library, name) for name in sorted(names)]
    return [
        (library, READ_DIR),
        *((path, READ_FILE | READ_DIR) for path in trees),
        *((path, READ_FILE) for path in shared_libraries()),
        ("/dev/null", READ_FILE | WRITE_FILE | TRUNCATE),
    ]


def shared_libraries() -> list[str]:
    """Those next to the ones that Python is made of: modules of the standard library load them when
    they are imported.

    Each file by itself, never its folder, in which packages may lie too.
    """
    with open("/proc/self/maps", encoding="utf-8") as maps:
        mapped = {line.split(maxsplit=5)[5].strip() for line in maps if "/" in line}
    folders = {os.path.dirname(path) for path in mapped if ".so" in os.path.basename(path)}
    entries = [entry for folder in folders for entry in os.scandir(folder)]
    found = {os.path.realpath(e.path) for e in entries if ".so" in e.name and e.is_file()}
    return sorted(found)


def close_file_system(trees: Sequence[str]) -> None:
    """From here on, this process and its children open what `readable_paths` lists, those trees, and
    nothing else."""
    abi = call("landlock_create_ruleset", None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    handled = (1 << RIGHTS.get(abi, 16)) - 1
    ruleset = call("landlock_create_ruleset", struct.pack("Q", handled), ctypes.c_size_t(8), 0)
    given = [(tree, READ_FILE | READ_DIR) for tree in trees]
    for path, rights in [*readable_paths(), *given]:
        try:
            beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        if not os.path.isdir(path):
            rights &= ~READ_DIR  # a plain file has no rights of folders
        rule = struct.pack("=Qi", rights & handled, beneath)
        call("landlock_add_rule", ruleset, 1, rule, 0)
        os.close(beneath)
    call("landlock_restrict_self", ruleset, 0)
    os.close(ruleset)


# Protection -> (what starts it, what it is called where it fails, and the Linux it needs)
STARTS: dict[str, tuple[Callable[[Sequence[str]], None], str, str]] = {
    "syscalls": (try_filter, "seccomp", "5.5"),
    "privileges": (drop_privileges, "capset", "2.6"),
    "files": (close_file_system, "Landlock", "5.13"),
}
REFUSED = "a container or sandbox around this process forbids it"
WHY = {
    errno.EPERM: REFUSED,
    errno.EACCES: REFUSED,
    errno.EBUSY: "a container manager around this process listens already",
    errno.EOPNOTSUPP: "it was switched off when this system was started",
}
