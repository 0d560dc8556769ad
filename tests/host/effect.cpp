#include "effect.h"

#include "host.h"
#include "json.h"
#include "ledger.h"
#include "property_tables.h"

#include <algorithm>
#include <utility>

namespace host {

namespace {

thread_local Scope *scopeOfThread = nullptr;

std::shared_ptr<PropertySet> descriptorSet(const PluginRecord &plugin)
{
    auto props = makeHandled<PropertySet>("the descriptor");
    props->define(descriptorProperties());
    props->put(ofx::kPropType, Cell(std::string(ofx::kTypeImageEffect)));
    props->put(ofx::kPropLabel, Cell(plugin.id()));
    props->put(ofx::kPluginPropFilePath, Cell(plugin.binary->path));
    props->put(ofx::kImageEffectPluginRenderThreadSafety,
        Cell(std::string(ofx::kImageEffectRenderInstanceSafe)));
    for (const char *name : {ofx::kImageEffectPropSupportsMultiResolution,
             ofx::kImageEffectPropSupportsTiles, ofx::kImageEffectPluginPropHostFrameThreading,
             ofx::kImageEffectPluginPropFieldRenderTwiceAlways}) {
        props->put(name, Cell(1));
    }
    for (const char *name : {ofx::kImageEffectPropOpenGLRenderSupported,
             ofx::kImageEffectPropCudaRenderSupported, ofx::kImageEffectPropCudaStreamSupported,
             ofx::kImageEffectPropMetalRenderSupported, ofx::kImageEffectPropOpenCLRenderSupported,
             ofx::kImageEffectPropOpenCLSupported, ofx::kImageEffectPropNoSpatialAwareness}) {
        props->put(name, Cell(std::string("false")));
    }
    props->put(ofx::kImageEffectPropCPURenderSupported, Cell(std::string("true")));
    return props;
}

std::shared_ptr<PropertySet> instanceSet(const Effect &descriptor, const Settings &project)
{
    auto props = makeHandled<PropertySet>("an instance");
    props->define(instanceProperties());
    props->copyFrom(*descriptor.props);
    const std::vector<Cell> size = {Cell(double(project.width)), Cell(double(project.height))};
    props->put(ofx::kPropType, Cell(std::string(ofx::kTypeImageEffectInstance)));
    props->put(ofx::kImageEffectPropContext, Cell(descriptor.context));
    props->put(ofx::kImageEffectPropProjectSize, size);
    props->put(ofx::kImageEffectPropProjectExtent, size);
    props->put(ofx::kImageEffectPropProjectPixelAspectRatio, Cell(1.0));
    props->put(ofx::kImageEffectInstancePropEffectDuration, Cell(project.last - project.first + 1));
    props->put(ofx::kImageEffectPropFrameRate, Cell(project.rate));
    return props;
}

void fillClip(Clip &clip, const Settings &project)
{
    const std::vector<Cell> range = {Cell(project.first), Cell(project.last)};
    PropertySet &props = *clip.props;
    props.put(ofx::kImageEffectPropPreMultiplication, Cell(project.premultiplication));
    props.put(ofx::kImagePropPixelAspectRatio, Cell(1.0));
    props.put(ofx::kImageEffectPropFrameRate, Cell(project.rate));
    props.put(ofx::kImageEffectPropFrameRange, range);
    props.put(ofx::kImageClipPropFieldOrder, Cell(Host::instance().traits.field));
    props.put(ofx::kImageEffectPropUnmappedFrameRange, range);
    props.put(ofx::kImageEffectPropUnmappedFrameRate, Cell(project.rate));
}

constexpr const char *kLateClipProperties[] = {ofx::kImageEffectPropPixelDepth,
    ofx::kImageEffectPropComponents, ofx::kImageClipPropUnmappedPixelDepth,
    ofx::kImageClipPropUnmappedComponents, ofx::kImageEffectPropPreMultiplication,
    ofx::kImageEffectPropFrameRange, ofx::kImageEffectPropUnmappedFrameRange};

} // namespace

Effect::Effect(PluginRecord &record, std::string inContext)
    : plugin(record), context(std::move(inContext)), isInstance(false),
      props(descriptorSet(record)), params(makeHandled<ParamSet>(*this))
{
    if (!context.empty() && record.base) {
        props->copyFrom(*record.base->props);
    }
}

Effect::Effect(const Effect &descriptor, const Settings &project)
    : plugin(descriptor.plugin), context(descriptor.context), isInstance(true), settings(project),
      threadSafety(descriptor.props->text(ofx::kImageEffectPluginRenderThreadSafety)),
      props(instanceSet(descriptor, project)), params(makeHandled<ParamSet>(*this)),
      timelineTime(project.first)
{
    for (const auto &param : descriptor.params->all) {
        params->add(makeHandled<Param>(*params, *param));
    }
    for (const auto &entry : descriptor.clips) {
        clips.push_back(makeHandled<Clip>(*this, *entry));
        fillClip(*clips.back(), settings);
    }
}

Effect::~Effect()
{
    for (const auto &entry : clips) {
        dismiss(*entry);
    }
    dismiss(*params);
    dismiss(*props);
}

std::shared_ptr<Clip> Effect::clip(std::string_view name) const
{
    const auto found = std::ranges::find_if(clips, [&](const auto &c) { return c->name == name; });
    return found == clips.end() ? nullptr : *found;
}

double Effect::currentTime() const
{
    const Scope *scope = currentScope();
    return scope != nullptr && scope->effect == this ? scope->time : timelineTime.load();
}

void Effect::hideClipProperties()
{
    for (const auto &entry : clips) {
        for (const char *name : kLateClipProperties) {
            entry->props->erase(name);
        }
    }
}

void Effect::showClipProperties()
{
    for (const auto &entry : clips) {
        for (const Definition &definition : clipInstanceProperties()) {
            if (!entry->props->has(definition.name)) {
                entry->props->define(definition);
            }
        }
        entry->setFormat(entry->format);
        fillClip(*entry, settings);
    }
}

void Effect::say(std::string messageJson)
{
    Scope *scope = currentScope();
    if (scope != nullptr && scope->isRender()) {
        const std::lock_guard lock(scope->mutex);
        scope->messages.push_back(std::move(messageJson));
        return;
    }
    const std::lock_guard lock(mutex_);
    messages_.push_back(std::move(messageJson));
}

std::vector<std::string> Effect::takeMessages()
{
    const std::lock_guard lock(mutex_);
    return std::exchange(messages_, {});
}

void Effect::setPersistent(std::optional<std::string> json)
{
    ++persistentCalls;
    const std::lock_guard lock(mutex_);
    persistent_ = std::move(json);
}

std::optional<std::string> Effect::persistent() const
{
    const std::lock_guard lock(mutex_);
    return persistent_;
}

bool Scope::isRender() const
{
    return std::string_view(action) == ofx::kImageEffectActionRender;
}

bool Scope::maySetParams() const
{
    const std::string_view name = action;
    return name == ofx::kActionInstanceChanged || name == ofx::kActionBeginInstanceChanged
        || name == ofx::kActionEndInstanceChanged || name == ofx::kActionSyncPrivateData;
}

Scope &Scope::outermost()
{
    Scope *scope = this;
    while (scope->parent != nullptr) {
        scope = scope->parent;
    }
    return *scope;
}

Scope *currentScope() { return scopeOfThread; }

Enter::Enter(Scope *scope) : before_(scopeOfThread) { scopeOfThread = scope; }

Enter::~Enter() { scopeOfThread = before_; }

} // namespace host
