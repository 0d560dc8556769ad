"""Hold the curves to the oracle, to their own inverse and to order."""

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from grainlayer.errors import ParamError
from grainlayer.picture.encoding import MODEL_WHITE, curve, decode, encode, from_model, slope, to_model
from grainlayer.types import Encoding

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import colour
    from colour.models.rgb import transfer_functions as oracle
    from colour.models.rgb.transfer_functions.itur_bt_2020 import CONSTANTS_BT2020_PRECISE

Pair = tuple[Callable[..., object], Callable[..., object]]

ORACLES: dict[Encoding, Pair] = {
    Encoding.REC709: (
        partial(oracle.oetf_BT2020, constants=CONSTANTS_BT2020_PRECISE),
        partial(oracle.oetf_inverse_BT2020, constants=CONSTANTS_BT2020_PRECISE),
    ),
    Encoding.SRGB: (oracle.eotf_inverse_sRGB, oracle.eotf_sRGB),
    Encoding.GAMMA24: (partial(oracle.gamma_function, exponent=1 / 2.4), partial(oracle.gamma_function, exponent=2.4)),
    Encoding.DAVINCI_INTERMEDIATE: (oracle.oetf_DaVinciIntermediate, oracle.oetf_inverse_DaVinciIntermediate),
    Encoding.ACESCCT: (oracle.log_encoding_ACEScct, oracle.log_decoding_ACEScct),
    Encoding.ACESCC: (oracle.log_encoding_ACEScc, oracle.log_decoding_ACEScc),
    Encoding.LOGC3: (oracle.log_encoding_ARRILogC3, oracle.log_decoding_ARRILogC3),
    Encoding.LOGC4: (oracle.log_encoding_ARRILogC4, oracle.log_decoding_ARRILogC4),
    Encoding.SLOG3: (oracle.log_encoding_SLog3, oracle.log_decoding_SLog3),
    Encoding.VLOG: (oracle.log_encoding_VLog, oracle.log_decoding_VLog),
    Encoding.LOG3G10: (oracle.log_encoding_Log3G10, oracle.log_decoding_Log3G10),
    Encoding.CANON_LOG2: (oracle.log_encoding_CanonLog2, oracle.log_decoding_CanonLog2),
    Encoding.CANON_LOG3: (oracle.log_encoding_CanonLog3, oracle.log_decoding_CanonLog3),
    Encoding.BMD_FILM5: (oracle.oetf_BlackmagicFilmGeneration5, oracle.oetf_inverse_BlackmagicFilmGeneration5),
    Encoding.CINEON: (oracle.log_encoding_Cineon, oracle.log_decoding_Cineon),
    Encoding.HLG: (oracle.oetf_BT2100_HLG, oracle.oetf_inverse_BT2100_HLG),
    Encoding.PQ: (partial(oracle.eotf_inverse_ST2084, L_p=1), partial(oracle.eotf_ST2084, L_p=1)),
    Encoding.LINEAR: (np.positive, np.positive),
}


def ask(function: Callable[..., object], values: np.ndarray) -> np.ndarray:
    """Return the oracle's answer; it evaluates both parts of a curve everywhere and warns of the part it drops."""
    with np.errstate(all="ignore"):
        return np.asarray(function(values.astype(np.float64)))


every = pytest.mark.parametrize("encoding", list(Encoding))
values = st.floats(-0.25, 1.5, width=32)


def test_every_encoding_has_an_oracle():
    assert set(ORACLES) == set(Encoding)
    assert colour.__version__


@every
def test_encode_agrees_with_the_oracle(encoding: Encoding):
    top = 1.0 if encoding in (Encoding.PQ, Encoding.HLG, Encoding.REC709, Encoding.SRGB, Encoding.GAMMA24) else 40.0
    light = np.concatenate([np.linspace(0, 0.05, 4001), np.linspace(0.05, top, 4001)]).astype(np.float32)
    wanted = ask(ORACLES[encoding][0], light)
    assert np.abs(encode(encoding, light) - wanted).max() < 1e-6 * max(1.0, float(np.abs(wanted).max()))


@every
def test_decode_agrees_with_the_oracle(encoding: Encoding):
    code = np.linspace(0, 1, 8001).astype(np.float32)
    wanted = ask(ORACLES[encoding][1], code)
    assert (np.abs(decode(encoding, code) - wanted) / np.maximum(np.abs(wanted), 1)).max() < 1e-6


