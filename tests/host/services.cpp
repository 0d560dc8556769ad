// The small suites: memory, message, progress and time line.
#include "host.h"
#include "json.h"
#include "ledger.h"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <unordered_map>

namespace host {

namespace {

std::mutex mutex;
std::unordered_map<void *, std::size_t> memoryBlocks;
std::unordered_map<const void *, int> openProgress;

ofx::Status memoryAlloc(void *handle, size_t size, void **out)
{
    noteCall("memoryAlloc");
    if (out == nullptr || (handle != nullptr && !resolve<Effect>(handle, "memoryAlloc"))) {
        return ofx::kStatErrBadHandle;
    }
    void *block = std::malloc(size == 0 ? 1 : size);
    if (block == nullptr) {
        return ofx::kStatErrMemory;
    }
    const std::lock_guard lock(mutex);
    memoryBlocks[block] = size;
    *out = block;
    return ofx::kStatOK;
}

ofx::Status memoryFree(void *block)
{
    noteCall("memoryFree");
    {
        const std::lock_guard lock(mutex);
        if (memoryBlocks.erase(block) == 0) {
            violation("memoryFree was given memory that is not from memoryAlloc.");
            return ofx::kStatErrBadHandle;
        }
    }
    std::free(block);
    return ofx::kStatOK;
}

std::string formatted(const char *format, std::va_list args)
{
    if (format == nullptr) {
        violation("A message was given no format.");
        return {};
    }
    std::array<char, 4096> text{};
    std::vsnprintf(text.data(), text.size(), format, args);
    return text.data();
}

// The effect that a message is about, and the message itself.
std::shared_ptr<Effect> readMessage(const char *function, void *handle, const char *type,
    const char *id, const char *format, std::va_list args, std::string &json)
{
    noteCall(function);
    const std::string text = formatted(format, args);
    static constexpr const char *types[] = {ofx::kMessageFatal, ofx::kMessageError,
        ofx::kMessageWarning, ofx::kMessageMessage, ofx::kMessageLog, ofx::kMessageQuestion};
    const bool known = std::ranges::any_of(types, [&](const char *name) {
        return type != nullptr && std::string_view(type) == name;
    });
    if (!known) {
        violation(std::string(function) + " was given an unknown type of message.");
    }
    json = JsonObject().put("type", type).put("id", id).put("text", text).text();
    return handle == nullptr ? nullptr : resolve<Effect>(handle, function);
}

ofx::Status message(void *handle, const char *type, const char *id, const char *format, ...)
{
    std::va_list args;
    va_start(args, format);
    std::string json;
    const auto effect = readMessage("message", handle, type, id, format, args, json);
    va_end(args);
    if (effect) {
        effect->say(json);
    }
    const bool question = type != nullptr && std::string_view(type) == ofx::kMessageQuestion;
    return question ? ofx::kStatReplyYes : ofx::kStatOK;
}

ofx::Status setPersistent(void *handle, const char *type, const char *id, const char *format, ...)
{
    std::va_list args;
    va_start(args, format);
    std::string json;
    const auto effect = readMessage("setPersistentMessage", handle, type, id, format, args, json);
    va_end(args);
    if (!effect) {
        return ofx::kStatErrBadHandle;
    }
    effect->setPersistent(json);
    return ofx::kStatOK;
}

ofx::Status clearPersistent(void *handle)
{
    noteCall("clearPersistentMessage");
    const auto effect = resolve<Effect>(handle, "clearPersistentMessage");
    if (!effect) {
        return ofx::kStatErrBadHandle;
    }
    effect->setPersistent(std::nullopt);
    return ofx::kStatOK;
}

ofx::Status progressStart(void *handle)
{
    noteCall("progressStart");
    if (!resolve<Effect>(handle, "progressStart")) {
        return ofx::kStatErrBadHandle;
    }
    const std::lock_guard lock(mutex);
    if (++openProgress[handle] > 1) {
        violation("progressStart was called while a progress was going on.");
    }
    return ofx::kStatOK;
}

ofx::Status progressStartV1(void *handle, const char *) { return progressStart(handle); }

ofx::Status progressStartV2(void *handle, const char *, const char *)
{
    return progressStart(handle);
}

ofx::Status progressUpdate(void *handle, double amount)
{
    noteCall("progressUpdate");
    const std::lock_guard lock(mutex);
    if (!openProgress.contains(handle)) {
        violation("progressUpdate was called without progressStart.");
        return ofx::kStatFailed;
    }
    if (!(amount >= 0.0 && amount <= 1.0)) {
        violation("progressUpdate was given " + std::to_string(amount) + ", not 0 to 1.");
    }
    return ofx::kStatOK;
}

ofx::Status progressEnd(void *handle)
{
    noteCall("progressEnd");
    const std::lock_guard lock(mutex);
    if (openProgress.erase(handle) == 0) {
        violation("progressEnd was called without progressStart.");
        return ofx::kStatFailed;
    }
    return ofx::kStatOK;
}

ofx::Status getTime(void *handle, double *time)
{
    noteCall("getTime");
    const auto effect = resolve<Effect>(handle, "getTime");
    if (!effect || time == nullptr) {
        return ofx::kStatErrBadHandle;
    }
    *time = effect->currentTime();
    return ofx::kStatOK;
}

ofx::Status gotoTime(void *handle, double time)
{
    noteCall("gotoTime");
    const auto effect = resolve<Effect>(handle, "gotoTime");
    if (!effect) {
        return ofx::kStatErrBadHandle;
    }
    effect->timelineTime = time;
    return ofx::kStatOK;
}

ofx::Status getTimeBounds(void *handle, double *first, double *last)
{
    noteCall("getTimeBounds");
    const auto effect = resolve<Effect>(handle, "getTimeBounds");
    if (!effect || first == nullptr || last == nullptr) {
        return ofx::kStatErrBadHandle;
    }
    *first = effect->settings.first;
    *last = effect->settings.last;
    return ofx::kStatOK;
}

const void *messageSuite(int version, const Traits &traits)
{
    static const ofx::MessageSuiteV1 v1 = {message};
    static const ofx::MessageSuiteV2 v2 = {message, setPersistent, clearPersistent};
    static const ofx::MessageSuiteV2 halfV2 = {message, nullptr, nullptr};
    if (version == 1 && traits.messageSuite >= 1) {
        return &v1;
    }
    if (version == 2 && traits.messageSuite >= 2) {
        return traits.nullPersistent ? &halfV2 : &v2;
    }
    return nullptr;
}

const void *progressSuite(int version)
{
    static const ofx::ProgressSuiteV1 v1 = {progressStartV1, progressUpdate, progressEnd};
    static const ofx::ProgressSuiteV2 v2 = {progressStartV2, progressUpdate, progressEnd};
    if (version == 1) {
        return &v1;
    }
    return version == 2 ? &v2 : nullptr;
}

} // namespace

const void *findSuite(const char *name, int version, const Traits &traits)
{
    static const ofx::MemorySuiteV1 memory = {memoryAlloc, memoryFree};
    static const ofx::TimeLineSuiteV1 timeLine = {getTime, gotoTime, getTimeBounds};
    const std::string_view suite = name == nullptr ? "" : name;
    if (suite == ofx::kMessageSuite) {
        return messageSuite(version, traits);
    }
    if (suite == ofx::kProgressSuite) {
        return traits.progress ? progressSuite(version) : nullptr;
    }
    if (version != 1) {
        return nullptr;
    }
    if (suite == ofx::kPropertySuite) {
        return &propertySuite();
    }
    if (suite == ofx::kImageEffectSuite) {
        return &imageEffectSuite();
    }
    if (suite == ofx::kParameterSuite) {
        return &parameterSuite();
    }
    if (suite == ofx::kMemorySuite) {
        return traits.memory ? &memory : nullptr;
    }
    if (suite == ofx::kMultiThreadSuite) {
        return traits.multithread ? &multiThreadSuite() : nullptr;
    }
    return suite == ofx::kTimeLineSuite && traits.timeline ? &timeLine : nullptr;
}

std::vector<std::string> leaks()
{
    std::vector<std::string> out;
    const std::lock_guard lock(mutex);
    for (const auto &[block, size] : memoryBlocks) {
        out.push_back("A block of " + std::to_string(size) + " bytes was not given back.");
    }
    if (const int open = openMutexes(); open > 0) {
        out.push_back(std::to_string(open) + " mutex(es) were not destroyed.");
    }
    for (std::size_t i = 0; i < openProgress.size(); ++i) {
        out.push_back("A progress was started and not ended.");
    }
    return out;
}

} // namespace host
