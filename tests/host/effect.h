// Effects (descriptors and instances), their clips, and what goes on in an action.
#pragma once

#include "images.h"
#include "params.h"

#include <atomic>
#include <chrono>
#include <list>
#include <optional>
#include <set>

namespace host {

class Effect;
struct PluginRecord;

using Clock = std::chrono::steady_clock;

// A raw file of frames: float32 (or 16-bit) RGBA, top row first.
struct Source {
    std::string path;
    int frames = 0;
    bool raw16 = false;
};

class Clip : public Handled {
  public:
    Clip(Effect &owner, std::string name);                 // of a descriptor
    Clip(Effect &owner, const Clip &descriptor);           // of an instance
    ~Clip() override;

    bool isOutput() const { return name == ofx::kImageEffectOutputClipName; }
    bool optional() const { return props->integer(ofx::kImageClipPropOptional) != 0; }
    void setFormat(Format format);
    void setLayout(const Layout &layout);
    void setSource(Source source);
    void connect(bool connected);
    ofx::RectI bounds(double scale) const; // in pixels

    // The picture at a time, ready in memory; nothing when there is none.
    std::shared_ptr<Buffer> picture(double time, double scale);

    // Records a violation when the plug-in has written to a picture that it may only read.
    void checkPictures();

    Effect &effect;
    const std::string name;
    const std::shared_ptr<PropertySet> props;
    Format format;
    Layout layout;
    std::optional<Source> source;
    bool connected = false;

  private:
    struct Cached {
        int frame;
        double scale;
        std::shared_ptr<Buffer> buffer;
    };

    std::shared_ptr<Buffer> load(int frame, double scale) const;
    void forget();

    std::mutex mutex_;
    std::list<Cached> cache_; // the latest first
};

struct Settings {
    int width = 64;
    int height = 48;
    Format format;
    double first = 0;
    double last = 0;
    double rate = 24;
    std::string premultiplication = ofx::kImageUnPreMultiplied;
    bool clipProperties = true; // already there at CreateInstance
};

class Effect : public Handled {
  public:
    Effect(PluginRecord &plugin, std::string context); // a descriptor
    Effect(const Effect &descriptor, const Settings &settings); // an instance
    ~Effect() override;

    std::shared_ptr<Clip> clip(std::string_view name) const;
    double currentTime() const;

    // Clip properties that some hosts give only after CreateInstance.
    void hideClipProperties();
    void showClipProperties();

    void say(std::string messageJson); // message(); kept by the render that it is said in
    std::vector<std::string> takeMessages(); // those said outside of renders
    void setPersistent(std::optional<std::string> json);
    std::optional<std::string> persistent() const;

    PluginRecord &plugin;
    const std::string context;
    const bool isInstance;
    const Settings settings;
    const std::string threadSafety; // of an instance: as its descriptor says
    const std::shared_ptr<PropertySet> props;
    const std::shared_ptr<ParamSet> params;
    std::vector<std::shared_ptr<Clip>> clips;

    // Abort: from this moment on (since the clock's epoch); zero when never.
    std::atomic<Clock::rep> abortAt = 0;
    std::atomic<long> abortPolls = 0;
    std::atomic<int> persistentCalls = 0;
    std::atomic<Clock::rep> actionTime = 0; // spent in the plug-in, in ticks of the clock
    std::atomic<double> timelineTime = 0.0;
    std::mutex renderMutex; // for plug-ins that are not safe in several threads

  private:
    mutable std::mutex mutex_;
    std::optional<std::string> persistent_;
    std::vector<std::string> messages_;
};

// What happens on a thread during one action.
struct Scope {
    const char *action = "";
    Effect *effect = nullptr;
    double time = 0;
    double scale = 1;
    std::shared_ptr<Buffer> output;
    bool checkNeeded = false;                              // only with the ranges below
    std::map<std::string, std::vector<double>> needed;     // by clip: first and last times
    std::vector<std::string> changed;                      // parameters set, by name
    Scope *parent = nullptr;

    std::mutex mutex;
    std::list<std::shared_ptr<Image>> images;
    std::vector<std::string> messages;

    bool isRender() const;
    bool maySetParams() const;
    Scope &outermost();
};

Scope *currentScope();

// Makes `scope` the current one of this thread for a while.
class Enter {
  public:
    explicit Enter(Scope *scope);
    ~Enter();
    Enter(const Enter &) = delete;
    Enter &operator=(const Enter &) = delete;

  private:
    Scope *before_;
};

const ofx::ImageEffectSuiteV1 &imageEffectSuite();

// Tells the plug-in of its own change of a parameter, as hosts do while the change is going on.
void tellPluginEdited(Effect &effect, const std::string &param, double time);

} // namespace host
