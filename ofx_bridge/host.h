// The host that loaded us: its suites, and typed access to its property sets.
#pragma once

#include "abi.h"

#include <string>

namespace grainlayer {

struct Suites {
    const ofx::Host *host = nullptr;
    const ofx::PropertySuiteV1 *property = nullptr;
    const ofx::ImageEffectSuiteV1 *effect = nullptr;
    const ofx::ParameterSuiteV1 *param = nullptr;
    const ofx::MessageSuiteV1 *message = nullptr;   // optional, as all below
    const ofx::MessageSuiteV2 *message2 = nullptr;
    const ofx::ProgressSuiteV1 *progress = nullptr;
    const ofx::ProgressSuiteV2 *progress2 = nullptr;
};

void set_host(ofx::Host *host);
ofx::Status fetch_suites();  // at Load; may come any number of times, from any thread
const Suites &suites();      // valid after the first Load, for ever

// A property set. Setting what a host does not know is no error: old hosts lack new properties.
class Props {
public:
    explicit Props(ofx::PropertySetHandle handle) : handle_(handle) {}
    void set(const char *name, const char *value, int index = 0) const { suites().property->propSetString(handle_, name, index, value); }
    void set(const char *name, const std::string &value, int index = 0) const { set(name, value.c_str(), index); }
    void set(const char *name, int value, int index = 0) const { suites().property->propSetInt(handle_, name, index, value); }
    void set(const char *name, double value, int index = 0) const { suites().property->propSetDouble(handle_, name, index, value); }
    void set(const char *name, void *value) const { suites().property->propSetPointer(handle_, name, 0, value); }
    int integer(const char *name, int index = 0, int missing = 0) const;
    double number(const char *name, int index = 0, double missing = 0) const;
    std::string text(const char *name, int index = 0) const;
    void *pointer(const char *name) const;

private:
    ofx::PropertySetHandle handle_;
};

} // namespace grainlayer
