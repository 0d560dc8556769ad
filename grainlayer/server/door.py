"""Keep a server where bridges find it: the folder, its lock, the socket and the rendezvous file, mended when somebody removes them."""

from __future__ import annotations

import logging
import os
import secrets
from pathlib import Path

from grainlayer.server.channel import Channel, listen
from grainlayer.server.rendezvous import LOG as LOG_FILE
from grainlayer.server.rendezvous import Lock, Rendezvous, check_folder, publish, socket_path, stamp, withdraw
from grainlayer.server.wire import VERSION

LOG = logging.getLogger(__name__)


class Door:
    """Be found, and stay so. For one thread."""

    def __init__(self, folder: Path, lock: Lock) -> None:
        """Listen in a folder whose lock is held; a new secret is made, and nobody is told yet. Raise OSError, MediaError."""
        self.folder = folder
        self._lock = lock
        self._listener = listen(socket_path(folder))
        self.rendezvous = Rendezvous(VERSION, os.getpid(), self._listener.address, secrets.token_hex(32))
        self._stamp: tuple[int, int, int] | None = None
        self._trouble = ""

    @property
    def log_file(self) -> Path:
        """Return where the server's log lies."""
        return self.folder / LOG_FILE

    def publish(self) -> None:
        """Write the rendezvous file. Raise MediaError."""
        publish(self.folder, self.rendezvous)
        self._stamp = stamp(self.folder)

    def accept(self, timeout: float) -> Channel | None:
        """Return a new connection's channel, or None after `timeout` seconds."""
        return self._listener.accept(timeout)

    def mend(self) -> bool:
        """Put back what is missing of folder, lock, socket and file; False if another server has taken this one's place.

        What cannot be put back now is tried again with the next call.
        """
        try:
            if not self._lock.is_there() and not self._relock():
                return False
            if self._listener.renew():
                LOG.warning("The socket had gone from %s; the server listens anew", self.folder)
            if stamp(self.folder) != self._stamp:
                LOG.warning("The rendezvous file had gone from %s, or was changed; it is written again", self.folder)
                self.publish()
            self._trouble = ""
        except OSError as error:
            self._complain(str(error))
        return True

    def _relock(self) -> bool:
        """Lock the lock file that now lies in the folder; False if another server has. Raise MediaError."""
        lock = Lock(check_folder(self.folder, create=True))
        if not lock.take():
            lock.close()
            return False
        self._lock.close()
        self._lock = lock
        return True

    def _complain(self, trouble: str) -> None:
        """Log what is wrong, once."""
        if trouble != self._trouble:
            LOG.error("What is to lie in %s cannot be kept in order: %s", self.folder, trouble)
        self._trouble = trouble

    def close(self) -> None:
        """Withdraw the file, listen no more, let the lock go: from now on another server may be the user's."""
        try:
            withdraw(self.folder, self.rendezvous)
            self._listener.close()
        except OSError as error:
            self._complain(str(error))
        self._lock.close()
