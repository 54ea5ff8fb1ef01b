"""What a hostile block may try to reach: a file, a folder, a process and three servers."""

import contextlib
import os
import select
import socket
import subprocess
from pathlib import Path

from common import is_running

SECRET = "secret-of-the-task"
REPOSITORY = Path(__file__).parents[2]


class Surroundings:
    """All that a block may attack, and whether it did. `fresh` puts everything back as it was."""

    machine = os.uname().machine

    def __init__(self, folder):
        self.dir, self.file, self.unix = folder, folder / "secret.json", folder / "socket"
        self.shared = Path(f"/dev/shm/{folder.name}-{os.getpid()}")
        self.tcp, self.udp = (
            socket.create_server(("127.0.0.1", 0)),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        )
        self.udp.bind(("127.0.0.1", 0))
        self.listener = socket.socket(socket.AF_UNIX)
        self.sleeper = subprocess.Popen(["sleep", "600"], start_new_session=True)
        self.fresh()

    def fresh(self):
        for entry in self.dir.iterdir():
            entry.rmdir() if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        self.shared.unlink(missing_ok=True)
        self.file.write_text(SECRET, encoding="utf-8")
        self.file.chmod(0o644)
        self.listener.close()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.unix))
        self.listener.listen()
        for server in select.select([self.tcp, self.udp], [], [], 0)[0]:
            server.accept()[0].close() if server is self.tcp else server.recv(99)
        if not self.alive:
            self.sleeper = subprocess.Popen(["sleep", "600"], start_new_session=True)
        self._first, self._highest = self._state(), highest_memory()
        return self

    def close(self):
        self.shared.unlink(missing_ok=True)
        self.sleeper.kill()
        self.sleeper.wait()
        for server in (self.tcp, self.udp, self.listener):
            server.close()

    def placeholders(self, unprotected):
        """What the placeholders of a block stand for. Where nothing protects, HOST is not this very
        process."""
        return {
            "FILE": self.file,
            "DIR": self.dir,
            "UNIX": self.unix,
            "REPO": REPOSITORY,
            "PID": self.sleeper.pid,
            "PORT": self.tcp.getsockname()[1],
            "UDP": self.udp.getsockname()[1],
            "SHM": self.shared,
            "HOST": self.sleeper.pid if unprotected else os.getpid(),
        }

    def _state(self):
        info = self.file.lstat() if self.file.is_file() else None
        names = [*sorted(path.name for path in self.dir.iterdir()), self.shared.exists()]
        return names, info and (
            self.file.read_text(encoding="utf-8"),
            info.st_mode,
            info.st_mtime,
            info.st_nlink,
            info.st_uid,
        )

    @property
    def untouched(self):
        return self._state() == self._first

    @property
    def alive(self):
        return self.sleeper.poll() is None

    @property
    def killed(self):
        """Whether the process ends within a second: signals and orders take their time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.sleeper.wait(1)
        return not self.alive

    @property
    def connected(self):
        return bool(select.select([self.tcp, self.udp, self.listener], [], [], 0)[0])

    @property
    def memory_taken(self):
        """Bytes of address space that this process, the host, took at once since the attack began."""
        return highest_memory() - self._highest


def highest_memory():
    return 1024 * int(
        Path("/proc/self/status").read_text(encoding="utf-8").partition("VmPeak:")[2].split()[0]
    )


def is_powerful():
    """Whether this process may do what `privileges` takes away: set user ids, chroot, trace, mount,
    change priorities."""
    held = int(
        Path("/proc/self/status").read_text(encoding="utf-8").partition("CapEff:")[2].split()[0], 16
    )
    return all(held >> capability & 1 for capability in (7, 18, 19, 21, 23))


def children_of(pid):
    """Children of a process that run: one that is dead and not yet reaped does not."""
    return [
        int(word)
        for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
        if is_running(word)
    ]
