"""The bridge in a real host, against a real server: every picture against the effect itself, every failure with the source shown."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grainlayer.params import Effect as EffectName
from grainlayer.params import Kind, View, defaults_for, for_effect
from tests.host.ofx import IDS, RESTORE, SPLIT, SYNTH, Host
from tests.system.hosting import SIZE, code, grainy, prepare, rendered
from tests.system.serving import Place, until

KINDS = {Kind.FLOAT: "Double", Kind.INT: "Integer", Kind.BOOL: "Boolean", Kind.CHOICE: "Choice", Kind.TEXT: "String"}


@pytest.mark.parametrize(("plugin", "effect"), list(zip(IDS, EffectName, strict=True)))
@pytest.mark.parametrize("context", ["Filter", "General"])
def test_every_parameter_is_described(host: Host, plugin: str, effect: EffectName, context: str) -> None:
    found = host.send("describe", plugin, f"context={context}")
    shown = {p["name"]: p for p in found["params"]}
    values = [p for p in found["params"] if p["type"].removeprefix("OfxParamType") in KINDS.values()]
    assert [p["name"] for p in values] == [p.key for p in for_effect(effect)]
    assert len(shown) == len(found["params"])
    for param in for_effect(effect):
        props = shown[param.key]["properties"]
        assert shown[param.key]["type"] == f"OfxParamType{KINDS[param.kind]}"
        assert "-" not in props["OfxPropLabel"]
        if param.kind in (Kind.FLOAT, Kind.INT):
            bounds = [props[f"OfxParamProp{name}"] for name in ("Min", "Max", "DisplayMin", "DisplayMax", "Default")]
            assert [b[0] if isinstance(b, list) else b for b in bounds] == [param.low, param.high, *param.shown, param.default]
        if param.kind is Kind.CHOICE:
            assert props["OfxParamPropChoiceOption"] == list(param.menu)
    clips = [clip["name"] for clip in found["clips"]]
    assert ("Mask" in clips) == (context == "General" and effect is not EffectName.ARTIFACT_RESTORE)


@pytest.mark.parametrize("plugin", IDS)
def test_what_changes_nothing_is_the_source(host: Host, plugin: str) -> None:
    pictures = grainy()
    neutral = {SPLIT: {}, SYNTH: {"grain_amount": 0}, RESTORE: {"restore": 0}}[plugin]
    prepare(host, plugin, pictures, **neutral)
    assert host.send("identity", "a", 0)["clip"] == "Source"
    facts, out = host.render("a", 0, SIZE)
    assert facts["status"] == 0
    np.testing.assert_array_equal(out, pictures[0])
    host.send("set", "a", "view", "Base" if plugin != RESTORE else "Status")
    assert host.send("identity", "a", 0)["status"] != 0


@pytest.mark.parametrize("view", list(View)[:-1])
@pytest.mark.parametrize("amount", [1.0, 0.4])
def test_every_view_is_what_the_effect_makes(host: Host, view: View, amount: float) -> None:
    pictures = grainy()
    prepare(host, SPLIT, pictures, view=view, grain_amount=amount)
    facts, out = host.render("a", 0, SIZE)
    assert facts["status"] == 0, facts
    assert facts["unwritten"] == facts["outside"] == 0
    np.testing.assert_array_equal(out, rendered(pictures, view=view, grain_amount=amount))


@pytest.mark.parametrize("depth", ["float", "half", "short", "byte"])
@pytest.mark.parametrize("components", ["RGBA", "RGB"])
def test_depths_and_components(host: Host, depth: str, components: str) -> None:
    pictures = code(grainy(), depth)
    prepare(host, SPLIT, pictures, options={"depth": depth, "components": components}, view="Base")
    facts, out = host.render("a", 0, SIZE)
    assert facts["status"] == 0, facts
    seen = code(pictures, depth)
    wanted = code(rendered(seen, view="Base"), depth)
    wanted[..., 3] = seen[0, ..., 3] if components == "RGBA" else 1
    np.testing.assert_array_equal(out, wanted)


layouts = st.tuples(st.integers(-40, 40), st.integers(-40, 40), st.integers(0, 67), st.booleans())


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), source=layouts, pad=st.integers(0, 67), negative=st.booleans())
def test_any_layout_of_memory(host: Host, data: st.DataObject, source: tuple[int, int, int, bool], pad: int, negative: bool) -> None:
    width, height = data.draw(st.sampled_from([(1, 1), (16, 9), (53, 37), (4, 300), (300, 3)]))
    depth, components = data.draw(st.sampled_from(["float", "half", "short", "byte"])), data.draw(st.sampled_from(["RGBA", "RGB"]))
    aligned = {"float": 4, "half": 2, "short": 2, "byte": 1}[depth]
    pictures = code(grainy(size=(width, height)), depth)
    prepare(host, SPLIT, pictures, options={"depth": depth, "components": components}, view="Grain", grain_amount=0.5)
    x, y, source_pad, source_negative = source
    host.send("layout", "a", "*", f"origin={x},{y}")
    host.send("layout", "a", "Source", f"pad={source_pad // aligned * aligned}", f"negative={int(source_negative)}")
    host.send("layout", "a", "Output", f"pad={pad // aligned * aligned}", f"negative={int(negative)}")
    x1, x2 = sorted(data.draw(st.tuples(st.integers(0, width - 1), st.integers(1, width))))
    y1, y2 = sorted(data.draw(st.tuples(st.integers(0, height - 1), st.integers(1, height))))
    x2, y2 = max(x2, x1 + 1), max(y2, y1 + 1)
    window = f"window={x + x1},{y + y1},{x + x2},{y + y2}"
    facts, out = host.render("a", 0, (x2 - x1, y2 - y1), window)
    assert facts["status"] == 0, facts
    assert facts["outside"] == 0
    seen = code(pictures, depth)
    wanted = code(rendered(seen, view="Grain", grain_amount=0.5), depth)
    wanted[..., 3] = seen[0, ..., 3] if components == "RGBA" else 1
    np.testing.assert_array_equal(out, wanted[height - y2 : height - y1, x1:x2])
    host.send("destroy", "a")


def test_premultiplied_colour_is_worked_on_as_it_is_meant(host: Host) -> None:
    pictures = grainy()
    plain = pictures.copy()
    pictures[..., :3] *= pictures[..., 3:]
    prepare(host, SPLIT, pictures, options={"premult": "Premultiplied"}, view="Base")
    host.send("prefs", "a")
    _, out = host.render("a", 0, SIZE)
    wanted = rendered(plain, view="Base")
    wanted[..., :3] *= wanted[..., 3:]
    np.testing.assert_allclose(out, wanted, atol=2e-5)
    np.testing.assert_array_equal(out[..., 3], pictures[0, ..., 3])


def test_a_mask_scales_the_effect(host: Host) -> None:
    pictures = grainy()
    prepare(host, SPLIT, pictures, options={"context": "General"}, view="Base")
    share = np.linspace(0, 1, SIZE[0], dtype=np.float32)[None, :].repeat(SIZE[1], 0)
    host.bind("a", "Mask", np.repeat(share[None, :, :, None], 4, axis=3), "components=Alpha")
    _, out = host.render("a", 0, SIZE)
    full = rendered(pictures, view="Base")
    np.testing.assert_allclose(out, pictures[0] + share[..., None] * (full - pictures[0]), atol=1e-6)
    host.send("connect", "a", "Mask", 0)
    np.testing.assert_array_equal(host.render("a", 0, SIZE)[1], full)


def test_a_mask_without_a_picture_is_black(host: Host) -> None:
    pictures = grainy(2)
    prepare(host, SPLIT, pictures, options={"context": "General"}, view="Base")
    host.send("host", "temporal=ignore")
    host.bind("a", "Mask", np.ones((1, SIZE[1], SIZE[0], 4), np.float32), "components=Alpha")
    np.testing.assert_array_equal(host.render("a", 0, SIZE)[1], rendered(pictures, view="Base"))
    facts, out = host.render("a", 1, SIZE)
    assert facts["status"] == 0
    np.testing.assert_array_equal(out, pictures[1])


def test_texts_are_copied_before_the_host_takes_them_back(host: Host, tmp_path: Path) -> None:
    """A host keeps one room for each parameter's text; eight frames ask for it at once."""
    pictures = grainy(16)
    prepare(host, SPLIT, pictures, view="Split", profile_data="", shot_uid="u" * 60)
    found = host.send("parallel", "a", *range(16), *range(16), "threads=8", f"out={tmp_path}/")["frames"]
    assert all(frame["status"] == 0 for frame in found), found


