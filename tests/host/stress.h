// Commands that render much: parallel, storm, bench and lifecycle.
#pragma once

#include "script.h"

#include <string>

namespace host {

std::string runParallel(const Command &command);
std::string runStorm(const Command &command, Input &input);
std::string runBench(const Command &command);
std::string runLifecycle(const Command &command);

} // namespace host
