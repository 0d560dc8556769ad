#include "effects.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace grainlayer {
namespace {

constexpr int kReach = 2;

const char *const kOwnNeutral[] = {"grain_size", "grain_saturation", "grain_red", "grain_green", "grain_blue", "grain_shadows", "grain_mids", "grain_highlights", "grain_amount"};

} // namespace

// Handles only: a host may create and destroy an instance for every frame, and some die of anything more.
Instance::Instance(ofx::ImageEffectHandle given, unsigned number) : handle(given), effect(number) {
    suites().effect->clipGetHandle(handle, ofx::kImageEffectSimpleSourceClipName, &source, nullptr);
    suites().effect->clipGetHandle(handle, ofx::kImageEffectOutputClipName, &output, nullptr);
    ofx::PropertySetHandle props = nullptr;
    suites().effect->getPropertySet(handle, &props);
    if (effect < 2 && Props(props).text(ofx::kImageEffectPropContext) == ofx::kImageEffectContextGeneral)
        suites().effect->clipGetHandle(handle, kMaskClip, &mask, nullptr);
    ofx::ParamSetHandle set = nullptr;
    suites().effect->getParamSet(handle, &set);
    for (const Param &param : kParams) {
        ofx::ParamHandle found = nullptr;
        if (shows(param, effect) && suites().param->paramGetHandle(set, param.key, &found, nullptr) == ofx::kStatOK)
            params_.push_back({&param, found});
    }
}

Instance *Instance::of(ofx::ImageEffectHandle handle) {
    ofx::PropertySetHandle props = nullptr;
    suites().effect->getPropertySet(handle, &props);
    return static_cast<Instance *>(Props(props).pointer(ofx::kPropInstanceData));
}

Values Instance::values(ofx::Time time) const {
    Values values;
    for (const Known &known : params_) {
        double number = known.param->number;
        int whole = int(known.param->number);
        char *text = nullptr;
        switch (known.param->kind) {
        case Kind::Text:
            suites().param->paramGetValueAtTime(known.handle, time, &text);
            values.texts.emplace_back(text ? text : "");
            continue;
        case Kind::Float: suites().param->paramGetValueAtTime(known.handle, time, &number); break;
        default:
            suites().param->paramGetValueAtTime(known.handle, time, &whole);
            number = known.param->kind == Kind::Choice ? std::clamp(whole, 0, int(known.param->menu_size) - 1) : whole;
        }
        if (known.param->kind == Kind::Bool)
            number = number != 0;
        if (known.param->kind == Kind::Float || known.param->kind == Kind::Int) // a spline of keys may swing past the range
            number = std::isfinite(number) ? std::clamp(number, known.param->low, known.param->high) : known.param->number;
        values.numbers.push_back(number);
    }
    return values;
}

double Instance::number(const Values &values, const char *key) const {
    std::size_t place = 0;
    for (const Known &known : params_) {
        if (known.param->kind == Kind::Text)
            continue;
        if (!std::strcmp(known.param->key, key))
            return values.numbers[place];
        ++place;
    }
    return 0;
}

// The result is the source, whatever the server would do. With `follow` the sidecar decides, so it must be asked.
bool Instance::is_identity(const Values &values) const {
    if (number(values, "view") != int(View::Result) || number(values, "follow") != 0)
        return false;
    if (effect == 2)
        return number(values, "restore") == 0;
    if (effect == 1)
        return number(values, "grain_amount") == 0 && number(values, "removal") == 0;
    const bool own = number(values, "grain_source") == 0 && number(values, "grain_softness") == 0;
    return own && std::ranges::all_of(kOwnNeutral, [&](const char *key) { return number(values, key) == 1; });
}

bool Instance::varies_by_frame(const Values &values) const {
    return effect == 1 || number(values, "follow") != 0 || (effect == 0 && number(values, "grain_source") != 0);
}

int Instance::reach(const Values &values) const {
    const bool removes = effect == 2 || number(values, "removal") > 0 || number(values, "follow") != 0;
    return removes && number(values, "quality") == kTemporal ? kReach : 0;
}

ofx::ParamHandle Instance::param(const char *key) const {
    for (const Known &known : params_)
        if (!std::strcmp(known.param->key, key))
            return known.handle;
    return nullptr;
}

std::string Instance::text_now(const char *key) const {
    char *text = nullptr;
    const ofx::ParamHandle found = param(key);
    return found && suites().param->paramGetValue(found, &text) == ofx::kStatOK && text ? text : "";
}

void Instance::say(const std::string &sentence) {
    const std::lock_guard lock(mutex_);
    if (said_ == sentence)
        return;
    said_ = sentence;
    const Suites &host = suites();
    if (host.message2 && host.message2->setPersistentMessage)
        host.message2->setPersistentMessage(handle, ofx::kMessageError, "", "%s", sentence.c_str());
    else if (host.message && host.message->message)
        host.message->message(handle, ofx::kMessageLog, "", "%s", sentence.c_str());
}

void Instance::well() {
    const std::lock_guard lock(mutex_);
    if (said_.empty())
        return;
    said_.clear();
    if (suites().message2 && suites().message2->clearPersistentMessage)
        suites().message2->clearPersistentMessage(handle);
}

ofx::RangeD frame_range(ofx::ImageClipHandle clip, ofx::Time time) {
    ofx::PropertySetHandle props = nullptr;
    ofx::RangeD range{time, time};
    double ends[2];
    if (suites().effect->clipGetPropertySet(clip, &props) == ofx::kStatOK &&
        suites().property->propGetDoubleN(props, ofx::kImageEffectPropFrameRange, 2, ends) == ofx::kStatOK && ends[0] <= ends[1])
        range = {ends[0], ends[1]};
    return range;
}

std::vector<ofx::Time> window_times(ofx::Time time, int reach, const ofx::RangeD &range) {
    std::vector<ofx::Time> times;
    for (int step = -reach; step <= reach; ++step) {
        double at = time + step;
        at = at < range.min ? 2 * range.min - at : at > range.max ? 2 * range.max - at : at;
        times.push_back(at < range.min || at > range.max ? time : at);
    }
    return times;
}

} // namespace grainlayer
