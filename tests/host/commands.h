// The commands of the host; main.cpp documents them.
#pragma once

#include "script.h"

#include <string>

namespace host {

// Does one command and answers with a JSON object on one line; problems become {"error": ...}.
std::string execute(const std::string &line, Input &input);

using CommandFunction = std::string (*)(const Command &command);
struct NamedCommand {
    const char *verb;
    CommandFunction function;
};

// Null when no such command is in the group.
CommandFunction findSetupCommand(const std::string &verb);
CommandFunction findPlayCommand(const std::string &verb);

std::string finish(); // the answer to quit: destroys and unloads everything

} // namespace host