def test_rec709_stays_near_the_rounded_constants():
    light = np.linspace(0, 1, 4001).astype(np.float32)
    assert np.abs(encode(Encoding.REC709, light) - ask(oracle.oetf_BT709, light)).max() < 3.1e-4


@every
@settings(max_examples=50, deadline=None)
@given(codes=arrays(np.float32, 64, elements=values))
def test_codes_survive_light_and_back(encoding: Encoding, codes: np.ndarray):
    again = encode(encoding, decode(encoding, codes))
    assert again.dtype == np.float32
    assert np.abs(again - codes).max() < 1e-5


@every
@settings(max_examples=50, deadline=None)
@given(light=arrays(np.float32, 64, elements=st.floats(-4, 60, width=32)))
def test_light_survives_codes_and_back(encoding: Encoding, light: np.ndarray):
    again = decode(encoding, encode(encoding, light))
    assert (np.abs(again - light) / np.maximum(np.abs(light), 1)).max() < 1e-5


@every
def test_curves_rise_everywhere(encoding: Encoding):
    cuts = [0.0, *curve(encoding).cuts]
    near = np.concatenate([cut + np.linspace(-1e-5, 1e-5, 2001) for cut in cuts] + [np.linspace(-2, 20, 20001)])
    light = np.unique(near)
    assert (np.diff(curve(encoding).encode(light)) >= 0).all()
    codes = np.unique(
        np.concatenate([c + np.linspace(-1e-5, 1e-5, 2001) for c in curve(encoding).code_cuts()] + [np.linspace(-0.5, 1.6, 20001)])
    )
    assert (np.diff(curve(encoding).decode(codes)) >= 0).all()


@every
def test_never_clips(encoding: Encoding):
    codes = np.linspace(-0.2, 1.2, 141).astype(np.float32)
    light = decode(encoding, codes)
    assert (np.diff(light) > 0).all()
    assert np.isfinite(light).all()
    assert (np.diff(encode(encoding, np.linspace(-1, 3, 401).astype(np.float32))) > 0).all()


@every
@settings(max_examples=50, deadline=None)
@given(codes=arrays(np.float32, 64, elements=values))
def test_model_codes_come_back(encoding: Encoding, codes: np.ndarray):
    again = from_model(encoding, to_model(encoding, codes))
    black = np.abs(codes) < 0.02 if encoding in (Encoding.PQ, Encoding.HLG) else np.zeros(codes.shape, bool)
    assert (np.abs(again - codes) <= np.where(black, 5e-5, 1e-5)).all()


@pytest.mark.parametrize("encoding", list(MODEL_WHITE))
def test_diffuse_white_is_the_same_to_models(encoding: Encoding):
    white = encode(encoding, np.array([MODEL_WHITE[encoding]], np.float32))
    assert to_model(encoding, white)[0] == pytest.approx(0.5942 if encoding == Encoding.PQ else 0.5548, abs=1e-4)


def test_pq_keeps_its_steps_to_models():
    steps = slope(Encoding.PQ, np.linspace(0.02, 1, 99).astype(np.float32))
    assert steps.min() > 0.5
    assert steps.max() < 2


@pytest.mark.parametrize("encoding", list(MODEL_WHITE))
def test_slope_carries_a_small_difference(encoding: Encoding):
    codes = np.linspace(0.05, 0.95, 91).astype(np.float32)
    step = (to_model(encoding, codes + 0.01) - to_model(encoding, codes - 0.01)) / 0.02
    assert np.abs(slope(encoding, codes) / step - 1).max() < 0.06


def test_perceptual_codes_go_to_models_as_they_are():
    codes = np.linspace(-0.1, 1.1, 50).astype(np.float32)
    assert to_model(Encoding.LOGC4, codes) is codes
    assert from_model(Encoding.REC709, codes) is codes
    assert (slope(Encoding.SRGB, codes) == 1).all()


@every
def test_shapes_and_strange_values_pass(encoding: Encoding):
    image = np.full((3, 5, 3), 0.5, np.float32)[:, ::2]
    assert decode(encoding, image).shape == (3, 3, 3)
    strange = encode(encoding, np.array([np.nan, np.inf, 0.18], np.float32))
    assert np.isnan(strange[0])
    assert strange[1] == np.inf or encoding == Encoding.PQ
    assert 0 < strange[2] < 1


def test_unknown_encoding_is_refused():
    with pytest.raises(ParamError, match="choose one of"):
        decode("Log9", np.zeros(1, np.float32))  # pyright: ignore[reportArgumentType]
