"""Let OpenTimelineIO carry our grain into whatever it writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grainlayer.editorial.plugin import carried


def hook_function(in_timeline: Any, argument_map: Mapping[str, Any] | None = None) -> Any:
    """Return a copy of a document with its grain where the format keeps it; one without our grain as it is."""
    return carried(in_timeline, argument_map or {})
