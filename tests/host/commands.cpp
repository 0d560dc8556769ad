#include "commands.h"

#include "json.h"
#include "ledger.h"
#include "setup.h"
#include "stress.h"

namespace host {

namespace {

std::string answer(const std::string &line, Input &input)
{
    const Command command(line);
    if (command.empty()) {
        throw CommandError("The line is empty.");
    }
    if (command.verb() == "quit") {
        return finish();
    }
    if (command.verb() == "stop") {
        return JsonObject().put("stopped", false).text();
    }
    if (command.verb() == "storm") {
        return runStorm(command, input);
    }
    for (const auto find : {findSetupCommand, findPlayCommand}) {
        if (const CommandFunction function = find(command.verb())) {
            return function(command);
        }
    }
    throw CommandError("There is no command " + command.verb() + ".");
}

} // namespace

std::string finish()
{
    Host::instance().unloadAll();
    const auto left = leaks();
    const auto all = violationsFrom(0);
    return JsonObject()
        .put("quit", true)
        .put("count", violationCount())
        .raw("violations", jsonArray(all))
        .raw("leaks", jsonArray(left))
        .text();
}

std::string execute(const std::string &line, Input &input)
{
    const std::size_t before = violationCount();
    std::string json;
    try {
        json = answer(line, input);
    } catch (const std::exception &problem) {
        json = JsonObject().put("error", problem.what()).text();
    }
    const auto fresh = violationsFrom(before);
    if (!fresh.empty()) {
        json.pop_back();
        json += ", \"new_violations\": " + jsonArray(fresh) + "}";
    }
    return json;
}

} // namespace host
