// What differs between operating systems: shared memory, local streams, processes, folders. Nothing here throws; a false or an empty
// answer says that it did not work, and `why` says so in words where it is given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace grainlayer {

// Shared memory, reserved and mapped as a whole, so that touching it later cannot fail.
class SharedMemory {
public:
    SharedMemory() = default;
    SharedMemory(const SharedMemory &) = delete;
    SharedMemory &operator=(const SharedMemory &) = delete;
    ~SharedMemory();
    bool make(std::size_t size);
    unsigned char *data() const { return data_; }
    std::size_t size() const { return size_; }
    std::intptr_t handle() const { return handle_; }
    const std::string &name() const { return name_; } // on Windows only
private:
    unsigned char *data_ = nullptr;
    std::size_t size_ = 0;
    std::intptr_t handle_ = -1;
    std::string name_;
};

// A stream to the server on this machine. One thread at a time.
class Stream {
public:
    enum class Got : unsigned char { Data, Silence, Closed };
    Stream() = default;
    Stream(const Stream &) = delete;
    Stream &operator=(const Stream &) = delete;
    ~Stream() { close(); }
    bool open(const std::string &name);
    bool is_open() const { return handle_ != -1; }
    void close();
    // Sends a whole message, on Unix with a descriptor where `handle` is one.
    bool send(const void *bytes, std::size_t size, std::intptr_t handle = -1, int timeout_ms = 2000);
    // Fills `bytes` whole before `timeout_ms` have gone by, or keeps what came for the next call.
    Got receive(void *bytes, std::size_t size, int timeout_ms);
    std::uint32_t peer() const; // the server's process id as the system knows it, 0 where it does not

private:
    std::intptr_t handle_ = -1;
    std::string pending_;
};

// A process that this one started.
class Process {
public:
    bool start(const std::string &program, const std::string &log, std::string &why);
    bool running();
    bool started() const { return handle_ != -1; }

private:
    std::intptr_t handle_ = -1;
};

std::uint32_t own_pid();
void kill_process(std::uint32_t pid);
std::string environment(const char *name);
std::string runtime_folder(std::string &why); // made and checked: this user's, closed to others; empty if there is none
std::string read_file(const std::string &path, std::size_t most);
std::string bundle_folder();  // .../GrainLayer.ofx.bundle/Contents, empty if this library lies elsewhere
std::string find_program(const std::string &name); // on PATH
bool is_program(const std::string &path);
std::string joined(const std::string &folder, const std::string &name);
bool random_bytes(void *bytes, std::size_t size);

} // namespace grainlayer
