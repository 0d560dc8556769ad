"""Let bridge and server meet: the runtime folder, its lock, and the file that says where the server listens."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from grainlayer.editorial.state import state_folder, write_whole
from grainlayer.errors import MediaError

LOCK, FILE, SOCKET, LOG = "lock", "server", "socket", "server.log"
LONGEST_SOCKET = 100
"""Bytes of a socket's path, at most: the least that any Unix allows, rounded down."""


@dataclass(frozen=True)
class Rendezvous:
    """Hold what the rendezvous file says: protocol version, process id, socket's path or pipe's name, secret in hexadecimal."""

    version: int
    pid: int
    address: str
    token: str

    def text(self) -> str:
        """Return the file's three lines."""
        return f"{self.version} {self.pid}\n{self.address}\n{self.token}\n"


def runtime_folder() -> Path:
    """Return where the rendezvous lies: GRAINLAYER_RUNTIME, else the user's runtime folder, else one in /tmp."""
    chosen = os.environ.get("GRAINLAYER_RUNTIME")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        return state_folder() / "run"
    session = os.environ.get("XDG_RUNTIME_DIR")
    return Path(session) / "grainlayer" if session else Path(f"/tmp/grainlayer-{os.getuid()}")


def check_folder(folder: Path, *, create: bool) -> Path:
    """Return the folder, made if need be. Raise MediaError unless it is a folder of this user that nobody else may enter."""
    try:
        if create:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = folder.lstat()
    except OSError as error:
        raise MediaError(f"The runtime folder {folder} cannot be used ({error.strerror}); name another with GRAINLAYER_RUNTIME.") from error
    if not stat.S_ISDIR(facts.st_mode):
        raise MediaError(f"{folder} is no folder, and a link is not followed; remove it, or name another folder with GRAINLAYER_RUNTIME.")
    if sys.platform != "win32" and (facts.st_uid != os.getuid() or facts.st_mode & 0o077):
        raise MediaError(f"The folder {folder} is open to other users; run `chmod 700` on it, or remove it, and start again.")
    return folder


def socket_path(folder: Path) -> Path:
    """Return where the socket lies. Raise MediaError if the path is longer than the system allows."""
    path = folder / SOCKET
    if sys.platform != "win32" and len(os.fsencode(path)) > LONGEST_SOCKET:
        raise MediaError(f"The path {path} is too long for a socket; name a shorter folder with GRAINLAYER_RUNTIME.")
    return path


def read_rendezvous(folder: Path) -> Rendezvous | None:
    """Return what the rendezvous file says, or None if there is none or it is no such file."""
    try:
        lines = (folder / FILE).read_text("utf-8").splitlines()
        version, pid = (int(word) for word in lines[0].split())
        if len(bytes.fromhex(lines[2])) != 32:
            return None
        return Rendezvous(version, pid, lines[1], lines[2])
    except (OSError, ValueError, IndexError):
        return None


def publish(folder: Path, rendezvous: Rendezvous) -> None:
    """Write the rendezvous file. Raise MediaError."""
    try:
        write_whole(folder / FILE, rendezvous.text())
    except OSError as error:
        raise MediaError(f"{folder / FILE} cannot be written ({error.strerror}); free some space there.") from error


def forget(folder: Path) -> None:
    """Remove what a killed server left; only the holder of the lock may."""
    (folder / FILE).unlink(missing_ok=True)


def withdraw(folder: Path, rendezvous: Rendezvous) -> None:
    """Remove the rendezvous file if it is still this server's."""
    if read_rendezvous(folder) == rendezvous:
        (folder / FILE).unlink(missing_ok=True)


def stamp(folder: Path) -> tuple[int, int, int] | None:
    """Return what changes with the rendezvous file; None if there is none."""
    try:
        facts = (folder / FILE).stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


class Lock:
    """Hold the folder's lock for as long as the process lives: one server a user."""

    def __init__(self, folder: Path) -> None:
        """Open the lock's file. Raise MediaError."""
        self._path = folder / LOCK
        try:
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
            self._file: int | None = os.open(self._path, flags, 0o600)
        except OSError as error:
            raise MediaError(f"{self._path} cannot be opened ({error.strerror}); remove it and start again.") from error

    def take(self) -> bool:
        """Take the lock; False if another process holds it."""
        if self._file is None:
            return False
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(self._file, msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def is_there(self) -> bool:
        """Say whether the file that is locked is still the folder's: another could be locked by another."""
        try:
            return self._file is not None and os.path.samestat(os.fstat(self._file), os.stat(self._path))
        except OSError:
            return False

    def close(self) -> None:
        """Let the lock go."""
        found, self._file = self._file, None
        if found is not None:
            os.close(found)


def is_locked(folder: Path) -> bool:
    """Say whether a server lives that belongs to this folder. Raise MediaError."""
    lock = Lock(folder)
    try:
        return not lock.take()
    finally:
        lock.close()


def is_holder(pid: int, folder: Path) -> bool:
    """Say whether a process has the folder's lock open, as its server has; False too where the system does not tell."""
    try:
        lock = os.stat(folder / LOCK)
        return any(_is_file(open_one, lock) for open_one in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


def _is_file(path: Path, facts: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), facts)
    except OSError:
        return False
