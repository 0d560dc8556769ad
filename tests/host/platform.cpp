#include "platform.h"

#include <utility>

#ifdef _WIN32
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>
#else
#include <dlfcn.h>
#include <sys/utsname.h>
#endif

#ifdef __linux__
#include <filesystem>
#include <fstream>
#include <iterator>
#endif

namespace host {

Library::Library(Library &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

Library &Library::operator=(Library &&other) noexcept
{
    std::swap(handle_, other.handle_);
    return *this;
}

#ifdef _WIN32

bool Library::open(const std::string &path, std::string &problem)
{
    const HMODULE module = LoadLibraryExA(path.c_str(), nullptr, LOAD_WITH_ALTERED_SEARCH_PATH);
    if (module == nullptr) {
        problem = "Windows error " + std::to_string(GetLastError()) + ".";
        return false;
    }
    handle_ = static_cast<void *>(module);
    return true;
}

void *Library::symbol(const char *name) const
{
    const FARPROC address = GetProcAddress(static_cast<HMODULE>(handle_), name);
    return reinterpret_cast<void *>(address);
}

void Library::close()
{
    if (handle_ != nullptr) {
        FreeLibrary(static_cast<HMODULE>(std::exchange(handle_, nullptr)));
    }
}

std::string bundleArchitecture() { return sizeof(void *) == 8 ? "Win64" : "Win32"; }

std::optional<ProcessMemory> processMemory() { return std::nullopt; }

#else

bool Library::open(const std::string &path, std::string &problem)
{
    handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_ == nullptr) {
        const char *reason = dlerror();
        problem = reason == nullptr ? "unknown reason" : reason;
        return false;
    }
    return true;
}

void *Library::symbol(const char *name) const { return dlsym(handle_, name); }

void Library::close()
{
    if (handle_ != nullptr) {
        dlclose(std::exchange(handle_, nullptr));
    }
}

std::string bundleArchitecture()
{
#ifdef __APPLE__
    return "MacOS";
#else
    utsname names{};
    uname(&names);
    const std::string machine = names.machine;
    return "Linux-" + (machine == "x86_64" ? std::string("x86-64") : machine);
#endif
}

#ifdef __linux__

std::optional<ProcessMemory> processMemory()
{
    ProcessMemory memory;
    std::ifstream status("/proc/self/status");
    std::string word;
    while (status >> word) {
        if (word == "VmRSS:") {
            status >> memory.rss;
        } else if (word == "RssAnon:") {
            status >> memory.anonymous;
        } else if (word == "RssShmem:") {
            status >> memory.shared;
        } else if (word == "RssFile:") {
            status >> memory.file;
        }
    }
    const std::filesystem::directory_iterator open("/proc/self/fd");
    memory.descriptors = std::distance(begin(open), end(open)) - 1; // one is the listing's own
    return memory;
}

#else

std::optional<ProcessMemory> processMemory() { return std::nullopt; }

#endif
#endif

} // namespace host
