"""Put together a section of the results: words, tables and plots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.report import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS = 80
"""Dots an inch of the plots, which are to stay small."""


@dataclass(frozen=True)
class Plot:
    """Name a plot: its file's name, what it shows, and what draws it on an empty figure."""

    name: str
    caption: str
    draw: Callable[[Figure], None]
    size: tuple[float, float] = (9.0, 3.6)

    def save(self, folder: Path) -> bool:
        """Write the plot into a folder; return False where there is nothing to draw, or matplotlib is not installed."""
        try:
            from matplotlib.figure import Figure
        except ImportError:
            return False
        figure = Figure(figsize=self.size, layout="constrained")
        self.draw(figure)
        if not any(panel.lines for panel in figure.axes):
            return False
        folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(folder / self.name, dpi=DOTS, metadata={"Software": None})
        return True


@dataclass
class Part:
    """Hold one section; `facts` are figures that the models' cards quote."""

    title: str
    words: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> str:
        """Write the plots into `folder`/results and return the section in Markdown."""
        shown = [f"![{plot.caption}](results/{plot.name})" for plot in self.plots if plot.save(folder / "results")]
        return "\n\n".join([f"## {self.title}", *self.words, *shown, *(table.markdown() for table in self.tables)])
