// The three effects: what they tell the host of themselves, and what an instance of one keeps.
#pragma once

#include "host.h"
#include "server.h"

#include <mutex>
#include <string>
#include <vector>

namespace grainlayer {

#include "generated/params.inc"

inline constexpr const char *kAnalyse = "analyse", *kRunDoctor = "run_doctor", *kMaskClip = "Mask";
inline constexpr const char *kEffectNames[] = {"Grain Split", "Grain Synth", "Artifact Restore"};
inline constexpr const char *kEffectIds[] = {"org.grainlayer.GrainSplit", "org.grainlayer.GrainSynth", "org.grainlayer.ArtifactRestore"};
inline constexpr unsigned kEffects = 3;

enum class View : unsigned char { Result, Base, Grain, GrainX4, Difference, Split, Status };
inline constexpr int kTemporal = 3; // in the menu of `quality`

bool shows(const Param &param, unsigned effect);

ofx::Status describe(ofx::ImageEffectHandle handle, unsigned effect);
ofx::Status describe_in_context(ofx::ImageEffectHandle handle, unsigned effect, const std::string &context);

// The values of one moment, in the order in which the server takes them: numbers of all parameters that are no texts, then texts.
struct Values {
    std::vector<double> numbers;
    std::vector<std::string> texts;
};

class Instance {
public:
    Instance(ofx::ImageEffectHandle handle, unsigned effect);
    static Instance *of(ofx::ImageEffectHandle handle);
    Values values(ofx::Time time) const;
    double number(const Values &values, const char *key) const; // 0 where the effect has no such parameter
    bool is_identity(const Values &values) const;
    bool varies_by_frame(const Values &values) const;
    int reach(const Values &values) const; // pictures before and after that a render looks at
    ofx::ParamHandle param(const char *key) const;
    std::string text_now(const char *key) const;
    void say(const std::string &sentence); // shown until `well`, once however often it is said
    void well();

    const ofx::ImageEffectHandle handle;
    const unsigned effect;
    ofx::ImageClipHandle source = nullptr, output = nullptr, mask = nullptr;

private:
    struct Known {
        const Param *param;
        ofx::ParamHandle handle;
    };
    std::vector<Known> params_;
    std::mutex mutex_;
    std::string said_;
};

// The frames that a clip has at most; from `time` alone where the host does not say.
ofx::RangeD frame_range(ofx::ImageClipHandle clip, ofx::Time time);
// Times of the pictures around `time`, mirrored at the ends of the range.
std::vector<ofx::Time> window_times(ofx::Time time, int reach, const ofx::RangeD &range);

ofx::Status render(Instance &instance, const Props &arguments);
ofx::Status analyse(Instance &instance, ofx::Time time);

void draw_lines(const Pixels &image, const ofx::RectI &window, const std::string &lines);

} // namespace grainlayer
