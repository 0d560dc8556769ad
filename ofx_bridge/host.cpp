#include "host.h"

#include "server.h"

#include <atomic>

namespace grainlayer {
namespace {

std::atomic<ofx::Host *> given{nullptr};
std::atomic<const Suites *> current{nullptr};

template <typename Suite> const Suite *fetch(const ofx::Host *host, const char *name, int version) {
    return static_cast<const Suite *>(host->fetchSuite(host->host, name, version));
}

} // namespace

void set_host(ofx::Host *host) { given = host; }

// What was published is never taken back: a host may render on one thread while it loads us again on another.
ofx::Status fetch_suites() {
    const ofx::Host *host = given;
    if (!host || !host->fetchSuite)
        return ofx::kStatErrMissingHostFeature;
    if (const Suites *known = current; known && known->host == host)
        return ofx::kStatOK;
    auto *found = new Suites;
    found->host = host;
    found->property = fetch<ofx::PropertySuiteV1>(host, ofx::kPropertySuite, 1);
    found->effect = fetch<ofx::ImageEffectSuiteV1>(host, ofx::kImageEffectSuite, 1);
    found->param = fetch<ofx::ParameterSuiteV1>(host, ofx::kParameterSuite, 1);
    found->message = fetch<ofx::MessageSuiteV1>(host, ofx::kMessageSuite, 1);
    found->message2 = fetch<ofx::MessageSuiteV2>(host, ofx::kMessageSuite, 2);
    found->progress = fetch<ofx::ProgressSuiteV1>(host, ofx::kProgressSuite, 1);
    found->progress2 = fetch<ofx::ProgressSuiteV2>(host, ofx::kProgressSuite, 2);
    if (!found->property || !found->effect || !found->param) {
        delete found;
        return ofx::kStatErrMissingHostFeature;
    }
    current = found;
    Server::only().set_host(Props(host->host).text(ofx::kPropName));
    return ofx::kStatOK;
}

const Suites &suites() { return *current; }

int Props::integer(const char *name, int index, int missing) const {
    int value = missing;
    return suites().property->propGetInt(handle_, name, index, &value) == ofx::kStatOK ? value : missing;
}

double Props::number(const char *name, int index, double missing) const {
    double value = missing;
    return suites().property->propGetDouble(handle_, name, index, &value) == ofx::kStatOK ? value : missing;
}

std::string Props::text(const char *name, int index) const {
    char *value = nullptr;
    return suites().property->propGetString(handle_, name, index, &value) == ofx::kStatOK && value ? value : "";
}

void *Props::pointer(const char *name) const {
    void *value = nullptr;
    return suites().property->propGetPointer(handle_, name, 0, &value) == ofx::kStatOK ? value : nullptr;
}

} // namespace grainlayer
