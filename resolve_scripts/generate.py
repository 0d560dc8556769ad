"""Write what the scripts carry: `python resolve_scripts/generate.py [FOLDER]`, from the root of a checkout.

The parameter table comes from grainlayer/params.py. The render presets are those that Resolve exported into FOLDER, with a few fields
of their text changed; without FOLDER they stay as they are.
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from pathlib import Path
from typing import Any

from grainlayer.params import TABLE, Effect, Param, Value, digest

HERE = Path(__file__).resolve().parent
NAMESPACE = uuid.UUID("5d9f4c5e-7c0c-4f0e-9a56-3d2f5b1c7e10")
SHARED = {"RecordClipUniqueName": "false", "RecordAudioEnabled": "false", "NumFramesOfHandles": "0"}
EXR_HALF, EXR_FLOAT, MOVIE = "EXR_RGB_half_(DWAA)", "EXR_RGB_float_(ZIP)", "QuickTime_"
PRESETS: dict[str, tuple[str, dict[str, str]]] = {
    "GrainLayer EXR half": (EXR_HALF, {"RecordFormatSubType": "ZIP", "RecordBitDepth": "16", "RecordAsFloat": "false"}),
    "GrainLayer EXR float": (EXR_FLOAT, {"RecordFormatSubType": "ZIP", "RecordBitDepth": "32", "RecordAsFloat": "true"}),
    "GrainLayer ProRes 422 HQ": (MOVIE + "Prores422Hq", {"RecordFormatSubType": "apch", "RecordBitDepth": "10"}),
    "GrainLayer ProRes 4444 XQ": (MOVIE + "ProresXQ", {"RecordFormatSubType": "ap4x", "RecordBitDepth": "16"}),
    "GrainLayer H264": (MOVIE + "H264", {"RecordFormatSubType": "avc1"}),
    "GrainLayer H265": (MOVIE + "H265", {"RecordFormatSubType": "hvc1_enc"}),
}
"""Our presets: the one of Resolve's that each is made from, and the fields that differ."""


def parameter_table() -> str:
    """Return the parameters as JSON, a line each."""
    rows = ",\n  ".join(json.dumps(_row(param)) for param in TABLE)
    return f'{{\n "digest": "{digest()}",\n "parameters": [\n  {rows}\n ]\n}}\n'


def _row(param: Param) -> dict[str, Any]:
    effects = "".join(letter for letter, effect in zip("SYR", Effect, strict=True) if effect in param.effects)
    facts = {"key": param.key, "kind": str(param.kind), "default": _plain(param.default), "low": param.low, "high": param.high}
    return facts | {"menu": [str(entry) for entry in param.menu], "effects": effects}


def _plain(value: Value) -> Value:
    return str(value) if isinstance(value, str) else value


def preset_text(sample: str, name: str, fields: dict[str, str]) -> str:
    """Return a preset's text: Resolve's, with an id of our own and other values in some fields; the rest is set when it is used."""
    text = re.sub(r'DbId="[^"]*"', f'DbId="{uuid.uuid5(NAMESPACE, name)}"', sample, count=1)
    for field, value in {**SHARED, "RecordPrefix": name, **fields}.items():
        text, count = re.subn(rf"<{field}>[^<]*</{field}>", f"<{field}>{value}</{field}>", text, count=1)
        if count != 1:
            raise SystemExit(f"The preset for {name} has no field {field}; export it from Resolve 20 again.")
    return text


def main(arguments: list[str]) -> None:
    """Write the table, and the presets where their samples are given."""
    (HERE / "lib" / "grain_scripts" / "parameters.json").write_text(parameter_table(), "utf-8")
    for folder in arguments:
        for name, (sample, fields) in PRESETS.items():
            text = preset_text((Path(folder) / f"{sample}.xml").read_text("utf-8"), name, fields)
            (HERE / "presets" / f"{name}.xml").write_text(text, "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
