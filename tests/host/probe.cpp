// A tiny plug-in that proves the test host: it inverts colour within the render window, mixed by
// `amount`. The choice `mistake` makes it break one rule of the specification each.
#include "../../ofx_bridge/abi.h"
#include "pixels.h"

#include <chrono>
#include <cstring>
#include <string>
#include <thread>

#ifdef _WIN32
#define PROBE_EXPORT extern "C" __declspec(dllexport)
#else
#define PROBE_EXPORT extern "C" __attribute__((visibility("default")))
#endif

namespace {

using namespace ofx;

constexpr const char *kMistakes[] = {"none", "leak image", "release twice", "write outside",
    "unwritten", "write source", "set in render", "wrong type", "unknown property", "fail",
    "fail silently", "wait", "other thread", "announce nothing", "use after release"};
enum Mistake {
    None, LeakImage, ReleaseTwice, WriteOutside, Unwritten, WriteSource, SetInRender, WrongType,
    UnknownProperty, Fail, FailSilently, Wait, OtherThread, AnnounceNothing, UseAfterRelease
};

Host *theHost = nullptr;
const PropertySuiteV1 *props = nullptr;
const ImageEffectSuiteV1 *effects = nullptr;
const ParameterSuiteV1 *params = nullptr;
const MessageSuiteV2 *messages = nullptr;

template <typename Suite> const Suite *fetch(const char *name, int version)
{
    return static_cast<const Suite *>(theHost->fetchSuite(theHost->host, name, version));
}

// Some hosts send Load again while frames are being rendered: nothing may change then.
Status load()
{
    if (props != nullptr) {
        return kStatOK;
    }
    props = fetch<PropertySuiteV1>(kPropertySuite, 1);
    effects = fetch<ImageEffectSuiteV1>(kImageEffectSuite, 1);
    params = fetch<ParameterSuiteV1>(kParameterSuite, 1);
    messages = fetch<MessageSuiteV2>(kMessageSuite, 2);
    const bool whole = props != nullptr && effects != nullptr && params != nullptr;
    return whole ? kStatOK : kStatErrMissingHostFeature;
}

Status describe(ImageEffectHandle effect)
{
    PropertySetHandle set = nullptr;
    effects->getPropertySet(effect, &set);
    props->propSetString(set, kPropLabel, 0, "Probe");
    props->propSetString(set, kImageEffectPluginPropGrouping, 0, "Tests");
    props->propSetString(set, kImageEffectPropSupportedContexts, 0, kImageEffectContextFilter);
    props->propSetString(set, kImageEffectPropSupportedContexts, 1, kImageEffectContextGeneral);
    const char *depths[] = {kBitDepthByte, kBitDepthShort, kBitDepthHalf, kBitDepthFloat};
    props->propSetStringN(set, kImageEffectPropSupportedPixelDepths, 4, depths);
    props->propSetString(set, kImageEffectPluginRenderThreadSafety, 0,
        kImageEffectRenderFullySafe);
    props->propSetInt(set, kImageEffectPropTemporalClipAccess, 0, 1);
    return kStatOK;
}

void defineClip(ImageEffectHandle effect, const char *name, bool mask)
{
    PropertySetHandle clip = nullptr;
    effects->clipDefine(effect, name, &clip);
    int i = 0;
    if (mask) {
        props->propSetString(clip, kImageEffectPropSupportedComponents, i++, kImageComponentAlpha);
        props->propSetInt(clip, kImageClipPropOptional, 0, 1);
        props->propSetInt(clip, kImageClipPropIsMask, 0, 1);
    }
    props->propSetString(clip, kImageEffectPropSupportedComponents, i++, kImageComponentRGBA);
    if (!mask) {
        props->propSetString(clip, kImageEffectPropSupportedComponents, i, kImageComponentRGB);
    }
}

Status describeInContext(ImageEffectHandle effect, PropertySetHandle in)
{
    char *context = nullptr;
    props->propGetString(in, kImageEffectPropContext, 0, &context);
    defineClip(effect, kImageEffectSimpleSourceClipName, false);
    defineClip(effect, kImageEffectOutputClipName, false);
    if (std::string(context) == kImageEffectContextGeneral) {
        defineClip(effect, "Mask", true);
    }
    ParamSetHandle set = nullptr;
    effects->getParamSet(effect, &set);
    PropertySetHandle param = nullptr;
    params->paramDefine(set, kParamTypeDouble, "amount", &param);
    props->propSetDouble(param, kParamPropDefault, 0, 1.0);
    props->propSetDouble(param, kParamPropMin, 0, 0.0);
    props->propSetDouble(param, kParamPropMax, 0, 1.0);
    params->paramDefine(set, kParamTypePushButton, "reset", &param);
    props->propSetString(param, kPropLabel, 0, "Reset amount");
    params->paramDefine(set, kParamTypeString, "note", &param);
    params->paramDefine(set, kParamTypeChoice, "mistake", &param);
    int i = 0;
    for (const char *mistake : kMistakes) {
        props->propSetString(param, kParamPropChoiceOption, i++, mistake);
    }
    return kStatOK;
}

ParamHandle paramOf(ImageEffectHandle effect, const char *name)
{
    ParamSetHandle set = nullptr;
    ParamHandle param = nullptr;
    effects->getParamSet(effect, &set);
    params->paramGetHandle(set, name, &param, nullptr);
    return param;
}

Status instanceChanged(ImageEffectHandle effect, PropertySetHandle in)
{
    char *name = nullptr;
    props->propGetString(in, kPropName, 0, &name);
    if (std::string(name) == "reset") {
        params->paramSetValue(paramOf(effect, "amount"), 1.0);
        params->paramSetValue(paramOf(effect, "note"), "was reset");
    }
    return kStatOK;
}

struct Picture {
    PropertySetHandle handle = nullptr;
    unsigned char *data = nullptr;
    RectI bounds{};
    int rowBytes = 0;
    host::Format format;

