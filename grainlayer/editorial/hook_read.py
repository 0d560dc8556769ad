"""Let OpenTimelineIO find our grain in whatever it reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grainlayer.editorial.plugin import extracted


def hook_function(in_timeline: Any, argument_map: Mapping[str, Any] | None = None) -> Any:
    """Return a document with the grain of its clips as effect and metadata; one without our grain as it is."""
    return extracted(in_timeline, argument_map or {})
