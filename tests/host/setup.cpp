#include "setup.h"

#include "json.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace host {

namespace {

void readRange(const std::string &text, Settings &settings)
{
    const std::size_t middle = text.find_first_of("-:", 1);
    if (middle == std::string::npos) {
        throw CommandError("frames needs a range such as 0-47.");
    }
    settings.first = parseNumber(text.substr(0, middle), "frames");
    settings.last = parseNumber(text.substr(middle + 1), "frames");
    if (settings.last < settings.first) {
        throw CommandError("frames ends before it begins.");
    }
}

std::string premultiplication(const std::string &text)
{
    if (text == "Opaque") {
        return ofx::kImageOpaque;
    }
    if (text == "Premultiplied") {
        return ofx::kImagePreMultiplied;
    }
    if (text == "UnPremultiplied") {
        return ofx::kImageUnPreMultiplied;
    }
    throw CommandError("premult is Opaque, Premultiplied or UnPremultiplied.");
}

void checkFormat(const Effect &descriptor, Format format)
{
    const auto depths = descriptor.props->texts(ofx::kImageEffectPropSupportedPixelDepths);
    if (std::ranges::find(depths, depthName(format.depth)) == depths.end()) {
        throw CommandError("The plug-in does not support this depth.");
    }
    const auto source = descriptor.clip(ofx::kImageEffectSimpleSourceClipName);
    const auto &clip = source ? source : descriptor.clip(ofx::kImageEffectOutputClipName);
    const auto names = clip->props->texts(ofx::kImageEffectPropSupportedComponents);
    if (std::ranges::find(names, componentsName(format.components)) == names.end()) {
        throw CommandError("The plug-in's source does not support these components.");
    }
}

} // namespace

std::string contextOption(const Command &command)
{
    const std::string name = command.option("context", "Filter");
    return name.starts_with("OfxImageEffect") ? name : "OfxImageEffectContext" + name;
}

Settings createSettings(const Command &command, const Effect &descriptor)
{
    Settings settings;
    settings.width = command.intOption("width", settings.width);
    settings.height = command.intOption("height", settings.height);
    if (settings.width < 1 || settings.height < 1 || settings.width > 32768
        || settings.height > 32768) {
        throw CommandError("width and height are 1 to 32768.");
    }
    const auto depth = depthFromText(command.option("depth", "float"));
    const auto components = componentsFromText(command.option("components", "RGBA"));
    if (!depth || !components) {
        throw CommandError("depth is byte, short, half or float; components RGBA, RGB or Alpha.");
    }
    settings.format = {*depth, *components};
    checkFormat(descriptor, settings.format);
    readRange(command.option("frames", "0-0"), settings);
    settings.rate = command.numberOption("rate", 24);
    settings.premultiplication = premultiplication(command.option("premult", "UnPremultiplied"));
    settings.clipProperties = command.flag("clip_props", true);
    return settings;
}

RenderSettings renderSettings(const Command &command)
{
    RenderSettings settings;
    settings.scale = command.numberOption("scale", 1);
    if (!(settings.scale > 0 && settings.scale <= 1)) {
        throw CommandError("scale is above 0 and at most 1.");
    }
    if (command.has("window")) {
        const auto edges = command.numbersOption("window", 4);
        const auto whole = [&](std::size_t i) { return static_cast<int>(edges[i]); };
        settings.window = ofx::RectI{whole(0), whole(1), whole(2), whole(3)};
    }
    settings.thumbnail = command.flag("thumbnail");
    settings.draft = command.flag("draft");
    settings.interactive = command.flag("interactive");
    settings.sequence = command.flag("sequence");
    settings.likeMlt = command.flag("like_mlt");
    settings.needed = command.flag("needed");
    settings.abortAfter = command.intOption("abort_after_ms", -1);
    return settings;
}

std::string messagesJson(Effect &effect)
{
    return jsonArray(effect.takeMessages(), [](const std::string &text) { return text; });
}

std::string frameText(double time)
{
    std::string text = std::to_string(time);
    text.erase(text.find_last_not_of('0') + 1);
    return text.ends_with('.') ? text.substr(0, text.size() - 1) : text;
}

std::shared_ptr<Param> findParam(const Effect &effect, const std::string &name)
{
    auto param = effect.params->find(name);
    if (!param) {
        throw CommandError("There is no parameter " + name + ".");
    }
    return param;
}

std::shared_ptr<Clip> findClip(const Effect &effect, const std::string &name)
{
    auto clip = effect.clip(name);
    if (!clip) {
        throw CommandError("There is no clip " + name + ".");
    }
    return clip;
}

void setParam(Effect &effect, const std::string &name, const std::string &text)
{
    const auto param = findParam(effect, name);
    Value value;
    std::string problem;
    if (!param->parse(text, value, problem)) {
        throw CommandError(problem);
    }
    param->assign(value);
}

void setParams(Effect &effect, const std::string &list)
{
    if (list.empty()) {
        return;
    }
    for (const std::string &entry : split(list, ',')) {
        const std::size_t colon = entry.find(':');
        if (colon == std::string::npos) {
            throw CommandError("params needs key:value,key:value.");
        }
        setParam(effect, entry.substr(0, colon), entry.substr(colon + 1));
    }
}

void bindSource(Effect &effect, const std::string &name, const Source &source)
{
    const auto clip = findClip(effect, name);
    if (clip->isOutput()) {
        throw CommandError("The output has no source.");
    }
    if (source.raw16 && clip->format.depth != Depth::Short) {
        throw CommandError("raw16 is for clips of the depth short.");
    }
    std::error_code problem;
    const auto size = std::filesystem::file_size(source.path, problem);
    const std::size_t frame = static_cast<std::size_t>(effect.settings.width)
        * (source.raw16 ? 8 : 16) * static_cast<std::size_t>(effect.settings.height);
    if (problem || source.frames < 1 || size < frame * static_cast<std::size_t>(source.frames)) {
        throw CommandError(source.path + " cannot be read, or is shorter than "
            + std::to_string(source.frames) + " frame(s) of this size.");
    }
    clip->setSource(source);
    clip->connect(true);
}

} // namespace host
