// Keeps the plug-in's violations of the specification.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace host {

// Thread-safe; also prints {"violation": ...} to stderr. Texts beyond the first 2000 are only
// counted.
void violation(const std::string &text);

std::size_t violationCount();
std::vector<std::string> violationsFrom(std::size_t first);

// Set between Unload and the next Load, when a plug-in has no business with the host.
void setAllUnloaded(bool unloaded);

// Records a violation when every plug-in has been unloaded.
void noteCall(const char *function);

} // namespace host