def test_a_shot_that_was_reset_is_neutral_in_the_journal_too(host: Host, served: Place) -> None:
    """Hosts show the source where nothing changes and do not render; the server is told all the same, once."""
    prepare(host, SPLIT, grainy(), shot_uid="shot-reset", grain_amount=0.4)
    assert host.render("a", 0, SIZE)[0]["status"] == 0

    path = served.state / "journal" / "shot-reset.json"

    def amount_is(wanted: float) -> bool | None:
        facts = json.loads(path.read_text())["params"] if path.exists() else {}
        return facts.get("grain_amount", 1.0) == wanted or None

    assert until(lambda: amount_is(0.4))
    host.send("set", "a", "grain_amount", 1)
    assert host.send("identity", "a", 0)["status"] != 0
    host.render("a", 0, SIZE)
    assert until(lambda: amount_is(1.0))
    assert host.send("identity", "a", 0)["clip"] == "Source"


def test_keyframes_reach_the_picture(host: Host) -> None:
    pictures = grainy(4)
    prepare(host, SPLIT, pictures)
    for time_, value in ((0, 0.0), (3, 1.5)):
        host.send("key", "a", "grain_amount", time_, value)
    for frame in range(4):
        _, out = host.render("a", frame, SIZE)
        np.testing.assert_array_equal(out, rendered(pictures, frame, grain_amount=1.5 * frame / 3))


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("as_melt", [0, 1])
def test_frames_in_parallel(host: Host, threads: int, as_melt: int, tmp_path: Path) -> None:
    pictures = grainy(8)
    prepare(host, SYNTH, pictures, grain_size=1.3)
    found = host.send("parallel", "a", *range(8), f"threads={threads}", f"out={tmp_path}/f", f"like_mlt={as_melt}")
    assert all(frame["status"] == 0 for frame in found["frames"]), found
    base = {
        key: value for key, value in vars(defaults_for(EffectName.GRAIN_SYNTH)).items() if key not in ("level", "level_mode", "grain_size")
    }
    for frame in range(8):
        out = np.fromfile(tmp_path / f"f{frame}.raw", np.float32).reshape(pictures.shape[1:])
        np.testing.assert_array_equal(out, rendered(pictures, frame, grain_size=1.3, **base))


