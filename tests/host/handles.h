// Handles given to plug-ins: numbers that are never used twice, so that a stale one is always
// noticed and none can be dereferenced by mistake.
#pragma once

#include <cstdint>
#include <memory>

namespace host {

class Handled {
  public:
    Handled();
    virtual ~Handled() = default;
    Handled(const Handled &) = delete;
    Handled &operator=(const Handled &) = delete;

    template <typename Handle> Handle handle() const { return reinterpret_cast<Handle>(id_); }
    std::uintptr_t id() const { return id_; }

  private:
    std::uintptr_t id_;
};

void enroll(const std::shared_ptr<Handled> &object);
void dismiss(const Handled &object);
std::shared_ptr<Handled> lookUp(const void *handle);
void reportBadHandle(const void *handle, const char *function, bool alive);

// The object behind a handle, or nothing after recording a violation.
template <typename T> std::shared_ptr<T> resolve(const void *handle, const char *function)
{
    const auto object = lookUp(handle);
    auto typed = std::dynamic_pointer_cast<T>(object);
    if (!typed) {
        reportBadHandle(handle, function, object != nullptr);
    }
    return typed;
}

// Makes an object and its handle.
template <typename T, typename... Arguments>
std::shared_ptr<T> makeHandled(Arguments &&...arguments)
{
    auto object = std::make_shared<T>(std::forward<Arguments>(arguments)...);
    enroll(object);
    return object;
}

} // namespace host
