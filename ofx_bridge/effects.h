// The host that loaded us, the three effects, what they tell the host of themselves, and what an instance of one keeps.
#pragma once

#include "abi.h"
#include "server.h"

#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace grainlayer {

#include "generated/params.inc"

inline constexpr const char *kAnalyse = "analyse", *kRunDoctor = "run_doctor", *kMaskClip = "Mask";
inline constexpr const char *kEffectNames[] = {"Grain Split", "Grain Synth", "Artifact Restore"};
inline constexpr const char *kDepths[] = {ofx::kBitDepthByte, ofx::kBitDepthShort, ofx::kBitDepthHalf, ofx::kBitDepthFloat}; // as Depth
inline constexpr const char *kComponents[] = {ofx::kImageComponentRGBA, ofx::kImageComponentRGB, ofx::kImageComponentAlpha};
inline constexpr unsigned kEffects = 3;

enum class View : unsigned char { Result, Base, Grain, GrainX4, Difference, Split, Status };
inline constexpr int kTemporal = 3; // in the menu of `quality`

struct Suites {
    const ofx::Host *host;
    const ofx::PropertySuiteV1 *property;
    const ofx::ImageEffectSuiteV1 *effect;
    const ofx::ParameterSuiteV1 *param;
    const ofx::MessageSuiteV1 *message; // optional, as all below
    const ofx::MessageSuiteV2 *message2;
    const ofx::ProgressSuiteV1 *progress;
    const Suites *before; // an earlier host's, which threads may still use
};

void set_host(ofx::Host *host);
ofx::Status fetch_suites(); // may come any number of times, from any thread
const Suites &suites();     // valid after the first that worked, for ever

// A property set. Setting what a host does not know is no error: old hosts lack new properties.
class Props {
public:
    explicit Props(ofx::PropertySetHandle handle) : handle_(handle) {}
    explicit Props(ofx::ImageEffectHandle effect) { suites().effect->getPropertySet(effect, &handle_); }
    explicit Props(ofx::ImageClipHandle clip) { suites().effect->clipGetPropertySet(clip, &handle_); }
    void set(const char *name, const char *value, int index = 0) const { suites().property->propSetString(handle_, name, index, value); }
    void set(const char *name, const std::string &value, int index = 0) const { set(name, value.c_str(), index); }
    void set(const char *name, int value, int index = 0) const { suites().property->propSetInt(handle_, name, index, value); }
    void set(const char *name, double value, int index = 0) const { suites().property->propSetDouble(handle_, name, index, value); }
    void set(const char *name, void *value) const { suites().property->propSetPointer(handle_, name, 0, value); }
    int integer(const char *name, int index = 0) const { return get(suites().property->propGetInt, name, index, 0); }
    double number(const char *name, int index = 0, double missing = 0) const {
        return get(suites().property->propGetDouble, name, index, missing);
    }
    void *pointer(const char *name) const { return get<void *>(suites().property->propGetPointer, name, 0, nullptr); }
    std::string text(const char *name) const {
        const char *found = get<char *>(suites().property->propGetString, name, 0, nullptr);
        return found ? found : "";
    }

private:
    template <typename Value> using Getter = ofx::Status (*)(ofx::PropertySetHandle, const char *, int, Value *);
    template <typename Value> Value get(Getter<Value> getter, const char *name, int index, Value missing) const {
        Value value = missing;
        return handle_ && getter(handle_, name, index, &value) == ofx::kStatOK ? value : missing;
    }
    ofx::PropertySetHandle handle_ = nullptr;
};

bool shows(const Param &param, unsigned effect);
ofx::Status describe(ofx::ImageEffectHandle handle, unsigned effect);
ofx::Status describe_in_context(ofx::ImageEffectHandle handle, unsigned effect, const std::string &context);

class Instance {
public:
    Instance(ofx::ImageEffectHandle handle, unsigned effect);
    Values values(ofx::Time time) const;
    bool is_identity(const Values &values) const;
    bool varies_by_frame(const Values &values) const;
    std::vector<ofx::Time> window(ofx::Time time, const Values &values) const; // of the pictures that a render looks at, `time` amid them
    ofx::ParamHandle param(const char *key) const;
    std::string text_at(ofx::ParamHandle param, ofx::Time time) const;
    void say(const std::string &sentence, const char *kind); // shown until `well`, once however often it is said
    void well();

    const ofx::ImageEffectHandle handle;
    const unsigned effect;
    ofx::ImageClipHandle source = nullptr, output = nullptr, mask = nullptr;

private:
    std::vector<std::pair<const Param *, ofx::ParamHandle>> params_;
    mutable std::timed_mutex reading_;
    std::mutex mutex_;
    std::string said_;
};

// The frames that a clip has at most; `time` alone where the host does not say.
ofx::RangeD frame_range(ofx::ImageClipHandle clip, ofx::Time time);

ofx::Status render(Instance &instance, const Props &in, const Props &out);
ofx::Status analyse(Instance &instance, ofx::Time time, double scale);
std::string doctor();

} // namespace grainlayer
