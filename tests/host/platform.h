// What differs between operating systems.
#pragma once

#include <optional>
#include <string>

namespace host {

// A loaded shared library; closed by close() or at the end of its life.
class Library {
  public:
    Library() = default;
    Library(Library &&other) noexcept;
    Library &operator=(Library &&other) noexcept;
    ~Library() { close(); }

    bool open(const std::string &path, std::string &problem);
    void *symbol(const char *name) const;
    void close();

  private:
    void *handle_ = nullptr;
};

// "Linux-x86-64", "Win64"...: the folder of a bundle that holds this machine's binary.
std::string bundleArchitecture();

struct ProcessMemory {
    long rss = 0; // all in KiB
    long anonymous = 0;
    long shared = 0;
    long file = 0;
    long descriptors = 0;
};

// Nothing where it cannot be told.
std::optional<ProcessMemory> processMemory();

} // namespace host
