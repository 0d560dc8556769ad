#include "actions.h"

#include "ledger.h"

namespace host {

namespace {

ofx::PropertySetHandle handleOf(const PropertySet *set)
{
    return set == nullptr ? nullptr : set->handle<ofx::PropertySetHandle>();
}

void takeBackImages(Scope &scope)
{
    const std::lock_guard lock(scope.mutex);
    for (const auto &image : scope.images) {
        violation(image->title() + " was not released by the end of " + scope.action + ".");
        dismiss(*image);
    }
    scope.images.clear();
}

ofx::Status call(PluginRecord &plugin, const char *action, const Effect *effect,
    const PropertySet *in, const PropertySet *out)
{
    const void *handle = effect == nullptr ? nullptr : effect->handle<const void *>();
    try {
        return plugin.api->mainEntry(action, handle, handleOf(in), handleOf(out));
    } catch (...) {
        violation(std::string("An exception left the plug-in in ") + action + ".");
        return ofx::kStatErrFatal;
    }
}

void checkStatus(const char *action, ofx::Status status)
{
    const bool known = (status >= ofx::kStatOK && status <= ofx::kStatUnlicensed)
        || (status >= ofx::kStatErrImageFormat && status <= ofx::kStatGPURenderFailed);
    if (!known) {
        violation(std::string(action) + " answered the unknown status " + std::to_string(status));
    }
    const std::string_view name = action;
    const bool needsAnswer = name == ofx::kImageEffectActionRender
        || name == ofx::kImageEffectActionDescribeInContext || name == ofx::kActionDescribe;
    if (needsAnswer && status == ofx::kStatReplyDefault) {
        violation(name == ofx::kImageEffectActionRender
                ? "Render answered the default status, which it does not have."
                : "A describe action answered the default status, which it does not have.");
    }
}

} // namespace

void addScale(PropertySet &in, double time, double scale)
{
    in.add(ofx::kPropTime, Access::Read, {time});
    in.add(ofx::kImageEffectPropRenderScale, Access::Read, {scale, scale});
}

ofx::Status send(PluginRecord &plugin, const char *action, Scope &scope, const PropertySet *in,
    const PropertySet *out)
{
    scope.action = action;
    scope.parent = currentScope();
    ofx::Status status = ofx::kStatOK;
    {
        const Enter enter(&scope);
        const auto start = Clock::now();
        status = call(plugin, action, scope.effect, in, out);
        if (scope.effect != nullptr) {
            scope.effect->actionTime += (Clock::now() - start).count();
        }
    }
    takeBackImages(scope);
    checkStatus(action, status);
    if (scope.effect != nullptr && scope.effect->params->openEdits != 0) {
        violation(std::string("paramEditBegin was not ended by the end of ") + action + ".");
        scope.effect->params->openEdits = 0;
    }
    return status;
}

ofx::Status sendPlain(Effect &effect, const char *action)
{
    Scope scope;
    scope.effect = &effect;
    scope.time = effect.currentTime();
    return send(effect.plugin, action, scope);
}

bool isFine(ofx::Status status)
{
    return status == ofx::kStatOK || status == ofx::kStatReplyDefault;
}

ofx::Status destroyInstance(Effect &effect)
{
    for (const auto &clip : effect.clips) {
        clip->checkPictures();
    }
    const ofx::Status status = sendPlain(effect, ofx::kActionDestroyInstance);
    forgetImageMemoryOf(effect);
    dismiss(effect);
    return status;
}

std::shared_ptr<Effect> makeInstance(const Effect &descriptor, const Settings &settings,
    ofx::Status &status)
{
    auto effect = makeHandled<Effect>(descriptor, settings);
    if (!settings.clipProperties) {
        effect->hideClipProperties();
    }
    status = sendPlain(*effect, ofx::kActionCreateInstance);
    if (!settings.clipProperties) {
        effect->showClipProperties();
    }
    if (!isFine(status)) {
        dismiss(*effect);
        return nullptr;
    }
    return effect;
}

namespace {

ofx::Status changed(Effect &effect, const std::string &param, double time, double scale,
    const char *reason, std::vector<std::string> &names)
{
    const ArgumentSet around;
    around->add(ofx::kPropChangeReason, Access::Read, {std::string(reason)});
    Scope begin;
    begin.effect = &effect;
    begin.time = time;
    send(effect.plugin, ofx::kActionBeginInstanceChanged, begin, &*around);

    const ArgumentSet in;
    in->add(ofx::kPropType, Access::Read, {std::string(ofx::kTypeParameter)});
    in->add(ofx::kPropName, Access::Read, {param});
    in->add(ofx::kPropChangeReason, Access::Read, {std::string(reason)});
    addScale(*in, time, scale);
    Scope middle;
    middle.effect = &effect;
    middle.time = time;
    const ofx::Status status = send(effect.plugin, ofx::kActionInstanceChanged, middle, &*in);

    Scope end;
    end.effect = &effect;
    end.time = time;
    send(effect.plugin, ofx::kActionEndInstanceChanged, end, &*around);
    for (Scope *scope : {&begin, &middle, &end}) {
        names.insert(names.end(), scope->changed.begin(), scope->changed.end());
    }
    return status;
}

} // namespace

ofx::Status tellUserEdited(Effect &effect, const std::string &param, double time,
    std::vector<std::string> &names, double scale)
{
    return changed(effect, param, time, scale, ofx::kChangeUserEdited, names);
}

void tellPluginEdited(Effect &effect, const std::string &param, double time)
{
    const Scope *scope = currentScope();
    int depth = 0;
    for (const Scope *at = scope; at != nullptr; at = at->parent) {
        ++depth;
    }
    const bool inChange = scope != nullptr
        && std::string_view(scope->action) == ofx::kActionInstanceChanged;
    if (!inChange) {
        return;
    }
    if (depth > 8) {
        violation("Setting " + param + " goes round in circles.");
        return;
    }
    std::vector<std::string> names;
    changed(effect, param, time, 1.0, ofx::kChangePluginEdited, names);
}

} // namespace host
