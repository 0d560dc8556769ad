#include "effects.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>

namespace grainlayer {
namespace {

void tell(Instance &instance, const char *type, const std::string &text) {
    // The second version of the suite begins with the function of the first.
    const auto function = suites().message2 ? suites().message2->message : suites().message ? suites().message->message : nullptr;
    if (function)
        function(instance.handle, type, "", "%s", text.c_str());
}

// A shot is named when its values are first touched, never at creation: hosts crash on that.
void name_shot(Instance &instance) {
    const ofx::ParamHandle uid = instance.param("shot_uid");
    unsigned char bytes[8];
    if (!uid || !instance.text_now("shot_uid").empty() || !random_bytes(bytes, sizeof bytes))
        return;
    char text[24];
    int length = std::snprintf(text, sizeof text, "shot-");
    for (const unsigned char byte : bytes)
        length += std::snprintf(text + length, sizeof text - std::size_t(length), "%02x", byte);
    suites().param->paramSetValue(uid, text);
}

ofx::Status changed(Instance &instance, const Props &arguments) {
    if (arguments.text(ofx::kPropChangeReason) != ofx::kChangeUserEdited || arguments.text(ofx::kPropType) != ofx::kTypeParameter)
        return ofx::kStatReplyDefault;
    const std::string name = arguments.text(ofx::kPropName);
    if (name == kRunDoctor) {
        std::string report;
        try {
            report = Server::only().ask(wire::Question::Doctor);
        } catch (const Failure &failure) {
            report = failure.sentence;
        }
        tell(instance, ofx::kMessageMessage, report);
        return ofx::kStatOK;
    }
    if (name != "shot_uid")
        name_shot(instance);
    return name == kAnalyse ? analyse(instance, arguments.number(ofx::kPropTime)) : ofx::kStatOK;
}

ofx::Status preferences(Instance &instance, const Props &out) {
    const Values values = instance.values(0);
    out.set(ofx::kImageEffectFrameVarying, instance.varies_by_frame(values) ? 1 : 0);
    ofx::PropertySetHandle clip = nullptr;
    if (suites().effect->clipGetPropertySet(instance.source, &clip) == ofx::kStatOK)
        if (const std::string kind = Props(clip).text(ofx::kImageEffectPropPreMultiplication); !kind.empty())
            out.set(ofx::kImageEffectPropPreMultiplication, kind); // alpha passes through as it is
    return ofx::kStatOK;
}

ofx::Status identity(Instance &instance, const Props &in, const Props &out) {
    const double time = in.number(ofx::kPropTime);
    if (!instance.is_identity(instance.values(time)))
        return ofx::kStatReplyDefault;
    out.set(ofx::kPropName, ofx::kImageEffectSimpleSourceClipName);
    out.set(ofx::kPropTime, time);
    return ofx::kStatOK;
}

ofx::Status frames_needed(Instance &instance, const Props &in, const Props &out) {
    const double time = in.number(ofx::kPropTime);
    const auto times = window_times(time, instance.reach(instance.values(time)), frame_range(instance.source, time));
    const auto [first, last] = std::ranges::minmax(times);
    const std::string name = std::string("OfxImageClipPropFrameRange_") + ofx::kImageEffectSimpleSourceClipName;
    out.set(name.c_str(), first, 0);
    out.set(name.c_str(), last, 1);
    return ofx::kStatOK;
}

void region_of(ofx::ImageClipHandle clip, const char *name, double time, const Props &out) {
    ofx::RectD whole{};
    if (!clip || suites().effect->clipGetRegionOfDefinition(clip, time, &whole) != ofx::kStatOK)
        return;
    const std::string property = std::string("OfxImageClipPropRoI_") + name;
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

ofx::Status create(ofx::ImageEffectHandle handle, unsigned effect) {
    ofx::PropertySetHandle props = nullptr;
    suites().effect->getPropertySet(handle, &props);
    auto instance = std::make_unique<Instance>(handle, effect);
    Props(props).set(ofx::kPropInstanceData, static_cast<void *>(instance.release()));
    return ofx::kStatOK;
}

ofx::Status destroy(ofx::ImageEffectHandle handle) {
    ofx::PropertySetHandle props = nullptr;
    suites().effect->getPropertySet(handle, &props);
    delete Instance::of(handle);
    Props(props).set(ofx::kPropInstanceData, static_cast<void *>(nullptr));
    return ofx::kStatOK;
}

ofx::Status of_instance(const std::string &action, Instance &instance, const Props &in, const Props &out) {
    if (action == ofx::kImageEffectActionRender)
        return render(instance, in);
    if (action == ofx::kImageEffectActionIsIdentity)
        return identity(instance, in, out);
    if (action == ofx::kImageEffectActionGetClipPreferences)
        return preferences(instance, out);
    if (action == ofx::kImageEffectActionGetFramesNeeded)
        return frames_needed(instance, in, out);
    if (action == ofx::kImageEffectActionGetRegionsOfInterest)
        return regions(instance, in, out);
    if (action == ofx::kActionInstanceChanged)
        return changed(instance, in);
    return ofx::kStatReplyDefault;
}

ofx::Status act(const std::string &action, const void *handle, ofx::PropertySetHandle in, ofx::PropertySetHandle out, unsigned effect) {
    const auto image_effect = static_cast<ofx::ImageEffectHandle>(const_cast<void *>(handle));
    if (action == ofx::kActionLoad)
        return fetch_suites();
    if (action == ofx::kActionUnload || action == ofx::kActionPurgeCaches) {
        Server::only().rest(); // whatever comes later makes what it needs anew
        return ofx::kStatOK;
    }
    if (action == ofx::kActionDescribe)
        return describe(image_effect, effect);
    if (action == ofx::kImageEffectActionDescribeInContext)
        return describe_in_context(image_effect, effect, Props(in).text(ofx::kImageEffectPropContext));
    if (action == ofx::kActionCreateInstance)
        return create(image_effect, effect);
    if (action == ofx::kActionDestroyInstance)
        return destroy(image_effect);
    Instance *instance = Instance::of(image_effect);
    return instance ? of_instance(action, *instance, Props(in), Props(out)) : ofx::kStatErrBadHandle;
}

template <unsigned Effect> ofx::Status entry(const char *action, const void *handle, ofx::PropertySetHandle in, ofx::PropertySetHandle out) {
    try {
        return act(action, handle, in, out, Effect);
    } catch (const std::bad_alloc &) {
        return ofx::kStatErrMemory;
    } catch (...) {
        return ofx::kStatFailed; // nothing may be thrown into a host
    }
}

ofx::Plugin plugins[kEffects] = {
    {ofx::kImageEffectPluginApi, ofx::kImageEffectPluginApiVersion, kEffectIds[0], 0, 1, set_host, entry<0>},
    {ofx::kImageEffectPluginApi, ofx::kImageEffectPluginApiVersion, kEffectIds[1], 0, 1, set_host, entry<1>},
    {ofx::kImageEffectPluginApi, ofx::kImageEffectPluginApiVersion, kEffectIds[2], 0, 1, set_host, entry<2>},
};

} // namespace
} // namespace grainlayer

#if defined(_WIN32)
#define GRAINLAYER_EXPORT extern "C" __declspec(dllexport)
#else
#define GRAINLAYER_EXPORT extern "C" __attribute__((visibility("default")))
#endif

GRAINLAYER_EXPORT int OfxGetNumberOfPlugins();
GRAINLAYER_EXPORT ofx::Plugin *OfxGetPlugin(int nth);

int OfxGetNumberOfPlugins() { return int(grainlayer::kEffects); }

ofx::Plugin *OfxGetPlugin(int nth) { return nth >= 0 && nth < int(grainlayer::kEffects) ? &grainlayer::plugins[nth] : nullptr; }
