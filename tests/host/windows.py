"""Check what a Windows build of the plug-ins exports and imports: `python -m tests.host.windows FILE`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

EXPORTS = {"OfxGetNumberOfPlugins", "OfxGetPlugin"}
IMPORTS = {"KERNEL32.dll", "ADVAPI32.dll", "msvcrt.dll"}
"""Libraries that every Windows has."""


def tables(path: Path) -> tuple[set[str], set[str]]:
    """Return the names exported and the libraries imported."""
    text = subprocess.run(["x86_64-w64-mingw32-objdump", "-p", path], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"\] (?:\+base\[ *\d+\] )?(?:[0-9a-f]{4} )?(Ofx\w+)$", text, re.MULTILINE)), set(
        re.findall(r"DLL Name: (\S+)", text)
    )


def complaints(path: Path) -> list[str]:
    """Return a sentence for everything that is not as it must be."""
    exports, imports = tables(path)
    found = (
        [f"{path} must export {', '.join(sorted(EXPORTS))} and nothing else; it exports {sorted(exports)}."] if exports != EXPORTS else []
    )
    return found + [f"{path} needs {name}, which not every Windows has." for name in sorted(imports - IMPORTS)]


if __name__ == "__main__":
    told = complaints(Path(sys.argv[1]))
    print("\n".join(told) or f"{sys.argv[1]}: exports and imports are as they must be")
    sys.exit(bool(told))
