#include "host.h"

#include "actions.h"
#include "ledger.h"
#include "property_tables.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

namespace host {

namespace {

namespace fs = std::filesystem;

const void *fetchSuite(ofx::PropertySetHandle handle, const char *name, int version)
{
    noteCall("fetchSuite");
    if (handle != Host::instance().api()->host) {
        violation("fetchSuite was called with a handle that is not the host's.");
    }
    return findSuite(name, version, Host::instance().traits);
}

std::string binaryIn(const std::string &path)
{
    if (!fs::is_directory(path)) {
        return path;
    }
    const fs::path folder = fs::path(path) / "Contents" / bundleArchitecture();
    if (fs::is_directory(folder)) {
        for (const auto &entry : fs::directory_iterator(folder)) {
            if (entry.path().extension() == ".ofx") {
                return entry.path().string();
            }
        }
    }
    throw CommandError("There is no .ofx file in " + folder.string() + ".");
}

template <typename Function> Function *find(const Library &library, const char *name)
{
    return reinterpret_cast<Function *>(library.symbol(name));
}

void checkPlugin(const ofx::Plugin &plugin)
{
    if (plugin.pluginApi == nullptr || plugin.pluginIdentifier == nullptr
        || plugin.setHost == nullptr || plugin.mainEntry == nullptr) {
        throw CommandError("A plug-in lacks its api, identifier, setHost or mainEntry.");
    }
    if (std::string_view(plugin.pluginApi) != ofx::kImageEffectPluginApi
        || plugin.apiVersion != ofx::kImageEffectPluginApiVersion) {
        throw CommandError(std::string(plugin.pluginIdentifier)
            + " is not of the image effect API, version 1.");
    }
}

std::vector<Cell> apiCells(const std::string &text)
{
    std::vector<Cell> cells;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t end = std::min(text.find('.', at), text.size());
        cells.emplace_back(std::atoi(text.substr(at, end - at).c_str()));
        at = end + 1;
    }
    return cells;
}

std::vector<Cell> names(std::initializer_list<const char *> list)
{
    return {list.begin(), list.end()};
}

} // namespace

Host &Host::instance()
{
    static Host host;
    return host;
}

Host::Host() : properties_(makeHandled<PropertySet>("the host"))
{
    properties_->define(hostProperties());
    api_.host = properties_->handle<ofx::PropertySetHandle>();
    api_.fetchSuite = fetchSuite;
    applyTraits();
}

void Host::applyTraits()
{
    PropertySet &props = *properties_;
    const auto api = apiCells(traits.api);
    setApiOfHost(std::get<int>(api.at(0)), api.size() > 1 ? std::get<int>(api[1]) : 0);
    props.put(ofx::kPropAPIVersion, api);
    props.put(ofx::kPropType, Cell(std::string(ofx::kTypeImageEffectHost)));
    props.put(ofx::kPropName, Cell(traits.name));
    props.put(ofx::kPropLabel, Cell(traits.name));
    props.put(ofx::kPropVersion, {Cell(1), Cell(0), Cell(0)});
    props.put(ofx::kPropVersionLabel, Cell(std::string("1.0")));
    props.put(ofx::kImageEffectPropTemporalClipAccess, Cell(traits.temporal ? 1 : 0));
    props.put(ofx::kParamHostPropMaxParameters, Cell(-1));
    props.put(ofx::kImageEffectPropSupportedComponents,
        names({ofx::kImageComponentRGBA, ofx::kImageComponentRGB, ofx::kImageComponentAlpha}));
    props.put(ofx::kImageEffectPropSupportedContexts,
        names({ofx::kImageEffectContextFilter, ofx::kImageEffectContextGeneral}));
    props.put(ofx::kImageEffectPropSupportedPixelDepths,
        names({ofx::kBitDepthByte, ofx::kBitDepthShort, ofx::kBitDepthHalf, ofx::kBitDepthFloat}));
    props.put(ofx::kImageEffectHostPropNativeOrigin,
        Cell(std::string(ofx::kHostNativeOriginBottomLeft)));
    for (const char *name : {ofx::kImageEffectPropOpenGLRenderSupported,
             ofx::kImageEffectPropCudaRenderSupported, ofx::kImageEffectPropCudaStreamSupported,
             ofx::kImageEffectPropMetalRenderSupported,
             ofx::kImageEffectPropOpenCLRenderSupported}) {
        props.put(name, Cell(std::string("false")));
    }
    props.put(ofx::kImageEffectPropCPURenderSupported, Cell(std::string("true")));
}

Binary &Host::load(const std::string &path)
{
    auto binary = std::make_unique<Binary>();
    binary->path = fs::absolute(binaryIn(path)).string();
    std::string problem;
    setAllUnloaded(false);
    if (!binary->library.open(binary->path, problem)) {
        throw CommandError("Cannot load " + binary->path + ": " + problem);
    }
    const Library &library = binary->library;
    auto *setHost = find<ofx::SetHostFunction>(library, "OfxSetHost");
    auto *count = find<ofx::GetNumberOfPluginsFunction>(library, "OfxGetNumberOfPlugins");
    auto *get = find<ofx::GetPluginFunction>(library, "OfxGetPlugin");
    if (count == nullptr || get == nullptr) {
        throw CommandError(binary->path + " exports no OfxGetNumberOfPlugins or OfxGetPlugin.");
    }
    if (setHost != nullptr && !isFine(setHost(&api_))) {
        throw CommandError("OfxSetHost refused this host.");
    }
    const int total = count();
    for (int i = 0; i < total; ++i) {
        ofx::Plugin *plugin = get(i);
        if (plugin == nullptr) {
            throw CommandError("OfxGetPlugin gave nothing for plug-in " + std::to_string(i) + ".");
        }
        checkPlugin(*plugin);
        auto record = std::make_unique<PluginRecord>();
        record->binary = binary.get();
        record->api = plugin;
        plugin->setHost(&api_);
        binary->plugins.push_back(std::move(record));
    }
    if (get(total) != nullptr || get(-1) != nullptr) {
        violation("OfxGetPlugin gives a plug-in for a number out of range.");
    }
    binaries.push_back(std::move(binary));
    return *binaries.back();
}

void Host::unloadAll()
{
    for (const auto &[name, effect] : instances) {
        destroyInstance(*effect);
    }
    instances.clear();
    for (const auto &binary : binaries) {
        for (const auto &plugin : binary->plugins) {
            unloadPlugin(*plugin);
        }
    }
    setAllUnloaded(true);
    binaries.clear();
}

PluginRecord &Host::plugin(const std::string &id)
{
    for (const auto &binary : binaries) {
        for (const auto &plugin : binary->plugins) {
            if (plugin->id() == id) {
                return *plugin;
            }
        }
    }
    throw CommandError("No plug-in " + id + " is loaded.");
}

std::shared_ptr<Effect> Host::effect(const std::string &name) const
{
    const auto found = instances.find(name);
    if (found == instances.end()) {
        throw CommandError("There is no instance " + name + ".");
    }
    return found->second;
}

const Effect &Host::descriptor(PluginRecord &plugin, const std::string &context)
{
    const auto found = plugin.contexts.find(context);
    if (found != plugin.contexts.end()) {
        return *found->second;
    }
    ofx::Status status = loadPlugin(plugin);
    if (isFine(status) && !plugin.base) {
        status = describe(plugin);
    }
    if (isFine(status)) {
        status = describeInContext(plugin, context);
    }
    if (!isFine(status)) {
        throw CommandError(plugin.id() + " could not be described in " + context + ": status "
            + std::to_string(status) + ".");
    }
    return *plugin.contexts.at(context);
}

} // namespace host
