#include "handles.h"

#include "ledger.h"

#include <atomic>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>

namespace host {

namespace {

std::shared_mutex mutex;
std::unordered_map<std::uintptr_t, std::shared_ptr<Handled>> alive;
std::atomic<std::uintptr_t> nextId = 0x1000;

} // namespace

Handled::Handled() : id_(nextId.fetch_add(16)) {}

void enroll(const std::shared_ptr<Handled> &object)
{
    const std::unique_lock lock(mutex);
    alive[object->id()] = object;
}

void dismiss(const Handled &object)
{
    std::shared_ptr<Handled> last;
    const std::unique_lock lock(mutex);
    const auto found = alive.find(object.id());
    if (found != alive.end()) {
        last = std::move(found->second);
        alive.erase(found);
    }
}

std::shared_ptr<Handled> lookUp(const void *handle)
{
    const std::shared_lock lock(mutex);
    const auto found = alive.find(reinterpret_cast<std::uintptr_t>(handle));
    return found == alive.end() ? nullptr : found->second;
}

void reportBadHandle(const void *handle, const char *function, bool isAlive)
{
    noteCall(function);
    std::string text = function;
    if (handle == nullptr) {
        text += " was called with a null handle.";
    } else if (isAlive) {
        text += " was called with a handle of another kind.";
    } else {
        text += " was called with a handle that is not alive (never given out, or released).";
    }
    violation(text);
}

} // namespace host