def test_neighbours_help_and_are_mirrored_at_the_ends(host: Host) -> None:
    pictures = grainy(5)
    prepare(host, SPLIT, pictures, view="Base", quality="temporal")
    needed = {0: [0, 2], 2: [0, 4], 4: [2, 4]}
    for frame in (2, 0, 4, 3):
        if frame in needed:
            assert host.send("frames", "a", frame)["frames"]["Source"] == needed[frame]
        facts, out = host.render("a", frame, SIZE, "needed=1")
        assert facts["status"] == 0, facts
        np.testing.assert_array_equal(out, rendered(pictures, frame, view="Base", quality="temporal"))


@pytest.mark.parametrize("mode", ["ignore", "null", "clamp"])
def test_hosts_that_do_not_give_neighbours(served: Place, tmp_path: Path, mode: str) -> None:
    pictures = grainy(3)
    with Host(tmp_path, served.environment) as host:
        host.send("host", f"temporal={mode}")
        host.load()
        prepare(host, SPLIT, pictures, view="Base", quality="temporal")
        facts, out = host.render("a", 1, SIZE)
        assert facts["status"] == 0, facts
        alone = mode == "ignore"
        wanted = rendered(pictures[1:2], view="Base") if alone else rendered(pictures, 1, view="Base", quality="temporal")
        np.testing.assert_array_equal(out, wanted)


def test_a_proxy_is_rendered_small_and_a_thumbnail_passes_through(host: Host) -> None:
    pictures = grainy(size=(64, 48))
    prepare(host, SPLIT, pictures, view="Base")
    facts, out = host.render("a", 0, (32, 24), "scale=0.5")
    assert facts["status"] == 0, facts
    assert 0 < np.abs(out[..., :3] - pictures[0, ::2, ::2, :3]).mean() < 0.1
    facts, out = host.render("a", 0, (64, 48), "thumbnail=1")
    np.testing.assert_array_equal(out, pictures[0])


@pytest.mark.parametrize(("field", "status"), [("Lower", 1), ("Upper", 1), ("Both", 0), ("None", 0)])
def test_single_fields_are_refused(host: Host, field: str, status: int) -> None:
    pictures = grainy()
    host.send("host", f"field={field}")
    prepare(host, SPLIT, pictures, view="Base")
    facts, out = host.render("a", 0, SIZE)
    assert facts["status"] == status
    if status:
        assert "deinterlace" in facts["persistent"]["text"]
        np.testing.assert_array_equal(out, pictures[0])


def test_a_thumbnail_too_small_to_be_measured_is_shown_as_it_is(host: Host) -> None:
    """Hosts draw thumbnails of 92x46 pixels without saying so."""
    pictures = grainy(size=(92, 46))
    prepare(host, SPLIT, pictures, grain_source="resynthesised")
    facts, out = host.render("a", 0, (92, 46))
    assert facts["status"] == 0
    assert facts["persistent"] is None
    np.testing.assert_array_equal(out, pictures[0])
    host.send("set", "a", "profile", "box")
    assert host.render("a", 0, (92, 46))[0]["status"] == 0
    large = grainy(size=(192, 48), seed=1)
    prepare(host, SPLIT, large, name="b", grain_source="resynthesised")
    assert host.render("b", 0, (192, 48))[0]["status"] == 1


