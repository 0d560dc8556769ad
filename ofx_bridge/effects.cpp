#include "effects.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>

namespace grainlayer {
namespace {

constexpr int kTemporalReach = 2, kRestoreReach = 3;
constexpr const char *kNeutralAtOne[] = {"grain_amount", "grain_size",    "grain_saturation", "grain_red",       "grain_green",
                                         "grain_blue",   "grain_shadows", "grain_mids",       "grain_highlights"};
constexpr const char *kRestoring[] = {"deblock", "chroma", "depth", "deband"};

std::atomic<ofx::Host *> given{nullptr};
std::atomic<const Suites *> current{nullptr};

template <typename Suite> void fetch(const ofx::Host *host, const char *name, int version, const Suite *&suite) {
    suite = static_cast<const Suite *>(host->fetchSuite(host->host, name, version));
}

// A spline of keys may swing past the range.
double number_at(const Param &param, ofx::ParamHandle handle, ofx::Time time) {
    double number = param.number;
    int whole = int(param.number);
    if (param.kind == Kind::Float)
        suites().param->paramGetValueAtTime(handle, time, &number);
    else
        suites().param->paramGetValueAtTime(handle, time, &whole);
    if (param.kind == Kind::Bool)
        return whole != 0;
    if (param.kind == Kind::Choice)
        return std::clamp(whole, 0, int(param.menu_size) - 1);
    const double found = param.kind == Kind::Float ? number : whole;
    return std::isfinite(found) ? std::clamp(found, param.low, param.high) : param.number;
}

constexpr const char *kDescriptions[] = {
    "Takes the film grain out of a picture, shows it, and puts it back: more, less, finer, coarser.",
    "Adds film grain to a picture: a stock's, or a measured one.",
    "Repairs compression damage: blocks, colour stored at a lower resolution, steps between 8-bit levels.",
};

constexpr const char *kTypes[] = {ofx::kParamTypeDouble, ofx::kParamTypeInteger, ofx::kParamTypeBoolean, ofx::kParamTypeChoice,
                                  ofx::kParamTypeString}; // as Kind

bool same(const char *a, const char *b) { return !std::strcmp(a, b); }

void name(const Props &props, const std::string &label) {
    for (const char *property : {ofx::kPropLabel, ofx::kPropShortLabel, ofx::kPropLongLabel})
        props.set(property, label);
}

Props define(ofx::ParamSetHandle set, const char *type, const std::string &key, const char *label) {
    ofx::PropertySetHandle made = nullptr;
    suites().param->paramDefine(set, type, key.c_str(), &made);
    name(Props(made), label);
    return Props(made);
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
        return props.set(ofx::kParamPropDigits, 3);
    case Kind::Int: return set_range<int>(props, param);
    case Kind::Bool:
        props.set(ofx::kParamPropDefault, int(param.number));
        return props.set(ofx::kParamPropAnimates, host.integer(ofx::kParamHostPropSupportsBooleanAnimation));
    case Kind::Choice:
        for (unsigned entry = 0; entry < param.menu_size; ++entry)
            props.set(ofx::kParamPropChoiceOption, param.menu[entry], int(entry));
        props.set(ofx::kParamPropDefault, int(param.number));
        return props.set(ofx::kParamPropAnimates, host.integer(ofx::kParamHostPropSupportsChoiceAnimation));
    case Kind::Text:
        props.set(ofx::kParamPropDefault, param.text);
        props.set(ofx::kParamPropAnimates, 0);
        props.set(ofx::kParamPropStringMode, same(param.key, "profile_file") ? ofx::kParamStringIsFilePath : ofx::kParamStringIsSingleLine);
    }
}

void define_param(ofx::ParamSetHandle set, const Param &param, const std::string &group) {
    const Props props = define(set, kTypes[std::size_t(param.kind)], param.key, param.label);
    props.set(ofx::kParamPropHint, *param.unit ? std::string(param.hint) + " Unit: " + param.unit + "." : param.hint);
    props.set(ofx::kParamPropScriptName, param.key);
    props.set(ofx::kParamPropParent, group);
    set_value(props, param);
}

void define_button(ofx::ParamSetHandle set, const char *key, const char *label, const char *hint, const std::string &group) {
    const Props props = define(set, ofx::kParamTypePushButton, key, label);
    props.set(ofx::kParamPropHint, hint);
    props.set(ofx::kParamPropParent, group);
}

void define_params(ofx::ParamSetHandle set, unsigned effect) {
    std::vector<std::string> groups;
    for (const Param &param : kParams) {
        if (!shows(param, effect))
            continue;
        if (const std::string group = std::string("group_") + param.group; groups.empty() || groups.back() != group) {
            groups.push_back(group);
            define(set, ofx::kParamTypeGroup, group, param.group).set(ofx::kParamPropGroupOpen, 1);
        }
        define_param(set, param, groups.back());
        if (same(param.key, "profile_data"))
            define_button(set, kAnalyse, "Analyse", "Measures the grain of this shot, or of the box, and keeps the profile.",
                          groups.back());
        if (same(param.key, "follow"))
            define_button(set, kRunDoctor, "Run Doctor", "Checks server, models and folders, and says what to mend.", groups.back());
    }
    const Props page = define(set, ofx::kParamTypePage, "page_controls", "Controls");
    for (std::size_t i = 0; i < groups.size(); ++i)
        page.set(ofx::kParamPropPageChild, groups[i], int(i));
}

void define_clip(ofx::ImageEffectHandle handle, const char *clip) {
    ofx::PropertySetHandle made = nullptr;
    suites().effect->clipDefine(handle, clip, &made);
    const Props props(made);
    const bool mask = same(clip, kMaskClip);
    int index = 0;
    if (mask)
        props.set(ofx::kImageEffectPropSupportedComponents, ofx::kImageComponentAlpha, index++);
    props.set(ofx::kImageEffectPropSupportedComponents, ofx::kImageComponentRGBA, index++);
    props.set(ofx::kImageEffectPropSupportedComponents, ofx::kImageComponentRGB, index);
    props.set(ofx::kImageEffectPropSupportsTiles, 0);
    props.set(ofx::kImageEffectPropTemporalClipAccess, same(clip, ofx::kImageEffectSimpleSourceClipName) ? 1 : 0);
    props.set(ofx::kImageClipPropOptional, mask ? 1 : 0);
    props.set(ofx::kImageClipPropIsMask, mask ? 1 : 0);
}

} // namespace

