#include "render.h"

#include "json.h"
#include "ledger.h"

#include <cstring>
#include <fstream>

namespace host {

namespace {

std::mutex describeMutex;

void checkWindow(const ofx::RectI &window, const ofx::RectI &bounds)
{
    const bool inside = window.x1 >= bounds.x1 && window.x2 <= bounds.x2 && window.y1 >= bounds.y1
        && window.y2 <= bounds.y2 && window.x1 < window.x2 && window.y1 < window.y2;
    if (!inside) {
        throw CommandError("The window is empty or not within the output's bounds.");
    }
}

bool fits(const Buffer &buffer, const Clip &clip, const ofx::RectI &bounds)
{
    const ofx::RectI &has = buffer.bounds();
    return buffer.format() == clip.format && buffer.layout() == clip.layout && has.x1 == bounds.x1
        && has.x2 == bounds.x2 && has.y1 == bounds.y1 && has.y2 == bounds.y2;
}

void addStatus(PropertySet &in, const RenderSettings &settings)
{
    const bool sequential = settings.sequence || settings.likeMlt;
    in.add(ofx::kImageEffectPropSequentialRenderStatus, Access::Read, {sequential ? 1 : 0});
    in.add(ofx::kImageEffectPropInteractiveRenderStatus, Access::Read,
        {settings.interactive ? 1 : 0});
    for (const char *name : {ofx::kImageEffectPropOpenGLEnabled, ofx::kImageEffectPropCudaEnabled,
             ofx::kImageEffectPropMetalEnabled, ofx::kImageEffectPropOpenCLEnabled}) {
        in.add(name, Access::Read, {0});
    }
}

void fillRenderArguments(PropertySet &in, const RenderSettings &settings, const ofx::RectI &window)
{
    addScale(in, settings.time, settings.scale);
    addStatus(in, settings);
    in.add(ofx::kImageEffectPropFieldToRender, Access::Read, {Host::instance().traits.field});
    in.add(ofx::kImageEffectPropRenderWindow, Access::Read,
        {window.x1, window.y1, window.x2, window.y2});
    in.add(ofx::kImageEffectPropRenderQualityDraft, Access::Read, {settings.draft ? 1 : 0});
    in.add(ofx::kImageEffectPropThumbnailRender, Access::Read,
        {std::string(settings.thumbnail ? "true" : "false")});
    in.add(ofx::kImageEffectPropNoSpatialAwareness, Access::Read, {std::string("false")});
}

void sendSequence(Effect &effect, const char *action, const RenderSettings &settings)
{
    const ArgumentSet in;
    addStatus(*in, settings);
    in->add(ofx::kImageEffectPropFrameRange, Access::Read, {settings.time, settings.time});
    in->add(ofx::kImageEffectPropFrameStep, Access::Read, {1.0});
    in->add(ofx::kPropIsInteractive, Access::Read, {settings.interactive ? 1 : 0});
    in->add(ofx::kImageEffectPropRenderScale, Access::Read, {settings.scale, settings.scale});
    Scope scope;
    scope.effect = &effect;
    scope.time = settings.time;
    scope.scale = settings.scale;
    send(effect.plugin, action, scope, &*in);
}

// The locks that a plug-in's declared thread safety asks for.
std::unique_lock<std::mutex> lockAsDeclared(Effect &effect)
{
    const std::string &safety = effect.threadSafety;
    if (safety == ofx::kImageEffectRenderFullySafe) {
        return {};
    }
    const bool byInstance = safety == ofx::kImageEffectRenderInstanceSafe;
    return std::unique_lock(byInstance ? effect.renderMutex : effect.plugin.renderMutex);
}

// Reads files before the clock starts.
void prepare(Effect &effect, const RenderSettings &settings, Scope &scope)
{
    if (settings.needed) {
        askFramesNeeded(effect, settings.time, scope.needed);
        scope.checkNeeded = true;
    }
    for (const auto &clip : effect.clips) {
        if (clip->isOutput()) {
            continue;
        }
        clip->picture(settings.time, settings.scale);
        const auto found = scope.needed.find(clip->name);
        for (std::size_t i = 0; found != scope.needed.end() && i + 1 < found->second.size();
             i += 2) {
            for (double t = found->second[i]; t <= found->second[i + 1]; t += 1) {
                clip->picture(t, settings.scale);
            }
        }
    }
}

void judge(const Effect &effect, RenderResult &result, bool inputs)
{
    result.damage = result.output->inspect(result.window);
    if (result.damage.outside > 0) {
        violation("Render changed " + std::to_string(result.damage.outside)
            + " byte(s) outside of its window.");
    }
    const bool certain = result.output->format().pixelBytes() >= 4;
    if (result.status == ofx::kStatOK && result.damage.unwritten > 0 && certain) {
        violation("Render was content with " + std::to_string(result.damage.unwritten)
            + " pixel(s) that it had not written.");
    }
    for (std::size_t i = 0; inputs && i < effect.clips.size(); ++i) {
        effect.clips[i]->checkPictures();
    }
}

void runRender(Effect &effect, const RenderSettings &settings, Scope &scope, RenderResult &result)
{
    const ArgumentSet in;
    fillRenderArguments(*in, settings, result.window);
    const auto lock = lockAsDeclared(effect);
    if (settings.abortAfter >= 0) {
        const auto at = Clock::now() + std::chrono::milliseconds(settings.abortAfter);
        effect.abortAt = at.time_since_epoch().count();
    }
    const long polls = effect.abortPolls;
    const auto start = Clock::now();
    result.status = send(effect.plugin, ofx::kImageEffectActionRender, scope, &*in);
    result.milliseconds = millisecondsSince(start);
    result.abortPolls = effect.abortPolls - polls;
    if (settings.abortAfter >= 0) {
        effect.abortAt = 0;
    }
}

RenderResult renderOn(Effect &effect, const RenderSettings &settings,
    std::shared_ptr<Buffer> output)
{
    const auto clip = effect.clip(ofx::kImageEffectOutputClipName);
    const ofx::RectI bounds = clip->bounds(settings.scale);
    RenderResult result;
    result.window = settings.window.value_or(bounds);
    checkWindow(result.window, bounds);
    if (output && fits(*output, *clip, bounds)) {
        output->poison();
    } else {
        output = std::make_shared<Buffer>(clip->format, clip->layout, bounds);
        output->use();
    }
    result.output = output;
    Scope scope;
    scope.effect = &effect;
    scope.time = settings.time;
    scope.scale = settings.scale;
    scope.output = output;
    prepare(effect, settings, scope);
    if (settings.sequence || settings.likeMlt) {
        sendSequence(effect, ofx::kImageEffectActionBeginSequenceRender, settings);
    }
    output->leave();
    runRender(effect, settings, scope, result);
    output->use();
    if (settings.sequence || settings.likeMlt) {
        sendSequence(effect, ofx::kImageEffectActionEndSequenceRender, settings);
    }
    result.messages = scope.messages;
    for (std::string &text : effect.takeMessages()) {
        result.messages.push_back(std::move(text));
    }
    result.persistent = effect.persistent();
    result.persistentCalls = effect.persistentCalls;
    judge(effect, result, settings.checkInputs);
    return result;
}

// A new instance with the values, clips and layouts of another.
std::shared_ptr<Effect> twinOf(const Effect &model)
{
    PluginRecord &plugin = model.plugin;
    const std::lock_guard lock(describeMutex);
    plugin.api->setHost(Host::instance().api());
    plugin.loaded = false;
    if (!isFine(loadPlugin(plugin)) || !isFine(describe(plugin))
        || !isFine(describeInContext(plugin, model.context))) {
        throw CommandError("The plug-in failed to load or to describe itself again.");
    }
    Settings settings = model.settings;
    settings.clipProperties = false;
    auto twin = makeHandled<Effect>(*plugin.contexts.at(model.context), settings);
    for (const auto &param : twin->params->all) {
        if (param->type.holds != Holds::Nothing) {
            param->copyValues(*model.params->find(param->name));
        }
    }
    for (const auto &clip : twin->clips) {
        const auto like = model.clip(clip->name);
        clip->setFormat(like->format);
        clip->setLayout(like->layout);
        clip->connect(like->connected);
        if (like->source) {
            clip->setSource(*like->source);
        }
    }
    twin->hideClipProperties();
    sendPlain(*twin, ofx::kActionCreateInstance); // its failure is ignored there too
    twin->showClipProperties();
    return twin;
}

RenderResult renderLikeMlt(const Effect &model, const RenderSettings &settings,
    std::shared_ptr<Buffer> output)
{
    const auto start = Clock::now();
    const auto twin = twinOf(model);
    std::string json;
    ByClip regions;
    askPreferences(*twin, json);
    askRegionOfDefinition(*twin, settings.time, settings.scale);
    askRegionsOfInterest(*twin, settings.time, settings.scale, regions);
    RenderResult result = renderOn(*twin, settings, std::move(output));
    destroyInstance(*twin);
    result.lifeMilliseconds = millisecondsSince(start);
    return result;
}

} // namespace

double millisecondsSince(Clock::time_point start)
{
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

RenderResult renderFrame(Effect &effect, const RenderSettings &settings,
    std::shared_ptr<Buffer> output)
{
    return settings.likeMlt ? renderLikeMlt(effect, settings, std::move(output))
                            : renderOn(effect, settings, std::move(output));
}

bool equalsSource(Effect &effect, const RenderResult &result, const RenderSettings &settings)
{
    const auto clip = effect.clip(ofx::kImageEffectSimpleSourceClipName);
    const auto source = clip ? clip->picture(settings.time, settings.scale) : nullptr;
    const Buffer &output = *result.output;
    const ofx::RectI &window = result.window;
    if (!source || source->format() != output.format()
        || source->bounds().x1 > window.x1 || source->bounds().x2 < window.x2
        || source->bounds().y1 > window.y1 || source->bounds().y2 < window.y2) {
        return false;
    }
    source->use();
    bool equal = true;
    const int pixel = output.format().pixelBytes();
    const auto bytes = static_cast<std::size_t>((window.x2 - window.x1) * pixel);
    for (int y = window.y1; y < window.y2 && equal; ++y) {
        const auto *ours = output.row(y) + (window.x1 - output.bounds().x1) * pixel;
        const auto *theirs = source->row(y) + (window.x1 - source->bounds().x1) * pixel;
        equal = std::memcmp(ours, theirs, bytes) == 0;
    }
    source->leave();
    return equal;
}

void writeWindow(const RenderResult &result, const std::string &path, bool as16)
{
    std::ofstream file(path, std::ios::binary);
    const auto write = [&](const auto &pixels) {
        file.write(reinterpret_cast<const char *>(pixels.data()),
            static_cast<std::streamsize>(pixels.size() * sizeof(pixels[0])));
    };
    if (as16) {
        if (result.output->format().depth != Depth::Short) {
            throw CommandError("out16 is for images of the depth short.");
        }
        write(windowPixels16(*result.output, result.window));
    } else {
        write(windowPixels(*result.output, result.window));
    }
    file.flush();
    if (!file) {
        throw CommandError("Cannot write " + path + ".");
    }
}

std::string RenderResult::json() const
{
    JsonObject object;
    object.put("status", status).put("ms", milliseconds);
    if (lifeMilliseconds > 0) {
        object.put("life_ms", lifeMilliseconds);
    }
    object.raw("messages", jsonArray(messages, [](const std::string &text) { return text; }));
    object.raw("persistent", persistent.value_or("null"));
    object.put("persistent_calls", persistentCalls);
    object.put("abort_polls", abortPolls);
    object.put("unwritten", damage.unwritten).put("outside", damage.outside);
    object.raw("window", jsonArray(std::vector<int>{window.x1, window.y1, window.x2, window.y2}));
    return object.text();
}

} // namespace host
