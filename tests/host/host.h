// The host: its traits, the binaries it has loaded and the instances it keeps.
#pragma once

#include "effect.h"
#include "platform.h"

#include <functional>
#include <stdexcept>

namespace host {

// A command that cannot be done; what() is the sentence of the answer.
class CommandError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

struct Traits {
    std::string name = "org.grainlayer.testhost";
    std::string api = "1.5";
    int messageSuite = 2; // the newest version given out; 0 is none
    bool nullPersistent = false;
    bool memory = true;
    bool progress = true;
    bool multithread = true;
    bool timeline = true;
    bool temporal = true;
    std::string times = "null"; // outside of the range: null, clamp; ignore: always this frame
    std::string field = ofx::kImageFieldNone;
    unsigned int cpus = 0; // 0: as many as there are
};

struct Binary;

struct PluginRecord {
    Binary *binary = nullptr;
    ofx::Plugin *api = nullptr;
    bool loaded = false;
    std::shared_ptr<Effect> base; // described
    std::map<std::string, std::shared_ptr<Effect>> contexts;
    std::mutex renderMutex;

    std::string id() const { return api->pluginIdentifier; }
};

struct Binary {
    std::string path;
    Library library;
    std::vector<std::unique_ptr<PluginRecord>> plugins;
};

class Host {
  public:
    static Host &instance();

    Traits traits;
    void applyTraits(); // after a change of traits

    Binary &load(const std::string &path);
    void unloadAll();

    PluginRecord &plugin(const std::string &id);
    std::shared_ptr<Effect> effect(const std::string &name) const;
    const Effect &descriptor(PluginRecord &plugin, const std::string &context);

    ofx::Host *api() { return &api_; }
    const PropertySet &properties() const { return *properties_; }
    std::vector<std::unique_ptr<Binary>> binaries;
    std::map<std::string, std::shared_ptr<Effect>> instances;

  private:
    Host();

    std::shared_ptr<PropertySet> properties_;
    ofx::Host api_{};
};

// The suites, by name and version; null when this host does not have it.
const void *findSuite(const char *name, int version, const Traits &traits);

const ofx::MultiThreadSuiteV1 &multiThreadSuite();

int openMutexes();

// Sentences about memory, mutexes and progress bars that are still open.
std::vector<std::string> leaks();
void forgetImageMemoryOf(const Effect &effect); // a violation for each block that is left

} // namespace host