def test_analyse_keeps_the_shots_profile_and_names_the_shot(host: Host) -> None:
    pictures = grainy(9, size=(96, 64))
    prepare(host, SPLIT, pictures)
    found = host.send("edit", "a", "analyse")
    assert found["status"] == 0
    assert set(found["changed"]) == {"shot_uid", "profile_data"}
    profile = json.loads(host.send("get", "a", "profile_data")["value"])
    assert profile["height"] == 64
    uid = host.send("get", "a", "shot_uid")["value"]
    assert uid.startswith("shot-")
    host.send("edit", "a", "grain_amount", 0.5)
    assert host.send("get", "a", "shot_uid")["value"] == uid
    host.send("set", "a", "grain_source", "resynthesised")
    facts, _ = host.render("a", 3, (96, 64))
    assert facts["status"] == 0, facts


def test_analyse_refuses_pictures_that_are_shown_smaller(host: Host) -> None:
    prepare(host, SPLIT, grainy(3, size=(96, 64)))
    found = host.send("edit", "a", "analyse", "scale=0.5")
    assert "full resolution" in found["persistent"]["text"]
    assert host.send("get", "a", "profile_data")["value"] == ""
    assert host.send("edit", "a", "analyse")["persistent"] is None


def test_a_warning_is_shown_beside_a_picture_that_is_right(host: Host) -> None:
    pictures = grainy()
    prepare(host, SPLIT, pictures, follow=1, view="Base")
    facts, out = host.render("a", 0, SIZE)
    assert facts["status"] == 0
    assert facts["persistent"]["type"] == "OfxMessageWarning"
    assert "sidecar" in facts["persistent"]["text"]
    np.testing.assert_array_equal(out, rendered(pictures, view="Base"))
    host.send("set", "a", "follow", 0)
    assert host.render("a", 0, SIZE)[0]["persistent"] is None


def test_doctor_reports_in_the_host(host: Host) -> None:
    prepare(host, SPLIT, grainy())
    found = host.send("edit", "a", "run_doctor")
    assert [message["type"] for message in found["messages"]] == ["OfxMessageMessage"]
    assert "models" in found["messages"][0]["text"]


def test_status_is_drawn_into_the_picture(host: Host) -> None:
    size = (320, 180)
    pictures = grainy(size=size)
    prepare(host, SPLIT, pictures, view="Status", grain_amount=0.5)
    facts, out = host.render("a", 0, size)
    plain = rendered(pictures, grain_amount=0.5)
    drawn = np.any(out[..., :3] != plain[..., :3], axis=2)
    assert facts["status"] == 0
    assert drawn[:20, :60].mean() > 0.9
    assert not drawn[120:].any()


def test_a_message_is_said_once_and_cleared_when_well(host: Host) -> None:
    pictures = grainy()
    prepare(host, SPLIT, pictures, profile="file", grain_source="resynthesised")
    calls = [host.render("a", 0, SIZE)[0]["persistent_calls"] for _ in range(3)]
    assert calls[0] == calls[2] == 1
    host.send("set", "a", "grain_source", "own")
    assert host.render("a", 0, SIZE)[0]["persistent"] is None


def test_hosts_without_messages_and_progress(served: Place, tmp_path: Path) -> None:
    for traits in (("message_suite=0", "progress=0"), ("null_persistent=1",), ("message_suite=1",)):
        with Host(tmp_path, served.environment) as host:
            host.send("host", *traits)
            host.load()
            prepare(host, SPLIT, grainy(), profile="file", grain_source="resynthesised")
            facts, out = host.render("a", 0, SIZE)
            assert facts["status"] == 1
            np.testing.assert_array_equal(out, grainy()[0])
            host.send("edit", "a", "run_doctor")
            host.send("edit", "a", "analyse")


def test_abort_ends_a_render_soon(host: Host) -> None:
    size = (1200, 900)
    pictures = grainy(size=size)
    prepare(host, SPLIT, pictures, view="Base")
    began = time.monotonic()
    facts, out = host.render("a", 0, size, "abort_after_ms=30")
    assert facts["status"] == 1
    assert facts["persistent"] is None
    assert time.monotonic() - began < 5
    np.testing.assert_array_equal(out, pictures[0])


def test_values_beyond_the_range_and_pictures_beyond_reason(host: Host) -> None:
    pictures = grainy()
    pictures[0, 3, 4] = (np.nan, np.inf, -7, 1)
    prepare(host, SPLIT, pictures, view="Base")
    facts, out = host.render("a", 0, SIZE)
    assert facts["status"] == 1
    assert "NaN" in facts["persistent"]["text"]
    np.testing.assert_array_equal(out, pictures[0])
