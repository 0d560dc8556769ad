// Commands that ask, render and measure.
#include "commands.h"
#include "json.h"
#include "ledger.h"
#include "setup.h"
#include "stress.h"

#include <algorithm>
#include <iterator>

namespace host {

namespace {

std::shared_ptr<Effect> instanceOf(const Command &command)
{
    return Host::instance().effect(command.word(0, "the name of an instance"));
}

std::string byClip(const ByClip &values)
{
    JsonObject object;
    for (const auto &[name, numbers] : values) {
        object.raw(name, jsonArray(numbers));
    }
    return object.text();
}

std::string identity(const Command &command)
{
    command.allow({"scale", "window"});
    const auto effect = instanceOf(command);
    const RenderSettings settings = renderSettings(command);
    const auto output = findClip(*effect, ofx::kImageEffectOutputClipName);
    const auto window = settings.window.value_or(output->bounds(settings.scale));
    const double time = command.number(1, "a time");
    const Identity answer = askIdentity(*effect, time, settings.scale, window);
    return JsonObject()
        .put("status", answer.status)
        .put("clip", answer.clip)
        .put("time", answer.time)
        .text();
}

std::string regionOfDefinition(const Command &command)
{
    command.allow({"scale"});
    const auto effect = instanceOf(command);
    const double time = command.number(1, "a time");
    const Region answer = askRegionOfDefinition(*effect, time, renderSettings(command).scale);
    const std::vector<double> edges = {answer.rect.x1, answer.rect.y1, answer.rect.x2,
        answer.rect.y2};
    return JsonObject().put("status", answer.status).raw("rod", jsonArray(edges)).text();
}

std::string regionsOfInterest(const Command &command)
{
    command.allow({"scale"});
    const auto effect = instanceOf(command);
    const double time = command.number(1, "a time");
    ByClip regions;
    const auto status
        = askRegionsOfInterest(*effect, time, renderSettings(command).scale, regions);
    return JsonObject().put("status", status).raw("roi", byClip(regions)).text();
}

std::string framesNeeded(const Command &command)
{
    command.allow({});
    const auto effect = instanceOf(command);
    ByClip frames;
    const auto status = askFramesNeeded(*effect, command.number(1, "a time"), frames);
    return JsonObject().put("status", status).raw("frames", byClip(frames)).text();
}

std::string preferences(const Command &command)
{
    command.allow({});
    std::string json;
    const auto status = askPreferences(*instanceOf(command), json);
    return JsonObject().put("status", status).raw("prefs", json).text();
}

std::string render(const Command &command)
{
    command.allow({"out", "out16", "window", "scale", "thumbnail", "draft", "interactive",
        "abort_after_ms", "sequence", "like_mlt", "needed"});
    const auto effect = instanceOf(command);
    RenderSettings settings = renderSettings(command);
    settings.time = command.number(1, "a time");
    const RenderResult result = renderFrame(*effect, settings);
    if (command.has("out")) {
        writeWindow(result, command.option("out"), command.flag("out16"));
    }
    return result.json();
}

std::string memory(const Command &)
{
    const auto memory = processMemory();
    if (!memory) {
        throw CommandError("This system does not tell.");
    }
    return JsonObject()
        .put("VmRSS", memory->rss)
        .put("RssAnon", memory->anonymous)
        .put("RssShmem", memory->shared)
        .put("RssFile", memory->file)
        .put("descriptors", memory->descriptors)
        .text();
}

std::string violations(const Command &)
{
    return JsonObject()
        .put("count", violationCount())
        .raw("violations", jsonArray(violationsFrom(0)))
        .text();
}

constexpr NamedCommand kCommands[] = {{"identity", identity}, {"rod", regionOfDefinition},
    {"roi", regionsOfInterest}, {"frames", framesNeeded}, {"prefs", preferences},
    {"render", render}, {"parallel", runParallel}, {"bench", runBench},
    {"lifecycle", runLifecycle}, {"memory", memory}, {"violations", violations}};

} // namespace

CommandFunction findPlayCommand(const std::string &verb)
{
    const auto found
        = std::ranges::find_if(kCommands, [&](const auto &named) { return verb == named.verb; });
    return found == std::end(kCommands) ? nullptr : found->function;
}

} // namespace host
