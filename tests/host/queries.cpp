// Actions that ask the plug-in something.
#include "actions.h"
#include "ledger.h"

#include <algorithm>

namespace host {

ofx::RectD canonical(const ofx::RectI &pixels, double scale)
{
    return {pixels.x1 / scale, pixels.y1 / scale, pixels.x2 / scale, pixels.y2 / scale};
}

std::vector<Cell> doubleCells(const ofx::RectD &rect)
{
    return {Cell(rect.x1), Cell(rect.y1), Cell(rect.x2), Cell(rect.y2)};
}

Identity askIdentity(Effect &effect, double time, double scale, const ofx::RectI &window)
{
    const ArgumentSet in;
    const ArgumentSet out;
    addScale(*in, time, scale);
    in->add(ofx::kImageEffectPropFieldToRender, Access::Read,
        {Host::instance().traits.field});
    in->add(ofx::kImageEffectPropRenderWindow, Access::Read,
        {window.x1, window.y1, window.x2, window.y2});
    out->add(ofx::kPropName, Access::Write, {std::string()});
    out->add(ofx::kPropTime, Access::Write, {time});
    Scope scope;
    scope.effect = &effect;
    scope.time = time;
    scope.scale = scale;
    const auto status = send(effect.plugin, ofx::kImageEffectActionIsIdentity, scope, &*in, &*out);
    const std::string clip = out->text(ofx::kPropName);
    if (status == ofx::kStatOK && !effect.clip(clip)) {
        violation("IsIdentity named the clip \"" + clip + "\", which there is not.");
    }
    return {status, clip, out->number(ofx::kPropTime)};
}

Region askRegionOfDefinition(Effect &effect, double time, double scale)
{
    const ArgumentSet in;
    const ArgumentSet out;
    addScale(*in, time, scale);
    const auto source = effect.clip(ofx::kImageEffectSimpleSourceClipName);
    const auto output = effect.clip(ofx::kImageEffectOutputClipName);
    const ofx::RectI pixels = (source && source->connected ? source : output)->bounds(1.0);
    out->add(ofx::kImageEffectPropRegionOfDefinition, Access::Write,
        doubleCells(canonical(pixels, 1.0)));
    Scope scope;
    scope.effect = &effect;
    scope.time = time;
    scope.scale = scale;
    const char *action = ofx::kImageEffectActionGetRegionOfDefinition;
    const auto status = send(effect.plugin, action, scope, &*in, &*out);
    const auto at = [&](std::size_t i) {
        return out->number(ofx::kImageEffectPropRegionOfDefinition, i);
    };
    return {status, {at(0), at(1), at(2), at(3)}};
}

ofx::Status askRegionsOfInterest(Effect &effect, double time, double scale, ByClip &regions)
{
    const ArgumentSet in;
    const ArgumentSet out;
    addScale(*in, time, scale);
    const auto output = effect.clip(ofx::kImageEffectOutputClipName);
    const auto region = doubleCells(canonical(output->bounds(1.0), 1.0));
    in->add(ofx::kImageEffectPropRegionOfInterest, Access::Read, region);
    for (const auto &clip : effect.clips) {
        out->add(ofx::kImageClipPropRoIPrefix + clip->name, Access::Write, region);
    }
    Scope scope;
    scope.effect = &effect;
    scope.time = time;
    scope.scale = scale;
    const char *action = ofx::kImageEffectActionGetRegionsOfInterest;
    const auto status = send(effect.plugin, action, scope, &*in, &*out);
    for (const auto &clip : effect.clips) {
        for (std::size_t i = 0; i < 4; ++i) {
            regions[clip->name].push_back(
                out->number(ofx::kImageClipPropRoIPrefix + clip->name, i));
        }
    }
    return status;
}

ofx::Status askFramesNeeded(Effect &effect, double time, ByClip &frames)
{
    const ArgumentSet in;
    const ArgumentSet out;
    in->add(ofx::kPropTime, Access::Read, {time});
    for (const auto &clip : effect.clips) {
        if (!clip->isOutput()) {
            const std::string name = ofx::kImageClipPropFrameRangePrefix + clip->name;
            out->define({name.c_str(), Kind::Double, 0, Access::Write});
            out->put(name, {Cell(time), Cell(time)});
        }
    }
    Scope scope;
    scope.effect = &effect;
    scope.time = time;
    const char *action = ofx::kImageEffectActionGetFramesNeeded;
    const auto status = send(effect.plugin, action, scope, &*in, &*out);
    for (const auto &clip : effect.clips) {
        const auto cells = out->cells(ofx::kImageClipPropFrameRangePrefix + clip->name);
        for (std::size_t i = 0; i < cells.size(); ++i) {
            frames[clip->name].push_back(std::get<double>(cells[i]));
        }
        if (cells.size() % 2 != 0) {
            violation("GetFramesNeeded answered half a range for the clip " + clip->name + ".");
        }
    }
    return status;
}

namespace {

void offerPreferences(const Effect &effect, PropertySet &out)
{
    for (const auto &clip : effect.clips) {
        out.add(ofx::kImageClipPropComponentsPrefix + clip->name, Access::Write,
            {std::string(componentsName(clip->format.components))});
        out.add(ofx::kImageClipPropDepthPrefix + clip->name, Access::Write,
            {std::string(depthName(clip->format.depth))});
        out.add(ofx::kImageClipPropPARPrefix + clip->name, Access::Write, {1.0});
    }
    out.add(ofx::kImageEffectPropFrameRate, Access::Write, {effect.settings.rate});
    out.add(ofx::kImageClipPropFieldOrder, Access::Write, {Host::instance().traits.field});
    out.add(ofx::kImageEffectPropPreMultiplication, Access::Write,
        {effect.settings.premultiplication});
    out.add(ofx::kImageClipPropContinuousSamples, Access::Write, {0});
    out.add(ofx::kImageEffectFrameVarying, Access::Write, {0});
}

// This host says that it has one depth for all clips.
void checkDepths(const Effect &effect, const PropertySet &out)
{
    std::set<std::string> depths;
    for (const auto &clip : effect.clips) {
        if (clip->connected) {
            depths.insert(out.text(ofx::kImageClipPropDepthPrefix + clip->name));
        }
    }
    if (depths.size() > 1) {
        violation("GetClipPreferences asks for different depths, which this host does not have.");
    }
}

void applyPreferences(const Effect &effect, const PropertySet &out)
{
    checkDepths(effect, out);
    for (const auto &clip : effect.clips) {
        const std::string components = out.text(ofx::kImageClipPropComponentsPrefix + clip->name);
        const std::string depth = out.text(ofx::kImageClipPropDepthPrefix + clip->name);
        const auto supported = clip->props->texts(ofx::kImageEffectPropSupportedComponents);
        const bool possible = std::ranges::find(supported, components) != supported.end();
        const auto wantedDepth = depthFromText(depth);
        const auto wantedComponents = componentsFromText(components);
        if (!possible || !wantedDepth || !wantedComponents) {
            violation("GetClipPreferences asks for " + components + ", " + depth + " on "
                + clip->name + ", which the clip does not support.");
            continue;
        }
        const Format wanted{*wantedDepth, *wantedComponents};
        if (wanted != clip->format) {
            clip->setFormat(wanted);
        }
    }
    const auto output = effect.clip(ofx::kImageEffectOutputClipName);
    output->props->put(ofx::kImageEffectPropPreMultiplication,
        Cell(out.text(ofx::kImageEffectPropPreMultiplication)));
}

} // namespace

ofx::Status askPreferences(Effect &effect, std::string &json)
{
    const ArgumentSet out;
    offerPreferences(effect, *out);
    Scope scope;
    scope.effect = &effect;
    scope.time = effect.currentTime();
    const char *action = ofx::kImageEffectActionGetClipPreferences;
    const auto status = send(effect.plugin, action, scope, nullptr, &*out);
    if (isFine(status)) {
        applyPreferences(effect, *out);
    }
    json = out->json();
    return status;
}

} // namespace host