void set_host(ofx::Host *host) { given = host; }

// What was published is never taken back: a host may render on one thread while it loads us again on another.
ofx::Status fetch_suites() {
    const ofx::Host *host = given;
    const Suites *known = current;
    if (!host || !host->fetchSuite)
        return ofx::kStatErrMissingHostFeature;
    if (known && known->host == host)
        return ofx::kStatOK;
    auto found = std::make_unique<Suites>();
    found->host = host;
    found->before = known;
    fetch(host, ofx::kPropertySuite, 1, found->property);
    fetch(host, ofx::kImageEffectSuite, 1, found->effect);
    fetch(host, ofx::kParameterSuite, 1, found->param);
    fetch(host, ofx::kMessageSuite, 1, found->message);
    fetch(host, ofx::kMessageSuite, 2, found->message2);
    fetch(host, ofx::kProgressSuite, 1, found->progress);
    if (!found->property || !found->effect || !found->param)
        return ofx::kStatErrMissingHostFeature;
    if (current.compare_exchange_strong(known, found.get())) // else another thread was quicker
        found.release();
    server::set_host(Props(host->host).text(ofx::kPropName));
    return ofx::kStatOK;
}

const Suites &suites() { return *current; }

bool shows(const Param &param, unsigned effect) { return (param.effects >> effect & 1U) != 0; }

ofx::Status describe(ofx::ImageEffectHandle handle, unsigned effect) {
    const Props props(handle);
    name(props, kEffectNames[effect]);
    props.set(ofx::kImageEffectPluginPropGrouping, "GrainLayer");
    props.set(ofx::kPropPluginDescription, kDescriptions[effect]);
    props.set(ofx::kPropVersion, 0, 0);
    props.set(ofx::kPropVersion, 1, 1);
    props.set(ofx::kImageEffectPropSupportedContexts, ofx::kImageEffectContextFilter, 0);
    props.set(ofx::kImageEffectPropSupportedContexts, ofx::kImageEffectContextGeneral, 1);
    for (int index = 0; index < 4; ++index) // the finest first
        props.set(ofx::kImageEffectPropSupportedPixelDepths, kDepths[3 - index], index);
    props.set(ofx::kImageEffectPluginRenderThreadSafety, ofx::kImageEffectRenderFullySafe);
    for (const char *off :
         {ofx::kImageEffectPluginPropSingleInstance, ofx::kImageEffectPluginPropHostFrameThreading,
          ofx::kImageEffectPropSupportsMultiResolution, ofx::kImageEffectPropSupportsTiles, ofx::kImageEffectPropSupportsMultipleClipDepths,
          ofx::kImageEffectPropSupportsMultipleClipPARs, ofx::kImageEffectPluginPropFieldRenderTwiceAlways})
        props.set(off, 0);
    props.set(ofx::kImageEffectPropTemporalClipAccess, 1);
    props.set(ofx::kImageEffectPropClipPreferencesSlaveParam, "follow"); // see varies_by_frame
    props.set(ofx::kImageEffectPropCPURenderSupported, "true");
    return ofx::kStatOK;
}

ofx::Status describe_in_context(ofx::ImageEffectHandle handle, unsigned effect, const std::string &context) {
    define_clip(handle, ofx::kImageEffectSimpleSourceClipName);
    define_clip(handle, ofx::kImageEffectOutputClipName);
    if (context == ofx::kImageEffectContextGeneral && effect < 2)
        define_clip(handle, kMaskClip);
    ofx::ParamSetHandle params = nullptr;
    suites().effect->getParamSet(handle, &params);
    define_params(params, effect);
    return ofx::kStatOK;
}

