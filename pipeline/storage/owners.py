"""Owner of a temporary file: a name for this process by which another one can tell that it is dead."""

import hashlib
import os
import socket
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Owner:
    """`text` is MACHINE-PID-START: a digest of where processes have this numbering, the number, and when the process began."""

    text: str

    def is_dead(self) -> bool:
        """Whether this process can prove that the owner does not run any more. Owners on other machines are never proven dead."""
        parts = self.text.split("-")
        if len(parts) != 3 or parts[0] != _machine() or not parts[1].isdigit():
            return False
        found = _start_of(int(parts[1]))
        return found is None or found != parts[2]


@lru_cache
def _machine() -> str:
    """A digest of the host, its boot, and the namespace of process numbers: containers that share a disk have different ones."""
    parts = [socket.gethostname()]
    for read in (lambda: Path("/proc/sys/kernel/random/boot_id").read_text(), lambda: os.readlink("/proc/self/ns/pid")):
        try:
            parts.append(read().strip())
        except OSError:
            parts.append("")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _start_of(pid: int) -> str | None:
    """Start of the process with this number, in the system's ticks; "0" where the system does not say; None if there is none."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "0"
    state, *fields = status.rpartition(")")[2].split()
    return None if state in "ZX" else fields[18]


def this_process() -> Owner:
    """The owner that this process is. Not remembered: a fork is another one."""
    pid = os.getpid()
    return Owner(f"{_machine()}-{pid}-{_start_of(pid) or 0}")
