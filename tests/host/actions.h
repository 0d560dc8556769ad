// Sends actions to plug-ins and checks what they leave behind.
#pragma once

#include "host.h"

namespace host {

// Property sets for arguments that take their handles back at the end.
class ArgumentSet {
  public:
    ArgumentSet() : set_(makeHandled<PropertySet>("the arguments of an action")) {}
    ~ArgumentSet() { dismiss(*set_); }
    ArgumentSet(const ArgumentSet &) = delete;
    ArgumentSet &operator=(const ArgumentSet &) = delete;

    PropertySet *operator->() const { return set_.get(); }
    PropertySet &operator*() const { return *set_; }

  private:
    std::shared_ptr<PropertySet> set_;
};

// Calls the plug-in's entry point. `scope` says whose action it is (none for Load and Unload).
ofx::Status send(PluginRecord &plugin, const char *action, Scope &scope,
    const PropertySet *in = nullptr, const PropertySet *out = nullptr);

// Simple actions, those without arguments.
ofx::Status sendPlain(Effect &effect, const char *action);

bool isFine(ofx::Status status); // OK or default

// Load, unless it has been; Describe and DescribeInContext, checked.
ofx::Status loadPlugin(PluginRecord &plugin);
ofx::Status describe(PluginRecord &plugin);
ofx::Status describeInContext(PluginRecord &plugin, const std::string &context);
void unloadPlugin(PluginRecord &plugin);

std::shared_ptr<Effect> makeInstance(const Effect &descriptor, const Settings &settings,
    ofx::Status &status);
ofx::Status destroyInstance(Effect &effect);

// Begin, InstanceChanged, End; the names of parameters that the plug-in changed go to `changed`.
ofx::Status tellUserEdited(Effect &effect, const std::string &param, double time,
    std::vector<std::string> &changed, double scale = 1.0);

struct Identity {
    ofx::Status status;
    std::string clip;
    double time;
};

struct Region {
    ofx::Status status;
    ofx::RectD rect;
};

Identity askIdentity(Effect &effect, double time, double scale, const ofx::RectI &window);
Region askRegionOfDefinition(Effect &effect, double time, double scale);

// Answers by clip: four numbers, or pairs of first and last time.
using ByClip = std::map<std::string, std::vector<double>>;
ofx::Status askRegionsOfInterest(Effect &effect, double time, double scale, ByClip &regions);
ofx::Status askFramesNeeded(Effect &effect, double time, ByClip &frames);

// Applies depth and components, as a host does; `json` is all of the answer.
ofx::Status askPreferences(Effect &effect, std::string &json);

void addScale(PropertySet &in, double time, double scale); // and the time
std::vector<Cell> doubleCells(const ofx::RectD &rect);
ofx::RectD canonical(const ofx::RectI &pixels, double scale);

} // namespace host
