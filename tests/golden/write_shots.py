"""Write the golden shots: `python -m tests.golden.write_shots`. Only for a new schema; old files must stay readable."""

from __future__ import annotations

import json
from pathlib import Path

from grainlayer.editorial.jsonform import shot_to_json
from grainlayer.editorial.shots import Shot
from grainlayer.grain.profile import NODES, RADII, STRENGTH_KNOTS, GrainProfile
from grainlayer.params import Effect, GrainSource, ShotParams, Stock
from grainlayer.types import Encoding

GOLDEN = Path(__file__).with_name("shots_v1.json")

PROFILE = GrainProfile(1080, ((200,) * STRENGTH_KNOTS,) * 3, (tuple(range(len(RADII))),) * len(NODES), (2,) * len(RADII), (50, 40, 45))


def golden_shots() -> list[Shot]:
    """Return shots that use every field."""
    graded = ShotParams(grain_amount=0.6, grain_size=1.4, grain_seed=7, encoding=Encoding.LOGC3, follow=True, profile_file="a/ö.json")
    keys = {"grain_amount": ((0, 1.0), (24, 0.5)), "grain_hold": ((3, 2),), "deblock": ((0, False),)}
    synth = ShotParams(removal=0.0, grain_source=GrainSource.STOCK, stock=Stock.F16_250)
    return [
        Shot("0123456789abcdef", "SH010", params=graded, keys=keys, profile=PROFILE),
        Shot("stock", "SH020 ø", Effect.GRAIN_SYNTH, synth),
        Shot("restored", "", Effect.ARTIFACT_RESTORE, ShotParams(deband=0.1, depth=False)),
    ]


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps([shot_to_json(shot) for shot in golden_shots()], indent=1) + "\n", "utf-8")
    print(f"wrote {GOLDEN}")
