"""Decide about a peer by its HELLO: whether it may talk, may only ask, or is refused, and whether the server makes room for it."""

from __future__ import annotations

import hmac

from grainlayer import __version__
from grainlayer.server.wire import DIGEST, RELEASE, VERSION, Code, Message

AGAIN = "restart the host, and if that does not help reinstall GrainLayer."


class Refusal(Exception):
    """Carry a code and a sentence to the peer, after which the connection is closed: a signal between modules.

    retires  the peer is newer than this server, which ends so that the peer can start its own
    """

    def __init__(self, code: Code, sentence: str, *, retires: bool = False) -> None:
        """Take all."""
        super().__init__(sentence)
        self.code = code
        self.retires = retires


def only_asks(hello: Message) -> bool:
    """Say whether a peer names no parameter table, and so may only ask."""
    return hello["digest"] == bytes(DIGEST)


def check_peer(hello: Message, token: str, table: bytes) -> None:
    """Raise Refusal unless secret, protocol and parameters are the server's.

    A server ends for a peer of a newer release alone: where old and new plug-ins meet, the newest server stays, and nobody's server
    is ended twice. A peer that only asks never ends it so.
    """
    if not hmac.compare_digest(hello["token"], bytes.fromhex(token)):
        raise Refusal(Code.TOKEN, "The secret is not this server's; read the rendezvous file again.")
    if hello["version"] != VERSION:
        raise _mismatch(Code.VERSION, hello, f"protocol {hello['version']}", f"protocol {VERSION}")
    if not only_asks(hello) and hello["digest"] != table:
        raise _mismatch(Code.PARAMETERS, hello, f"parameters {hello['digest'].hex()[:8]}", f"parameters {table.hex()[:8]}")


def _mismatch(code: Code, hello: Message, theirs: str, ours: str) -> Refusal:
    if only_asks(hello):
        advice = "run `grainlayer serve --stop`, which ends it, or use the `grainlayer` that it was started by."
        return Refusal(code, f"The running server is GrainLayer {__version__} ({ours}), and this is another ({theirs}); {advice}")
    if hello["release"] > RELEASE:
        told = f"The plug-in ({theirs}) is newer than the running server, GrainLayer {__version__} ({ours}), which ends now"
        return Refusal(code, f"{told}; render the frame again, and a new one starts.", retires=True)
    if hello["release"] < RELEASE:
        return Refusal(code, f"This host holds a plug-in ({theirs}) older than the server, GrainLayer {__version__} ({ours}); {AGAIN}")
    told = f"The plug-in ({theirs}) and the running server ({ours}) are different builds of GrainLayer {__version__}"
    return Refusal(code, f"{told}; run `grainlayer serve --stop`, {AGAIN}")
