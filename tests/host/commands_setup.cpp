// Commands that load, describe, create and change.
#include "commands.h"
#include "json.h"
#include "ledger.h"
#include "setup.h"

#include <algorithm>
#include <iterator>

namespace host {

namespace {

Host &theHost() { return Host::instance(); }

std::string done() { return JsonObject().put("ok", true).text(); }

std::shared_ptr<Effect> instanceOf(const Command &command)
{
    return theHost().effect(command.word(0, "the name of an instance"));
}

void readTimeTraits(const Command &command, Traits &traits)
{
    const std::string temporal = command.option("temporal", traits.temporal ? "1" : "0");
    traits.temporal = temporal != "0" && temporal != "ignore";
    std::string times = traits.times;
    if (command.has("temporal")) {
        times = temporal == "1" ? "null" : temporal == "0" ? "ignore" : temporal;
    }
    times = command.option("times", times);
    if (times != "null" && times != "clamp" && times != "ignore") {
        throw CommandError("temporal is 0, 1, null, clamp or ignore; times null, clamp or ignore.");
    }
    traits.times = times;
}

std::string fieldTrait(const std::string &text)
{
    return text.starts_with("Ofx") ? text : "OfxField" + text;
}

std::string setHost(const Command &command)
{
    command.allow({"name", "api", "message_suite", "null_persistent", "memory", "progress",
        "multithread", "timeline", "temporal", "times", "field", "cpus"});
    Traits traits = theHost().traits;
    traits.name = command.option("name", traits.name);
    traits.api = command.option("api", traits.api);
    traits.messageSuite = command.intOption("message_suite", traits.messageSuite);
    traits.nullPersistent = command.flag("null_persistent", traits.nullPersistent);
    traits.memory = command.flag("memory", traits.memory);
    traits.progress = command.flag("progress", traits.progress);
    traits.multithread = command.flag("multithread", traits.multithread);
    traits.timeline = command.flag("timeline", traits.timeline);
    traits.field = fieldTrait(command.option("field", traits.field));
    traits.cpus = static_cast<unsigned int>(std::max(0, command.intOption("cpus", 0)));
    readTimeTraits(command, traits);
    theHost().traits = traits;
    theHost().applyTraits();
    return JsonObject().raw("host", theHost().properties().json()).text();
}

std::string load(const Command &command)
{
    command.allow({});
    const Binary &binary = theHost().load(command.value(0));
    const auto plugins = jsonArray(binary.plugins, [](const auto &plugin) {
        return JsonObject()
            .put("id", plugin->id())
            .put("version", std::to_string(plugin->api->pluginVersionMajor) + "."
                    + std::to_string(plugin->api->pluginVersionMinor))
            .put("api", plugin->api->pluginApi)
            .put("api_version", plugin->api->apiVersion)
            .text();
    });
    return JsonObject().put("path", binary.path).raw("plugins", plugins).text();
}

std::string unload(const Command &)
{
    theHost().unloadAll();
    return JsonObject().put("ok", true).raw("leaks", jsonArray(leaks())).text();
}

std::string describeCommand(const Command &command)
{
    command.allow({"context"});
    PluginRecord &plugin = theHost().plugin(command.word(0, "the id of a plug-in"));
    const Effect &effect = theHost().descriptor(plugin, contextOption(command));
    const auto clips = jsonArray(effect.clips, [](const auto &clip) {
        return JsonObject().put("name", clip->name).raw("properties", clip->props->json()).text();
    });
    const auto params = jsonArray(effect.params->all, [](const auto &param) {
        return JsonObject()
            .put("name", param->name)
            .put("type", param->type.name)
            .raw("properties", param->props->json())
            .raw("set", jsonArray(param->props->touched()))
            .text();
    });
    return JsonObject()
        .put("id", plugin.id())
        .put("context", effect.context)
        .raw("effect", effect.props->json())
        .raw("set", jsonArray(plugin.base->props->touched()))
        .raw("param_set", effect.params->props->json())
        .raw("clips", clips)
        .raw("params", params)
        .text();
}

std::string create(const Command &command)
{
    command.allow({"context", "width", "height", "components", "depth", "frames", "rate",
        "premult", "clip_props"});
    const std::string &name = command.word(0, "a name for the instance");
    if (theHost().instances.contains(name)) {
        throw CommandError("There is an instance " + name + " already.");
    }
    PluginRecord &plugin = theHost().plugin(command.word(1, "the id of a plug-in"));
    const Effect &descriptor = theHost().descriptor(plugin, contextOption(command));
    ofx::Status status = ofx::kStatOK;
    const auto start = Clock::now();
    const auto effect = makeInstance(descriptor, createSettings(command, descriptor), status);
    const double ms = millisecondsSince(start);
    if (effect) {
        theHost().instances[name] = effect;
    }
    return JsonObject().put("status", status).put("ms", ms).put("created", bool(effect)).text();
}

std::string destroy(const Command &command)
{
    const auto effect = instanceOf(command);
    theHost().instances.erase(command.word(0, "a name"));
    return JsonObject().put("status", destroyInstance(*effect)).text();
}

std::string set(const Command &command)
{
    setParam(*instanceOf(command), command.word(1, "a parameter"), command.value(2));
    return done();
}

std::string setKey(const Command &command)
{
    const auto param = findParam(*instanceOf(command), command.word(1, "a parameter"));
    const double time = command.number(2, "a time");
    Value value;
    std::string problem;
    if (!param->parse(command.value(3), value, problem)) {
        throw CommandError(problem);
    }
    param->assignKey(time, value);
    return done();
}

std::string edit(const Command &line)
{
    Command command = line;
    command.splitTrailing("scale");
    command.splitTrailing("time");
    const auto effect = instanceOf(command);
    const std::string &name = command.word(1, "a parameter");
    if (command.count() > 2) {
        setParam(*effect, name, command.value(2));
    }
    findParam(*effect, name);
    const double time = command.numberOption("time", effect->timelineTime);
    std::vector<std::string> changed;
    const auto start = Clock::now();
    const ofx::Status status
        = tellUserEdited(*effect, name, time, changed, command.numberOption("scale", 1.0));
    return JsonObject()
        .put("status", status)
        .put("ms", millisecondsSince(start))
        .raw("changed", jsonArray(changed))
        .raw("messages", messagesJson(*effect))
        .raw("persistent", effect->persistent().value_or("null"))
        .text();
}

std::string get(const Command &command)
{
    command.allow({"time"});
    const auto effect = instanceOf(command);
    const auto param = findParam(*effect, command.word(1, "a parameter"));
    const double time = command.numberOption("time", effect->timelineTime);
    JsonObject object;
    object.raw("value", param->json(param->at(time)));
    if (std::string_view(param->type.name) == ofx::kParamTypeChoice) {
        const auto options = param->props->texts(ofx::kParamPropChoiceOption);
        const auto index = static_cast<std::size_t>(param->at(time).numbers.at(0));
        object.put("option", index < options.size() ? options[index] : std::string());
    }
    const auto keys = jsonArray(param->keys(), [&](const auto &key) {
        return jsonArray(std::vector<std::string>{toJson(key.first), param->json(key.second)},
            [](const std::string &json) { return json; });
    });
    return object.raw("keys", keys).text();
}

std::string props(const Command &command)
{
    command.allow({"clip", "param"});
    const auto effect = instanceOf(command);
    const PropertySet *set = effect->props.get();
    std::shared_ptr<Clip> clip;
    std::shared_ptr<Param> param;
    if (command.has("clip")) {
        clip = findClip(*effect, command.option("clip"));
        set = clip->props.get();
    } else if (command.has("param")) {
        param = findParam(*effect, command.option("param"));
        set = param->props.get();
    }
    return JsonObject().raw("properties", set->json()).text();
}

std::string sync(const Command &command)
{
    const auto effect = instanceOf(command);
    return JsonObject()
        .put("status", sendPlain(*effect, ofx::kActionSyncPrivateData))
        .raw("messages", messagesJson(*effect))
        .text();
}

std::string purge(const Command &command)
{
    const auto effect = instanceOf(command);
    return JsonObject()
        .put("status", sendPlain(*effect, ofx::kActionPurgeCaches))
        .raw("messages", messagesJson(*effect))
        .text();
}

void readComponents(const Command &command, Clip &clip)
{
    if (!command.has("components")) {
        return;
    }
    const auto components = componentsFromText(command.option("components"));
    const auto names = clip.props->texts(ofx::kImageEffectPropSupportedComponents);
    if (!components
        || std::ranges::find(names, componentsName(*components)) == names.end()) {
        throw CommandError("The clip " + clip.name + " does not support these components.");
    }
    clip.setFormat({clip.format.depth, *components});
}

std::string bind(const Command &command)
{
    command.allow({"frames", "raw16", "components"});
    const auto effect = instanceOf(command);
    const std::string &name = command.word(1, "the name of a clip");
    const auto clip = findClip(*effect, name);
    const Settings &settings = effect->settings;
    const int range = static_cast<int>(settings.last - settings.first) + 1;
    readComponents(command, *clip);
    bindSource(*effect, name,
        {command.word(2, "a file"), command.intOption("frames", range), command.flag("raw16")});
    return done();
}

std::string connect(const Command &command)
{
    command.allow({"components"});
    const auto clip = findClip(*instanceOf(command), command.word(1, "the name of a clip"));
    if (clip->isOutput()) {
        throw CommandError("The output is always connected.");
    }
    readComponents(command, *clip);
    clip->connect(command.number(2, "0 or 1") != 0);
    return done();
}

void changeLayout(const Command &command, Clip &clip)
{
    Layout layout = clip.layout;
    if (command.has("origin")) {
        const auto origin = command.numbersOption("origin", 2);
        layout.originX = static_cast<int>(origin[0]);
        layout.originY = static_cast<int>(origin[1]);
    }
    layout.pad = command.intOption("pad", layout.pad);
    layout.negative = command.flag("negative", layout.negative);
    if (layout.pad < 0 || layout.pad > 1 << 20 || layout.pad % clip.format.componentBytes() != 0) {
        throw CommandError("pad is a positive multiple of the size of a component.");
    }
    clip.setLayout(layout);
}

std::string setLayout(const Command &command)
{
    command.allow({"origin", "pad", "negative"});
    const auto effect = instanceOf(command);
    const std::string &name = command.word(1, "the name of a clip, or *");
    if (name != "*") {
        changeLayout(command, *findClip(*effect, name));
        return done();
    }
    for (const auto &clip : effect->clips) {
        changeLayout(command, *clip);
    }
    return done();
}

constexpr NamedCommand kCommands[] = {{"host", setHost}, {"load", load}, {"unload", unload},
    {"describe", describeCommand}, {"create", create}, {"destroy", destroy}, {"set", set},
    {"key", setKey}, {"edit", edit}, {"get", get}, {"props", props}, {"sync", sync},
    {"purge", purge}, {"source", bind}, {"connect", connect}, {"layout", setLayout}};

} // namespace

CommandFunction findSetupCommand(const std::string &verb)
{
    const auto found
        = std::ranges::find_if(kCommands, [&](const auto &named) { return verb == named.verb; });
    return found == std::end(kCommands) ? nullptr : found->function;
}

} // namespace host
