// Load, Describe, DescribeInContext and Unload, with the checks of what was described.
#include "actions.h"
#include "ledger.h"

#include <algorithm>

namespace host {

namespace {

bool contains(const std::vector<std::string> &list, std::string_view text)
{
    return std::ranges::find(list, text) != list.end();
}

void checkBase(const Effect &base)
{
    const std::string id = base.plugin.id();
    const auto contexts = base.props->texts(ofx::kImageEffectPropSupportedContexts);
    const auto depths = base.props->texts(ofx::kImageEffectPropSupportedPixelDepths);
    if (contexts.empty() || depths.empty()) {
        violation(id + " describes no contexts or no pixel depths.");
    }
    for (const std::string &depth : depths) {
        if (!depthFromText(depth)) {
            violation(id + " describes the unknown pixel depth " + depth + ".");
        }
    }
    if (base.props->text(ofx::kPropLabel).empty()) {
        violation(id + " has no label.");
    }
}

void checkClips(const Effect &effect)
{
    const auto output = effect.clip(ofx::kImageEffectOutputClipName);
    if (!output) {
        violation(effect.plugin.id() + " defines no clip Output.");
    }
    if (effect.context == ofx::kImageEffectContextFilter
        && !effect.clip(ofx::kImageEffectSimpleSourceClipName)) {
        violation(effect.plugin.id() + " defines no clip Source in the filter context.");
    }
    for (const auto &clip : effect.clips) {
        const auto components = clip->props->texts(ofx::kImageEffectPropSupportedComponents);
        if (components.empty()) {
            violation("The clip " + clip->name + " supports no components.");
        }
        for (const std::string &name : components) {
            if (!componentsFromText(name)) {
                violation("The clip " + clip->name + " supports the unknown components " + name);
            }
        }
    }
}

double number(const Cell &cell)
{
    const auto *whole = std::get_if<int>(&cell);
    return whole != nullptr ? *whole : std::get<double>(cell);
}

void checkRange(const Param &param, const char *low, const char *high)
{
    const auto values = param.props->cells(ofx::kParamPropDefault);
    const auto lows = param.props->cells(low);
    const auto highs = param.props->cells(high);
    for (std::size_t i = 0; i < std::min({values.size(), lows.size(), highs.size()}); ++i) {
        const double value = number(values[i]);
        if (!(value >= number(lows[i]) && value <= number(highs[i]))) {
            violation("The default of " + param.name + " is not between " + low + " and " + high);
        }
    }
}

void checkParam(const Param &param)
{
    if (param.type.holds == Holds::Ints || param.type.holds == Holds::Doubles) {
        checkRange(param, ofx::kParamPropMin, ofx::kParamPropMax);
    }
    if (std::string_view(param.type.name) == ofx::kParamTypeChoice) {
        const auto options = param.props->texts(ofx::kParamPropChoiceOption);
        const int value = param.props->integer(ofx::kParamPropDefault);
        if (value < 0 || value >= static_cast<int>(options.size())) {
            violation("The default of " + param.name + " is none of its options.");
        }
    }
    const std::string parent = param.props->text(ofx::kParamPropParent);
    const auto group = param.owner.find(parent);
    const bool isGroup = group && std::string_view(group->type.name) == ofx::kParamTypeGroup;
    if (!parent.empty() && !isGroup) {
        violation("The parent of " + param.name + ", " + parent + ", is no group.");
    }
    for (const std::string &child : param.props->texts(ofx::kParamPropPageChild)) {
        const bool skip = child == ofx::kParamPageSkipRow || child == ofx::kParamPageSkipColumn;
        if (!skip && !param.owner.find(child)) {
            violation("The page " + param.name + " names " + child + ", which there is not.");
        }
    }
}

void checkContext(const Effect &effect)
{
    const auto contexts = effect.props->texts(ofx::kImageEffectPropSupportedContexts);
    if (!contains(contexts, effect.context)) {
        violation(effect.plugin.id() + " was described in a context that it does not support.");
    }
    checkClips(effect);
    for (const auto &param : effect.params->all) {
        checkParam(*param);
    }
}

void drop(std::shared_ptr<Effect> &effect)
{
    if (effect) {
        dismiss(*effect);
        effect.reset();
    }
}

} // namespace

ofx::Status loadPlugin(PluginRecord &plugin)
{
    if (plugin.loaded) {
        return ofx::kStatOK;
    }
    Scope scope;
    const ofx::Status status = send(plugin, ofx::kActionLoad, scope);
    plugin.loaded = isFine(status);
    return status;
}

ofx::Status describe(PluginRecord &plugin)
{
    drop(plugin.base);
    auto base = makeHandled<Effect>(plugin, std::string());
    const ofx::Status status = sendPlain(*base, ofx::kActionDescribe);
    if (!isFine(status)) {
        dismiss(*base);
        return status;
    }
    checkBase(*base);
    plugin.base = std::move(base);
    return status;
}

ofx::Status describeInContext(PluginRecord &plugin, const std::string &context)
{
    auto effect = makeHandled<Effect>(plugin, context);
    Scope scope;
    scope.effect = effect.get();
    const ArgumentSet in;
    in->add(ofx::kImageEffectPropContext, Access::Read, {context});
    const auto status = send(plugin, ofx::kImageEffectActionDescribeInContext, scope, &*in);
    if (!isFine(status)) {
        dismiss(*effect);
        return status;
    }
    checkContext(*effect);
    drop(plugin.contexts[context]);
    plugin.contexts[context] = std::move(effect);
    return status;
}

void unloadPlugin(PluginRecord &plugin)
{
    for (auto &[name, effect] : plugin.contexts) {
        drop(effect);
    }
    plugin.contexts.clear();
    drop(plugin.base);
    if (plugin.loaded) {
        Scope scope;
        send(plugin, ofx::kActionUnload, scope);
        plugin.loaded = false;
    }
}

} // namespace host
