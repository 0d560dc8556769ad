#include "effects.h"

#include <cstring>

namespace grainlayer {
namespace {

constexpr unsigned kMajor = 0, kMinor = 1;
constexpr const char *kDescriptions[] = {
    "Takes the film grain out of a picture, shows it, and puts it back: more, less, finer, coarser.",
    "Adds film grain to a picture: a stock's, or a measured one.",
    "Repairs compression damage: blocks, colour stored at a lower resolution, steps between 8-bit levels.",
};

void name(const Props &props, const std::string &label) {
    for (const char *property : {ofx::kPropLabel, ofx::kPropShortLabel, ofx::kPropLongLabel})
        props.set(property, label);
}

ofx::PropertySetHandle define(ofx::ParamSetHandle set, const char *type, const std::string &key) {
    ofx::PropertySetHandle props = nullptr;
    suites().param->paramDefine(set, type, key.c_str(), &props);
    return props;
}

const char *type_of(const Param &param) {
    switch (param.kind) {
    case Kind::Float: return ofx::kParamTypeDouble;
    case Kind::Int: return ofx::kParamTypeInteger;
    case Kind::Bool: return ofx::kParamTypeBoolean;
    case Kind::Choice: return ofx::kParamTypeChoice;
    default: return ofx::kParamTypeString;
    }
}

// Hosts that are not told both ranges clamp to ranges of their own.
template <typename Number> void set_range(const Props &props, const Param &param) {
    props.set(ofx::kParamPropDefault, Number(param.number));
    props.set(ofx::kParamPropMin, Number(param.low));
    props.set(ofx::kParamPropMax, Number(param.high));
    props.set(ofx::kParamPropDisplayMin, Number(param.shown_low));
    props.set(ofx::kParamPropDisplayMax, Number(param.shown_high));
}

void set_value(const Props &props, const Param &param) {
    const Props host(suites().host->host);
    switch (param.kind) {
    case Kind::Float:
        set_range<double>(props, param);
        props.set(ofx::kParamPropDoubleType, ofx::kParamDoubleTypePlain);
        props.set(ofx::kParamPropDigits, 3);
        break;
    case Kind::Int: set_range<int>(props, param); break;
    case Kind::Bool:
        props.set(ofx::kParamPropDefault, int(param.number));
        props.set(ofx::kParamPropAnimates, host.integer(ofx::kParamHostPropSupportsBooleanAnimation));
        break;
    case Kind::Choice:
        for (unsigned entry = 0; entry < param.menu_size; ++entry)
            props.set(ofx::kParamPropChoiceOption, param.menu[entry], int(entry));
        props.set(ofx::kParamPropDefault, int(param.number));
        props.set(ofx::kParamPropAnimates, host.integer(ofx::kParamHostPropSupportsChoiceAnimation));
        break;
    case Kind::Text:
        props.set(ofx::kParamPropDefault, param.text);
        props.set(ofx::kParamPropAnimates, 0);
        props.set(ofx::kParamPropStringMode, std::strcmp(param.key, "profile_file") ? ofx::kParamStringIsSingleLine : ofx::kParamStringIsFilePath);
        break;
    }
}

void define_param(ofx::ParamSetHandle set, const Param &param) {
    const Props props(define(set, type_of(param), param.key));
    name(props, param.label);
    std::string hint = param.hint;
    if (*param.unit)
        hint += std::string(" Unit: ") + param.unit + ".";
    props.set(ofx::kParamPropHint, hint);
    props.set(ofx::kParamPropScriptName, param.key);
    props.set(ofx::kParamPropParent, std::string("group_") + param.group);
    set_value(props, param);
    if (!std::strcmp(param.key, "shot_uid"))
        props.set(ofx::kParamPropEvaluateOnChange, 0);
}

void define_button(ofx::ParamSetHandle set, const char *key, const char *label, const char *hint, const char *group) {
    const Props props(define(set, ofx::kParamTypePushButton, key));
    name(props, label);
    props.set(ofx::kParamPropHint, hint);
    props.set(ofx::kParamPropParent, std::string("group_") + group);
}

void define_params(ofx::ParamSetHandle set, unsigned effect) {
    const char *group = "";
    std::vector<std::string> keys;
    for (const Param &param : kParams) {
        if (!shows(param, effect))
            continue;
        if (std::strcmp(group, param.group)) {
            group = param.group;
            const Props props(define(set, ofx::kParamTypeGroup, keys.emplace_back(std::string("group_") + group)));
            name(props, group);
            props.set(ofx::kParamPropGroupOpen, 1);
        }
        define_param(set, param);
        const bool last_text = !std::strcmp(param.key, "profile_data");
        if (last_text)
            define_button(set, kAnalyse, "Analyse", "Measures the grain of this shot, or of the box, and keeps the profile.", group);
        if (!std::strcmp(param.key, "follow"))
            define_button(set, kRunDoctor, "Run Doctor", "Checks server, models and folders, and says what to mend.", group);
    }
    const Props page(define(set, ofx::kParamTypePage, "page_controls"));
    name(page, "Controls");
    for (std::size_t i = 0; i < keys.size(); ++i)
        page.set(ofx::kParamPropPageChild, keys[i], int(i));
}

void define_clip(ofx::ImageEffectHandle handle, const char *clip, bool mask) {
    ofx::PropertySetHandle made = nullptr;
    suites().effect->clipDefine(handle, clip, &made);
    const Props props(made);
    int index = 0;
    if (mask)
        props.set(ofx::kImageEffectPropSupportedComponents, ofx::kImageComponentAlpha, index++);
    props.set(ofx::kImageEffectPropSupportedComponents, ofx::kImageComponentRGBA, index++);
    props.set(ofx::kImageEffectPropSupportedComponents, ofx::kImageComponentRGB, index);
    props.set(ofx::kImageEffectPropSupportsTiles, 0);
    props.set(ofx::kImageEffectPropTemporalClipAccess, std::strcmp(clip, ofx::kImageEffectSimpleSourceClipName) ? 0 : 1);
    props.set(ofx::kImageClipPropOptional, mask ? 1 : 0);
    props.set(ofx::kImageClipPropIsMask, mask ? 1 : 0);
}

} // namespace

bool shows(const Param &param, unsigned effect) { return (param.effects >> effect & 1U) != 0; }

ofx::Status describe(ofx::ImageEffectHandle handle, unsigned effect) {
    ofx::PropertySetHandle set = nullptr;
    suites().effect->getPropertySet(handle, &set);
    const Props props(set);
    name(props, kEffectNames[effect]);
    props.set(ofx::kImageEffectPluginPropGrouping, "GrainLayer");
    props.set(ofx::kPropPluginDescription, kDescriptions[effect]);
    props.set(ofx::kPropVersion, int(kMajor), 0);
    props.set(ofx::kPropVersion, int(kMinor), 1);
    props.set(ofx::kImageEffectPropSupportedContexts, ofx::kImageEffectContextFilter, 0);
    props.set(ofx::kImageEffectPropSupportedContexts, ofx::kImageEffectContextGeneral, 1);
    int index = 0;
    for (const char *depth : {ofx::kBitDepthFloat, ofx::kBitDepthHalf, ofx::kBitDepthShort, ofx::kBitDepthByte})
        props.set(ofx::kImageEffectPropSupportedPixelDepths, depth, index++);
    props.set(ofx::kImageEffectPluginRenderThreadSafety, ofx::kImageEffectRenderFullySafe);
    for (const char *off : {ofx::kImageEffectPluginPropSingleInstance, ofx::kImageEffectPluginPropHostFrameThreading,
                            ofx::kImageEffectPropSupportsMultiResolution, ofx::kImageEffectPropSupportsTiles,
                            ofx::kImageEffectPropSupportsMultipleClipDepths, ofx::kImageEffectPropSupportsMultipleClipPARs,
                            ofx::kImageEffectPluginPropFieldRenderTwiceAlways})
        props.set(off, 0);
    props.set(ofx::kImageEffectPropTemporalClipAccess, 1);
    props.set(ofx::kImageEffectPropCPURenderSupported, "true");
    return ofx::kStatOK;
}

ofx::Status describe_in_context(ofx::ImageEffectHandle handle, unsigned effect, const std::string &context) {
    define_clip(handle, ofx::kImageEffectSimpleSourceClipName, false);
    define_clip(handle, ofx::kImageEffectOutputClipName, false);
    if (context == ofx::kImageEffectContextGeneral && effect < 2)
        define_clip(handle, kMaskClip, true);
    ofx::ParamSetHandle params = nullptr;
    suites().effect->getParamSet(handle, &params);
    define_params(params, effect);
    return ofx::kStatOK;
}

} // namespace grainlayer
