"""Every error that GrainLayer raises on purpose.

GrainlayerError            str() is one sentence a colourist can read in a dialog
+-- ParamError  (ValueError)    unknown, wrong type, out of range: names key, value, range
+-- ModelError                  missing, altered, wrong shape: names id and file
+-- MediaError  (OSError)       cannot read or write: names path and frame
+-- StreamError                 a grain stream or container is damaged or too new: names shot and byte
+-- TimelineError               OTIO or Resolve cannot be used as asked
+-- WireError                   the peer broke the protocol: never None, never a wait
"""

from __future__ import annotations


class GrainlayerError(Exception):
    """Base of all errors raised on purpose; its text is one sentence that says what to do."""


class ParamError(GrainlayerError, ValueError):
    """A parameter is unknown, of the wrong type or out of range."""


class ModelError(GrainlayerError):
    """A model file is missing, altered or of the wrong shape."""


class MediaError(GrainlayerError, OSError):
    """A movie, still or sequence cannot be read or written."""


class StreamError(GrainlayerError):
    """A grain stream or its container is damaged or too new."""


class TimelineError(GrainlayerError):
    """An edit cannot be used as asked."""


class WireError(GrainlayerError):
    """The peer broke the protocol."""