    unsigned char *at(int x, int y) const
    {
        const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(rowBytes) * (y - bounds.y1);
        return data + row + static_cast<std::ptrdiff_t>(x - bounds.x1) * format.pixelBytes();
    }
};

Status open(ImageEffectHandle effect, const char *name, Time time, Picture &picture)
{
    ImageClipHandle clip = nullptr;
    effects->clipGetHandle(effect, name, &clip, nullptr);
    const Status status = effects->clipGetImage(clip, time, nullptr, &picture.handle);
    if (status != kStatOK) {
        return status;
    }
    void *data = nullptr;
    char *depth = nullptr;
    char *components = nullptr;
    props->propGetPointer(picture.handle, kImagePropData, 0, &data);
    props->propGetIntN(picture.handle, kImagePropBounds, 4, &picture.bounds.x1);
    props->propGetInt(picture.handle, kImagePropRowBytes, 0, &picture.rowBytes);
    props->propGetString(picture.handle, kImageEffectPropPixelDepth, 0, &depth);
    props->propGetString(picture.handle, kImageEffectPropComponents, 0, &components);
    picture.data = static_cast<unsigned char *>(data);
    picture.format.depth = host::depthFromText(depth).value_or(host::Depth::Float);
    picture.format.components
        = host::componentsFromText(components).value_or(host::Components::RGBA);
    return kStatOK;
}

void invert(const Picture &from, const Picture &to, const RectI &window, double amount)
{
    for (int y = window.y1; y < window.y2; ++y) {
        for (int x = window.x1; x < window.x2; ++x) {
            float pixel[4];
            host::unpackRow(from.at(x, y), 1, from.format, pixel);
            for (int c = 0; c < 3; ++c) {
                const double inverted = 1.0 - static_cast<double>(pixel[c]);
                pixel[c] = static_cast<float>(pixel[c] + amount * (inverted - pixel[c]));
            }
            host::packRow(pixel, 1, to.format, to.at(x, y));
        }
    }
}

Status waitForAbort(ImageEffectHandle effect)
{
    for (int i = 0; i < 2000; ++i) {
        if (effects->abort(effect) != 0) {
            return kStatOK;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return kStatFailed;
}

void breakRule(int mistake, ImageEffectHandle effect, PropertySetHandle in, const Picture &from,
    const Picture &to, const RectI &window)
{
    switch (mistake) {
    case WriteOutside: to.at(window.x1, window.y1)[-1] ^= 0xff; break;
    case WriteSource: *from.at(window.x1, window.y1) ^= 0xff; break;
    case SetInRender: params->paramSetValue(paramOf(effect, "amount"), 1.0); break;
    case WrongType: props->propSetInt(in, kPropTime, 0, 1); break;
    case UnknownProperty: props->propSetInt(to.handle, "OfxNoSuchProperty", 0, 1); break;
    case OtherThread:
        std::thread([&] {
            Picture other;
            open(effect, kImageEffectSimpleSourceClipName, 0, other);
        }).join();
        break;
    default: break;
    }
}

void close(int mistake, const Picture &from, const Picture &to)
{
    if (mistake != LeakImage) {
        effects->clipReleaseImage(from.handle);
    }
    if (mistake == ReleaseTwice) {
        effects->clipReleaseImage(from.handle);
    }
    effects->clipReleaseImage(to.handle);
    if (mistake == UseAfterRelease) {
        *to.at(to.bounds.x1, to.bounds.y1) = 1;
    }
}

Status render(ImageEffectHandle effect, PropertySetHandle in)
{
    Time time = 0;
    RectI window{};
    props->propGetDouble(in, kPropTime, 0, &time);
    props->propGetIntN(in, kImageEffectPropRenderWindow, 4, &window.x1);
    double amount = 0;
    int mistake = 0;
    params->paramGetValueAtTime(paramOf(effect, "amount"), time, &amount);
    params->paramGetValueAtTime(paramOf(effect, "mistake"), time, &mistake);
    Picture from;
    Picture to;
    const bool far = mistake == AnnounceNothing;
    if (open(effect, kImageEffectSimpleSourceClipName, far ? time + 1 : time, from) != kStatOK) {
        return kStatFailed;
    }
    if (open(effect, kImageEffectOutputClipName, time, to) != kStatOK) {
        effects->clipReleaseImage(from.handle);
        return kStatFailed;
    }
    const bool fails = mistake == Fail || mistake == FailSilently;
    if (mistake == Fail && messages != nullptr && messages->setPersistentMessage != nullptr) {
        messages->setPersistentMessage(effect, kMessageError, "probe", "It %s.", "failed");
    }
    RectI filled = window;
    filled.y2 -= mistake == Unwritten ? 1 : 0;
    invert(from, to, filled, fails ? 0.0 : amount);
    breakRule(mistake, effect, in, from, to, window);
    const Status status = mistake == Wait ? waitForAbort(effect) : kStatOK;
    close(mistake, from, to);
    return fails ? kStatFailed : status;
}

Status identity(ImageEffectHandle effect, PropertySetHandle in, PropertySetHandle out)
{
    Time time = 0;
    double amount = 0;
    props->propGetDouble(in, kPropTime, 0, &time);
    params->paramGetValueAtTime(paramOf(effect, "amount"), time, &amount);
    if (amount != 0.0) {
        return kStatReplyDefault;
    }
    props->propSetString(out, kPropName, 0, kImageEffectSimpleSourceClipName);
    return kStatOK;
}

Status entry(const char *action, const void *handle, PropertySetHandle in, PropertySetHandle out)
{
    auto *effect = static_cast<ImageEffectHandle>(const_cast<void *>(handle));
    const std::string name = action;
    if (name == kActionLoad) {
        return load();
    }
    if (name == kActionDescribe) {
        return describe(effect);
    }
    if (name == kImageEffectActionDescribeInContext) {
        return describeInContext(effect, in);
    }
    if (name == kActionInstanceChanged) {
        return instanceChanged(effect, in);
    }
    if (name == kImageEffectActionIsIdentity) {
        return identity(effect, in, out);
    }
    return name == kImageEffectActionRender ? render(effect, in) : kStatReplyDefault;
}

void setHost(Host *host) { theHost = host; }

Plugin thePlugin = {kImageEffectPluginApi, kImageEffectPluginApiVersion, "org.grainlayer.probe", 1,
    0, setHost, entry};

} // namespace

PROBE_EXPORT int OfxGetNumberOfPlugins() { return 1; }

PROBE_EXPORT Plugin *OfxGetPlugin(int nth) { return nth == 0 ? &thePlugin : nullptr; }
