// What differs between operating systems: shared memory, local streams, processes, folders. A false or an empty answer says that it did
// not work, and `why` says so in words where it is given. Texts are UTF-8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

namespace grainlayer {

using Path = std::filesystem::path;

inline Path path_of(const std::string &text) { return Path(std::u8string(text.begin(), text.end())); }

inline std::string text_of(const Path &path) {
    const std::u8string text = path.u8string();
    return {text.begin(), text.end()};
}

// A file descriptor, or a HANDLE of Windows; closed when this goes. -1 is none.
class Handle {
public:
    explicit Handle(std::intptr_t value = -1) : value_(value) {}
    Handle(Handle &&other) noexcept : value_(std::exchange(other.value_, -1)) {}
    Handle &operator=(Handle &&other) noexcept {
        std::swap(value_, other.value_);
        return *this;
    }
    ~Handle();
    std::intptr_t get() const { return value_; }
    explicit operator bool() const { return value_ != -1; }

private:
    std::intptr_t value_;
};

// Shared memory, reserved and mapped as a whole, so that touching it later cannot fail.
struct SharedMemory {
    ~SharedMemory();
    bool make(std::size_t bytes); // once
    unsigned char *data = nullptr;
    std::size_t size = 0;
    Handle handle;
    std::string name; // on Windows only
};

// A stream to the server on this machine. One thread at a time.
class Stream {
public:
    bool open(const std::string &name);
    // Sends a whole message, on Unix with a descriptor where `handle` is one.
    bool send(const void *bytes, std::size_t size, std::intptr_t handle);
    // Waits `timeout_ms` at most and returns how many bytes came: 0 none yet, -1 none ever.
    std::ptrdiff_t receive(void *bytes, std::size_t most, int timeout_ms);
    std::uint32_t peer() const; // the server's process id as the system knows it, 0 where it does not

private:
    Handle handle_;
};

// A process that this one started.
class Process {
public:
    bool start(const Path &program, const Path &log, std::string &why);
    bool running();
    void end(); // at once

private:
    std::intptr_t id_ = -1;
};

extern const char kProgram[]; // the server's file name
extern const char kBetweenPaths;
inline constexpr int kSendMs = 2000; // a peer that takes no more bytes for so long is lost

std::uint32_t own_pid();
void kill_process(std::uint32_t pid);
Path environment(const char *name);
Path runtime_folder(std::string &why); // made and checked: this user's, closed to others; empty if there is none
std::string read_file(const Path &path);
Path library(); // the file that holds this code
bool random_bytes(void *bytes, std::size_t size);

} // namespace grainlayer
