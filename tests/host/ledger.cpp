#include "ledger.h"

#include "json.h"

#include <atomic>
#include <cstdio>
#include <mutex>

namespace host {

namespace {

constexpr std::size_t kMostTexts = 2000;

std::mutex mutex;
std::vector<std::string> texts;
std::size_t count = 0;
std::atomic<bool> allUnloaded = false;

} // namespace

void violation(const std::string &text)
{
    const std::lock_guard lock(mutex);
    ++count;
    if (texts.size() >= kMostTexts) {
        return;
    }
    texts.push_back(text);
    std::fprintf(stderr, "{\"violation\": %s}\n", quote(text).c_str());
}

std::size_t violationCount()
{
    const std::lock_guard lock(mutex);
    return count;
}

std::vector<std::string> violationsFrom(std::size_t first)
{
    const std::lock_guard lock(mutex);
    if (first >= texts.size()) {
        return {};
    }
    return {texts.begin() + static_cast<std::ptrdiff_t>(first), texts.end()};
}

void setAllUnloaded(bool unloaded) { allUnloaded = unloaded; }

void noteCall(const char *function)
{
    if (allUnloaded) {
        violation(std::string(function) + " was called after the plug-in had been unloaded.");
    }
}

} // namespace host
