"""Settings by environment, console and window; and windows that are not there."""

from __future__ import annotations

import io
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from grain_scripts.answers import ScriptError
from grain_scripts.asking import Question, ask
from grain_scripts.window import show_message

QUESTIONS = [
    Question("scope", "Clips", "choice", "all", ("all", "some")),
    Question("layers", "Layers", "several", "base,grain", ("base", "grain", "stream")),
    Question("follow", "Obey", "switch", "off"),
    Question("folder", "Folder", "folder", "/tmp"),
    Question("note", "Note", "text", "x"),
    Question("handles", "Handles", "count", "8"),
]
DEFAULTS = {"scope": "all", "layers": ["base", "grain"], "follow": False, "folder": "/tmp", "note": "x", "handles": 8}


class Widget(SimpleNamespace):
    def AddItems(self, items: list[str]) -> None:
        self.items = items


class FakeWindow:
    """Hold a window's widgets by id; showing it plays what a user does."""

    def __init__(self, dispatcher: FakeDispatcher, ids: list[str]) -> None:
        self.dispatcher = dispatcher
        self.items = {name: Widget(Text="") for name in ids}
        self.On = SimpleNamespace(**{name: SimpleNamespace() for name in [*ids, "form", "message"]})

    def GetItems(self) -> dict[str, Widget]:
        return self.items

    def Show(self) -> None:
        self.dispatcher.shown = self

    def Hide(self) -> None:
        self.dispatcher.hidden = True


class FakeDispatcher:
    def __init__(self, user: Any) -> None:
        self.user, self.ended, self.hidden, self.shown = user, False, False, None

    def AddWindow(self, facts: dict[str, Any], children: Any) -> FakeWindow:
        return FakeWindow(self, list(ids_in(children)))

    def RunLoop(self) -> None:
        self.user(self.shown)
        assert self.ended

    def ExitLoop(self) -> None:
        self.ended = True


def ids_in(children: Any) -> Iterator[str]:
    for child in children:
        if isinstance(child, list):
            yield from ids_in(child)
        elif "ID" in child:
            yield child["ID"]


class FakeUI:
    def __getattr__(self, kind: str) -> Any:
        return lambda content: content


def session(user: Any = None) -> Any:
    if user is None:
        return SimpleNamespace(fusion=None, bmd=None)
    dispatcher = FakeDispatcher(user)
    fusion = SimpleNamespace(UIManager=FakeUI(), RequestDir=lambda path: "/chosen", RequestFile=lambda path: None)
    return SimpleNamespace(fusion=fusion, bmd=SimpleNamespace(UIDispatcher=lambda ui: dispatcher), dispatcher=dispatcher)


def test_headless_the_environment_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAINLAYER_SCRIPT_YES", "1")
    assert ask("Grain", QUESTIONS, session()) == DEFAULTS
    monkeypatch.setenv("GRAINLAYER_SCRIPT_LAYERS", "stream, BASE")
    monkeypatch.setenv("GRAINLAYER_SCRIPT_FOLLOW", "yes")
    assert ask("Grain", QUESTIONS, session()) == {**DEFAULTS, "layers": ["base", "stream"], "follow": True}


def test_without_windows_the_console_asks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("some\n\non\n~\nhello\n\n"))
    found = ask("Grain", QUESTIONS, session())
    assert (found["scope"], found["layers"], found["follow"], found["note"]) == ("some", ["base", "grain"], True, "hello")
    assert "Layers (base, grain, stream) [base,grain]: " in capsys.readouterr().out


def test_without_any_way_to_ask_the_sentence_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(ScriptError, match="set GRAINLAYER_SCRIPT_YES=1"):
        ask("Grain", QUESTIONS, session())


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("SCOPE", "none", "Clips must be one of all, some; got 'none'"),
        ("LAYERS", " , ", "choose at least one of base, grain, stream"),
        ("LAYERS", "base,alpha", "Layers must be one of"),
        ("FOLLOW", "maybe", "Obey must be on or off"),
        ("FOLDER", "here", "Folder must be a full path"),
        ("HANDLES", "-1", "Handles must be a whole number from 0 to 9999; got '-1'"),
    ],
)
def test_an_illegal_answer_is_named(monkeypatch: pytest.MonkeyPatch, key: str, text: str, words: str) -> None:
    monkeypatch.setenv("GRAINLAYER_SCRIPT_YES", "1")
    monkeypatch.setenv("GRAINLAYER_SCRIPT_" + key, text)
    with pytest.raises(ScriptError, match=words):
        ask("Grain", QUESTIONS, session())


def test_a_window_asks_where_there_are_windows() -> None:
    def user(window: Any) -> None:
        assert window.items["scope"].items == ["all", "some"]
        window.items["scope"].CurrentText = "some"
        window.items["layersbase"].Checked = False
        window.items["follow"].Checked = True
        window.On.folderBrowse.Clicked({})
        window.On.accept.Clicked({})

    used = session(user)
    assert ask("Grain", QUESTIONS, used) == {**DEFAULTS, "scope": "some", "layers": ["grain"], "follow": True, "folder": "/chosen"}
    assert used.dispatcher.hidden


@pytest.mark.parametrize("way", ["cancel", "form"])
def test_a_cancelled_window_changes_nothing(way: str) -> None:
    def user(window: Any) -> None:
        handler = getattr(window.On, way)
        (handler.Clicked if way == "cancel" else handler.Close)({})

    with pytest.raises(ScriptError, match="Cancelled; nothing was changed"):
        ask("Grain", QUESTIONS, session(user))


def test_a_failure_is_shown_in_a_window_and_never_raises() -> None:
    shown: list[Any] = []

    def user(window: Any) -> None:
        shown.append(window)
        window.On.ok.Clicked({})

    used = session(user)
    show_message("Grain", "It failed.", used.fusion, used.bmd)
    assert shown
    show_message("Grain", "It failed.", None, None)
    show_message("Grain", "It failed.", SimpleNamespace(UIManager=None), None)
