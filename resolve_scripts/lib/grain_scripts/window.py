"""Ask in a window of Resolve's UIManager, where this Resolve has one."""

from typing import TYPE_CHECKING

from grain_scripts.answers import ScriptError

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from grain_scripts.asking import Question

CANCELLED = "Cancelled; nothing was changed."
WIDTH, ROW = 560, 34


def ask_in_window(title: str, questions: "List[Question]", fusion: "Any", bmd: "Any") -> "Optional[Dict[str, str]]":
    """Return the answers as texts, or None where there are no windows. Raise ScriptError if the user cancels."""
    try:
        ui = fusion.UIManager
        dispatcher = bmd.UIDispatcher(ui) if ui else None
    except Exception:  # the bridge raises anything where there is no UIManager
        return None
    return _Form(title, questions, fusion, ui, dispatcher).ask() if dispatcher else None


def show_message(title: str, sentence: str, fusion: "Any", bmd: "Any") -> None:
    """Show a sentence in a window, where there are windows; never raises."""
    try:
        ui = fusion.UIManager
        dispatcher = bmd.UIDispatcher(ui)
        rows = [ui.Label({"Text": sentence, "WordWrap": True}), ui.Button({"ID": "ok", "Text": "OK", "Weight": 0})]
        window = dispatcher.AddWindow({"ID": "message", "WindowTitle": title, "Geometry": [300, 300, WIDTH, 4 * ROW]}, [ui.VGroup(rows)])

        def end(event: "Any") -> None:
            dispatcher.ExitLoop()

        window.On.ok.Clicked = end
        window.On.message.Close = end
        window.Show()
        dispatcher.RunLoop()
        window.Hide()
    except Exception:  # the sentence was printed already
        return


class _Form:
    def __init__(self, title: str, questions: "List[Question]", fusion: "Any", ui: "Any", dispatcher: "Any") -> None:
        self.title, self.questions, self.fusion, self.ui, self.dispatcher = title, questions, fusion, ui, dispatcher
        self.accepted = False

    def ask(self) -> "Dict[str, str]":
        rows = [self._row(question) for question in self.questions] + [self._buttons()]
        shape = [200, 200, WIDTH, ROW * (len(rows) + 1)]
        window = self.dispatcher.AddWindow({"ID": "form", "WindowTitle": self.title, "Geometry": shape}, [self.ui.VGroup(rows)])
        items = window.GetItems()
        for question in self.questions:
            self._fill(question, window, items)
        window.On.accept.Clicked = self._accept
        window.On.cancel.Clicked = self._end
        window.On.form.Close = self._end
        window.Show()
        self.dispatcher.RunLoop()
        window.Hide()
        if not self.accepted:
            raise ScriptError(CANCELLED)
        return {question.key: _answer(question, items) for question in self.questions}

    def _accept(self, event: "Any") -> None:
        self.accepted = True
        self.dispatcher.ExitLoop()

    def _end(self, event: "Any") -> None:
        self.dispatcher.ExitLoop()

    def _row(self, question: "Question") -> "Any":
        return self.ui.HGroup([self.ui.Label({"Text": question.label, "Weight": 0.3}), *self._widgets(question)])

    def _widgets(self, question: "Question") -> "List[Any]":
        ui, key = self.ui, question.key
        if question.kind == "choice":
            return [ui.ComboBox({"ID": key, "Weight": 0.7})]
        if question.kind == "several":
            return [ui.CheckBox({"ID": key + choice, "Text": choice}) for choice in question.choices]
        if question.kind == "switch":
            return [ui.CheckBox({"ID": key, "Text": "", "Weight": 0.7})]
        line = ui.LineEdit({"ID": key, "Weight": 0.7})
        browse = ui.Button({"ID": key + "Browse", "Text": "Browse", "Weight": 0})
        return [line, browse] if question.kind in ("folder", "file") else [line]

    def _buttons(self) -> "Any":
        return self.ui.HGroup([self.ui.Button({"ID": "cancel", "Text": "Cancel"}), self.ui.Button({"ID": "accept", "Text": "OK"})])

    def _fill(self, question: "Question", window: "Any", items: "Any") -> None:
        if question.kind == "choice":
            items[question.key].AddItems(list(question.choices))
            items[question.key].CurrentText = question.default
        elif question.kind == "several":
            chosen = [part.strip() for part in question.default.split(",")]
            for choice in question.choices:
                items[question.key + choice].Checked = choice in chosen
        elif question.kind == "switch":
            items[question.key].Checked = question.default == "on"
        else:
            items[question.key].Text = question.default
            if question.kind in ("folder", "file"):
                self._browse(question, window, items)

    def _browse(self, question: "Question", window: "Any", items: "Any") -> None:
        request = self.fusion.RequestDir if question.kind == "folder" else self.fusion.RequestFile

        def browse(event: "Any") -> None:
            items[question.key].Text = request(items[question.key].Text) or items[question.key].Text

        getattr(window.On, question.key + "Browse").Clicked = browse


def _answer(question: "Question", items: "Any") -> str:
    if question.kind == "choice":
        return str(items[question.key].CurrentText)
    if question.kind == "several":
        return ",".join(choice for choice in question.choices if items[question.key + choice].Checked)
    if question.kind == "switch":
        return "on" if items[question.key].Checked else "off"
    return str(items[question.key].Text)
