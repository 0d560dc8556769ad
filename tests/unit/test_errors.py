"""The error tree: one root, and the built-in kinds that callers may already catch."""

from __future__ import annotations

import inspect

import pytest

from grainlayer import errors

CLASSES = [value for _, value in inspect.getmembers(errors, inspect.isclass) if value.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_a_grainlayer_error(kind: type[Exception]) -> None:
    assert issubclass(kind, errors.GrainlayerError)
    assert kind.__name__.endswith("Error")
    assert kind.__name__ in (errors.__doc__ or "")
    assert str(kind("The disk is full; free some space.")) == "The disk is full; free some space."


def test_the_tree_is_what_it_says() -> None:
    assert {kind.__name__ for kind in CLASSES} == {
        "GrainlayerError",
        "ParamError",
        "ModelError",
        "MediaError",
        "StreamError",
        "TimelineError",
        "WireError",
    }
    assert issubclass(errors.ParamError, ValueError)
    assert issubclass(errors.MediaError, OSError)
