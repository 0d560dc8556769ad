#include "effects.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <new>

namespace grainlayer {
namespace {

void tell(const Instance &instance, const std::string &text) {
    // The second version of the suite begins with the function of the first.
    const auto function = suites().message2 ? suites().message2->message : suites().message ? suites().message->message : nullptr;
    if (function)
        function(instance.handle, ofx::kMessageMessage, "", "%s", text.c_str());
}

// A shot is named when its values are first touched, never at creation: hosts crash on that.
void name_shot(const Instance &instance) {
    const ofx::ParamHandle uid = instance.param("shot_uid");
    std::uint64_t salt = 0;
    if (!uid || !instance.text_at(uid, 0).empty() || !random_bytes(&salt, sizeof salt))
        return;
    char text[24];
    std::snprintf(text, sizeof text, "shot-%016llx", static_cast<unsigned long long>(salt));
    suites().param->paramSetValue(uid, text);
}

ofx::Status changed(Instance &instance, const Props &in, const Props &) {
    if (in.text(ofx::kPropChangeReason) != ofx::kChangeUserEdited || in.text(ofx::kPropType) != ofx::kTypeParameter)
        return ofx::kStatReplyDefault;
    const std::string name = in.text(ofx::kPropName);
    if (name == kRunDoctor)
        tell(instance, doctor());
    else if (name != "shot_uid")
        name_shot(instance);
    return name == kAnalyse ? analyse(instance, in.number(ofx::kPropTime), in.number(ofx::kImageEffectPropRenderScale, 1, 1.0)) : ofx::kStatOK;
}

ofx::Status preferences(Instance &instance, const Props &, const Props &out) {
    out.set(ofx::kImageEffectFrameVarying, instance.varies_by_frame(instance.values(0)) ? 1 : 0);
    if (const std::string kind = Props(instance.source).text(ofx::kImageEffectPropPreMultiplication); !kind.empty())
        out.set(ofx::kImageEffectPropPreMultiplication, kind); // alpha passes through as it is
    return ofx::kStatOK;
}

ofx::Status identity(Instance &instance, const Props &in, const Props &out) {
    const double time = in.number(ofx::kPropTime);
    const Values values = instance.values(time);
    if (!instance.is_identity(values) || !server::is_told(values)) // else the render tells it
        return ofx::kStatReplyDefault;
    out.set(ofx::kPropName, ofx::kImageEffectSimpleSourceClipName);
    out.set(ofx::kPropTime, time);
    return ofx::kStatOK;
}

ofx::Status frames_needed(Instance &instance, const Props &in, const Props &out) {
    const double time = in.number(ofx::kPropTime);
    const auto times = instance.window(time, instance.values(time));
    const auto [first, last] = std::ranges::minmax(times);
    const std::string name = std::string(ofx::kImageClipPropFrameRangePrefix) + ofx::kImageEffectSimpleSourceClipName;
    out.set(name.c_str(), first, 0);
    out.set(name.c_str(), last, 1);
    return ofx::kStatOK;
}

void region_of(ofx::ImageClipHandle clip, const char *name, double time, const Props &out) {
    ofx::RectD whole{};
    if (!clip || suites().effect->clipGetRegionOfDefinition(clip, time, &whole) != ofx::kStatOK)
        return;
    const std::string property = std::string(ofx::kImageClipPropRoIPrefix) + name;
    for (int i = 0; i < 4; ++i)
        out.set(property.c_str(), (&whole.x1)[i], i);
}

// The network sees far: every window needs the whole picture.
ofx::Status regions(Instance &instance, const Props &in, const Props &out) {
    const double time = in.number(ofx::kPropTime);
    region_of(instance.source, ofx::kImageEffectSimpleSourceClipName, time, out);
    region_of(instance.mask, kMaskClip, time, out);
    return ofx::kStatOK;
}

ofx::Status destroy(Instance &instance, const Props &, const Props &) {
    Props(instance.handle).set(ofx::kPropInstanceData, static_cast<void *>(nullptr));
    delete &instance;
    return ofx::kStatOK;
}

constexpr struct {
    const char *name;
    ofx::Status (*act)(Instance &instance, const Props &in, const Props &out);
} kActions[] = {
    {ofx::kImageEffectActionRender, render},
    {ofx::kImageEffectActionIsIdentity, identity},
    {ofx::kImageEffectActionGetClipPreferences, preferences},
    {ofx::kImageEffectActionGetFramesNeeded, frames_needed},
    {ofx::kImageEffectActionGetRegionsOfInterest, regions},
    {ofx::kActionInstanceChanged, changed},
    {ofx::kActionDestroyInstance, destroy},
};

ofx::Status act(const std::string &action, ofx::ImageEffectHandle handle, const Props &in, const Props &out, unsigned effect) {
    if (action == ofx::kActionUnload || action == ofx::kActionPurgeCaches) {
        server::rest(); // whatever comes later makes what it needs anew
        return ofx::kStatOK;
    }
    if (const ofx::Status fetched = fetch_suites(); fetched != ofx::kStatOK || action == ofx::kActionLoad)
        return fetched;
    if (action == ofx::kActionDescribe)
        return describe(handle, effect);
    if (action == ofx::kImageEffectActionDescribeInContext)
        return describe_in_context(handle, effect, in.text(ofx::kImageEffectPropContext));
    if (action == ofx::kActionCreateInstance) {
        Props(handle).set(ofx::kPropInstanceData, static_cast<void *>(std::make_unique<Instance>(handle, effect).release()));
        return ofx::kStatOK;
    }
    for (const auto &[name, act_on] : kActions)
        if (action == name) {
            auto *instance = static_cast<Instance *>(Props(handle).pointer(ofx::kPropInstanceData));
            return instance ? act_on(*instance, in, out) : ofx::kStatErrBadHandle;
        }
    return ofx::kStatReplyDefault;
}

template <unsigned Effect>
ofx::Status entry(const char *action, const void *handle, ofx::PropertySetHandle in, ofx::PropertySetHandle out) {
    try {
        return act(action, static_cast<ofx::ImageEffectHandle>(const_cast<void *>(handle)), Props(in), Props(out), Effect);
    } catch (const std::bad_alloc &) {
        return ofx::kStatErrMemory;
    } catch (...) {
        return ofx::kStatFailed; // nothing may be thrown into a host
    }
}

template <unsigned Effect> constexpr ofx::Plugin plugin(const char *id) {
    return {ofx::kImageEffectPluginApi, ofx::kImageEffectPluginApiVersion, id, 0, 1, set_host, entry<Effect>};
}

ofx::Plugin plugins[kEffects] = {plugin<0>("org.grainlayer.GrainSplit"), plugin<1>("org.grainlayer.GrainSynth"),
                                 plugin<2>("org.grainlayer.ArtifactRestore")};

} // namespace
} // namespace grainlayer

#if defined(_WIN32)
#define GRAINLAYER_EXPORT extern "C" __declspec(dllexport)
#else
#define GRAINLAYER_EXPORT extern "C" __attribute__((visibility("default")))
#endif

GRAINLAYER_EXPORT int OfxGetNumberOfPlugins() { return int(grainlayer::kEffects); }

GRAINLAYER_EXPORT ofx::Plugin *OfxGetPlugin(int nth) {
    return nth >= 0 && nth < int(grainlayer::kEffects) ? &grainlayer::plugins[nth] : nullptr;
}