// Handles only: a host may create and destroy an instance for every frame, and some die of anything more.
Instance::Instance(ofx::ImageEffectHandle given_handle, unsigned number) : handle(given_handle), effect(number) {
    suites().effect->clipGetHandle(handle, ofx::kImageEffectSimpleSourceClipName, &source, nullptr);
    suites().effect->clipGetHandle(handle, ofx::kImageEffectOutputClipName, &output, nullptr);
    if (effect < 2 && Props(handle).text(ofx::kImageEffectPropContext) == ofx::kImageEffectContextGeneral)
        suites().effect->clipGetHandle(handle, kMaskClip, &mask, nullptr);
    ofx::ParamSetHandle set = nullptr;
    suites().effect->getParamSet(handle, &set);
    for (const Param &param : kParams) {
        ofx::ParamHandle found = nullptr;
        if (shows(param, effect) && suites().param->paramGetHandle(set, param.key, &found, nullptr) == ofx::kStatOK)
            params_.emplace_back(&param, found);
    }
}

Values Instance::values(ofx::Time time) const {
    Values values;
    for (const auto &[known, place] : params_)
        if (known->kind != Kind::Text)
            values.numbers.emplace_back(known->key, number_at(*known, place, time));
        else
            values.texts.push_back(text_at(place, time));
    values.uid = text_at(param("shot_uid"), time);
    return values;
}

// A host lends a text until the next call for that parameter, whichever thread makes it. The wait has an end, for a host may hold a lock
// of its own while it calls us.
std::string Instance::text_at(ofx::ParamHandle place, ofx::Time time) const {
    const std::unique_lock lock(reading_, std::chrono::milliseconds(200));
    char *text = nullptr;
    return place && suites().param->paramGetValueAtTime(place, time, &text) == ofx::kStatOK && text ? text : "";
}

// The result is the source, whatever the server would do. With `follow` the sidecar decides, so it must be asked.
bool Instance::is_identity(const Values &values) const {
    if (values["view"] != int(View::Result) || values["follow"] != 0)
        return false;
    if (effect == 2)
        return values["restore"] == 0 || std::ranges::all_of(kRestoring, [&](const char *key) { return values[key] == 0; });
    if (effect == 1)
        return values["grain_amount"] == 0 && values["removal"] == 0;
    return values["grain_source"] == 0 && values["grain_softness"] == 0 &&
           std::ranges::all_of(kNeutralAtOne, [&](const char *key) { return values[key] == 1; });
}

// Grain does, and what a sidecar says may; whether there is any may be keyed.
bool Instance::varies_by_frame(const Values &values) const { return effect < 2 || values["follow"] != 0; }

// Restoration sees the picture at an end of the clip again for those beyond; removal sees them mirrored.
std::vector<ofx::Time> Instance::window(ofx::Time time, const Values &values) const {
    const ofx::RangeD range = frame_range(source, time);
    const bool holds = effect == 2, removes = !holds && (values["removal"] > 0 || values["follow"] != 0);
    const int reach = holds ? kRestoreReach : removes && values["quality"] == kTemporal ? kTemporalReach : 0;
    std::vector<ofx::Time> times;
    for (int step = -reach; step <= reach; ++step) {
        const double at = time + step, held = std::min(std::max(at, range.min), range.max);
        const double seen = holds ? held : 2 * held - at;
        times.push_back(step == 0 || seen < range.min || seen > range.max ? time : seen);
    }
    return times;
}

ofx::ParamHandle Instance::param(const char *key) const {
    const auto found = std::ranges::find_if(params_, [&](const auto &one) { return same(one.first->key, key); });
    return found == params_.end() ? nullptr : found->second;
}

void Instance::say(const std::string &sentence, const char *kind) {
    const std::lock_guard lock(mutex_);
    if (said_ == sentence)
        return;
    said_ = sentence;
    const Suites &host = suites();
    if (host.message2 && host.message2->setPersistentMessage)
        host.message2->setPersistentMessage(handle, kind, "", "%s", sentence.c_str());
    else if (host.message && host.message->message)
        host.message->message(handle, ofx::kMessageLog, "", "%s", sentence.c_str());
}

void Instance::well() {
    const std::lock_guard lock(mutex_);
    if (!said_.empty() && suites().message2 && suites().message2->clearPersistentMessage)
        suites().message2->clearPersistentMessage(handle);
    said_.clear();
}

ofx::RangeD frame_range(ofx::ImageClipHandle clip, ofx::Time time) {
    const Props props(clip);
    const double first = props.number(ofx::kImageEffectPropFrameRange, 0, time),
                 last = props.number(ofx::kImageEffectPropFrameRange, 1, time);
    return first <= last ? ofx::RangeD{first, last} : ofx::RangeD{time, time};
}

} // namespace grainlayer
