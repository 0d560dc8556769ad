"""Judge what Resolve answers, and put back what was changed."""

from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Callable, List, Optional, Type, Union

T = TypeVar("T")


class ScriptError(Exception):
    """Say in one sentence what failed and what to do; str() is that sentence."""


def need(answer: "Union[T, None]", sentence: str) -> "T":
    """Return an answer. Raise ScriptError with `sentence` if it is None or False, as Resolve's failures are; 0 and "" are answers."""
    if answer is None or answer is False:
        raise ScriptError(sentence)
    return answer


class Step(NamedTuple):
    """Hold how to put one thing back: `always`, or on failure only; `advice` says what to do by hand if that fails too."""

    always: bool
    advice: str
    action: "Callable[[], object]"


class PutBack:
    """Put back what was changed, last first, when the block ends; failed steps are tried twice and then told.

    Inside the block every change is followed by `always` (a page, a setting) or `on_failure` (a marker, a track).
    """

    def __init__(self, tell: "Callable[[str], None]") -> None:
        """Take the function that shows a sentence."""
        self._tell = tell
        self._steps: List[Step] = []

    def always(self, advice: str, action: "Callable[[], object]") -> None:
        """Put this back whether the block succeeds or not. The action answers None or False if it failed."""
        self._steps.append(Step(True, advice, action))

    def on_failure(self, advice: str, action: "Callable[[], object]") -> None:
        """Put this back only if the block fails. The action answers None or False if it failed."""
        self._steps.append(Step(False, advice, action))

    def __enter__(self) -> "PutBack":
        """Begin."""
        return self

    def __exit__(self, kind: "Optional[Type[BaseException]]", error: "Optional[BaseException]", trace: "Optional[TracebackType]") -> None:
        """Take the steps; the error in flight goes on."""
        while self._steps:
            step = self._steps.pop()
            if (step.always or kind is not None) and not (_done(step) or _done(step)):
                self._tell(step.advice)


def _done(step: Step) -> bool:
    try:
        answer = step.action()
    except Exception:  # a dead bridge raises anything; the other steps must still be taken
        return False
    return answer is not None and answer is not False
