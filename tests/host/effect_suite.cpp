// The image effect suite.
#include "effect.h"
#include "host.h"
#include "ledger.h"
#include "property_tables.h"

#include <algorithm>
#include <cstdlib>

namespace host {

namespace {

// A block of imageMemoryAlloc.
class ImageMemory : public Handled {
  public:
    ImageMemory(const Effect *of, std::size_t size)
        : effect(of), data(std::make_unique_for_overwrite<unsigned char[]>(size))
    {
    }

    const Effect *const effect;
    const std::unique_ptr<unsigned char[]> data;
    std::atomic<int> locks = 0;
};

std::mutex memoryMutex;
std::vector<std::shared_ptr<ImageMemory>> memoryBlocks;

ofx::Status getPropertySet(ofx::ImageEffectHandle handle, ofx::PropertySetHandle *out)
{
    const auto effect = resolve<Effect>(handle, "getPropertySet");
    if (!effect || out == nullptr) {
        return ofx::kStatErrBadHandle;
    }
    *out = effect->props->handle<ofx::PropertySetHandle>();
    return ofx::kStatOK;
}

ofx::Status getParamSet(ofx::ImageEffectHandle handle, ofx::ParamSetHandle *out)
{
    const auto effect = resolve<Effect>(handle, "getParamSet");
    if (!effect || out == nullptr) {
        return ofx::kStatErrBadHandle;
    }
    *out = effect->params->handle<ofx::ParamSetHandle>();
    return ofx::kStatOK;
}

ofx::Status clipDefine(ofx::ImageEffectHandle handle, const char *name,
    ofx::PropertySetHandle *properties)
{
    const auto effect = resolve<Effect>(handle, "clipDefine");
    if (!effect) {
        return ofx::kStatErrBadHandle;
    }
    const Scope *scope = currentScope();
    if (scope == nullptr
        || std::string_view(scope->action) != ofx::kImageEffectActionDescribeInContext) {
        violation("clipDefine was called outside of DescribeInContext.");
        return ofx::kStatFailed;
    }
    if (name == nullptr || *name == '\0' || effect->clip(name)) {
        violation("clipDefine was given no name, or a name that is taken.");
        return ofx::kStatErrExists;
    }
    effect->clips.push_back(makeHandled<Clip>(*effect, std::string(name)));
    if (properties != nullptr) {
        *properties = effect->clips.back()->props->handle<ofx::PropertySetHandle>();
    }
    return ofx::kStatOK;
}

ofx::Status clipGetHandle(ofx::ImageEffectHandle handle, const char *name,
    ofx::ImageClipHandle *out, ofx::PropertySetHandle *properties)
{
    const auto effect = resolve<Effect>(handle, "clipGetHandle");
    if (!effect) {
        return ofx::kStatErrBadHandle;
    }
    if (!effect->isInstance) {
        violation("clipGetHandle was called with a descriptor.");
        return ofx::kStatErrBadHandle;
    }
    const auto clip = name == nullptr ? nullptr : effect->clip(name);
    if (!clip || out == nullptr) {
        violation(std::string("clipGetHandle was asked for a clip that was not defined: ")
            + (name == nullptr ? "null" : name));
        return ofx::kStatErrUnknown;
    }
    *out = clip->handle<ofx::ImageClipHandle>();
    if (properties != nullptr) {
        *properties = clip->props->handle<ofx::PropertySetHandle>();
    }
    return ofx::kStatOK;
}

ofx::Status clipGetPropertySet(ofx::ImageClipHandle handle, ofx::PropertySetHandle *out)
{
    const auto clip = resolve<Clip>(handle, "clipGetPropertySet");
    if (!clip || out == nullptr) {
        return ofx::kStatErrBadHandle;
    }
    *out = clip->props->handle<ofx::PropertySetHandle>();
    return ofx::kStatOK;
}

std::vector<Cell> rectCells(const ofx::RectI &rect)
{
    return {Cell(rect.x1), Cell(rect.y1), Cell(rect.x2), Cell(rect.y2)};
}

std::shared_ptr<Image> makeImage(const Clip &clip, std::shared_ptr<Buffer> buffer, Scope &scope)
{
    auto image = makeHandled<Image>("an image of " + clip.name, std::move(buffer), &scope);
    const Buffer &pixels = *image->buffer;
    image->define(imageProperties());
    image->put(ofx::kPropType, Cell(std::string(ofx::kTypeImage)));
    image->put(ofx::kImagePropData, Cell(static_cast<void *>(pixels.row(pixels.bounds().y1))));
    image->put(ofx::kImagePropBounds, rectCells(pixels.bounds()));
    image->put(ofx::kImagePropRegionOfDefinition, rectCells(clip.bounds(scope.scale)));
    image->put(ofx::kImagePropRowBytes, Cell(pixels.rowBytes()));
    image->put(ofx::kImageEffectPropRenderScale, {Cell(scope.scale), Cell(scope.scale)});
    image->put(ofx::kImageEffectPropPixelDepth,
        Cell(std::string(depthName(pixels.format().depth))));
    image->put(ofx::kImageEffectPropComponents,
        Cell(std::string(componentsName(pixels.format().components))));
    image->put(ofx::kImageEffectPropPreMultiplication,
        Cell(clip.props->text(ofx::kImageEffectPropPreMultiplication)));
    image->put(ofx::kImagePropPixelAspectRatio, Cell(1.0));
    image->put(ofx::kImagePropField, Cell(Host::instance().traits.field));
    image->put(ofx::kImagePropUniqueIdentifier, Cell(std::string("image of ") + clip.name));
    const std::lock_guard lock(scope.mutex);
    scope.images.push_back(image);
    return image;
}

void checkNeeded(const Scope &scope, const Clip &clip, double time)
{
    if (!scope.checkNeeded || clip.isOutput()) {
        return;
    }
    const auto found = scope.needed.find(clip.name);
    bool announced = found == scope.needed.end() && time == scope.time;
    for (std::size_t i = 0; found != scope.needed.end() && i + 1 < found->second.size(); i += 2) {
        announced |= time >= found->second[i] && time <= found->second[i + 1];
    }
    if (!announced) {
        violation("The picture of " + clip.name + " at " + std::to_string(time)
            + " was fetched without being announced by GetFramesNeeded.");
    }
}

bool mayFetch(const Scope *scope, const Clip &clip)
{
    const std::string_view action = scope == nullptr ? "" : scope->action;
    if (action == ofx::kImageEffectActionRender) {
        return true;
    }
    if (action == ofx::kActionInstanceChanged && !clip.isOutput()) {
        return true;
    }
    violation("clipGetImage(" + clip.name + ") was called "
        + (scope == nullptr ? "on a thread outside of any action."
                            : std::string("in ") + scope->action + "."));
    return false;
}

ofx::Status clipGetImage(ofx::ImageClipHandle handle, ofx::Time time, const ofx::RectD *,
    ofx::PropertySetHandle *out)
{
    noteCall("clipGetImage");
    const auto clip = resolve<Clip>(handle, "clipGetImage");
    if (!clip || out == nullptr) {
        return ofx::kStatErrBadHandle;
    }
    *out = nullptr;
    Scope *scope = currentScope();
    if (!mayFetch(scope, *clip)) {
        return ofx::kStatFailed;
    }
    if (scope->effect != &clip->effect) {
        violation("clipGetImage was given a clip of another instance.");
        return ofx::kStatErrBadHandle;
    }
    checkNeeded(*scope, *clip, time);
    const bool ignoresTime = Host::instance().traits.times == "ignore";
    const auto buffer = clip->isOutput()
        ? scope->output
        : clip->picture(ignoresTime ? scope->time : time, scope->scale);
    if (!buffer) {
        return ofx::kStatFailed;
    }
    *out = makeImage(*clip, buffer, *scope)->handle<ofx::PropertySetHandle>();
    return ofx::kStatOK;
}

ofx::Status clipReleaseImage(ofx::PropertySetHandle handle)
{
    noteCall("clipReleaseImage");
    const auto image = resolve<Image>(handle, "clipReleaseImage");
    if (!image) {
        return ofx::kStatErrBadHandle;
    }
    dismiss(*image);
    const std::lock_guard lock(image->scope->mutex);
    image->scope->images.remove(image);
    return ofx::kStatOK;
}

ofx::Status clipGetRegionOfDefinition(ofx::ImageClipHandle handle, ofx::Time, ofx::RectD *bounds)
{
    const auto clip = resolve<Clip>(handle, "clipGetRegionOfDefinition");
    if (!clip || bounds == nullptr) {
        return ofx::kStatErrBadHandle;
    }
    if (!clip->connected) {
        return ofx::kStatFailed;
    }
    const ofx::RectI rect = clip->bounds(1.0);
    *bounds = {double(rect.x1), double(rect.y1), double(rect.x2), double(rect.y2)};
    return ofx::kStatOK;
}

int abortRequested(ofx::ImageEffectHandle handle)
{
    noteCall("abort");
    const auto effect = resolve<Effect>(handle, "abort");
    if (!effect) {
        return 0;
    }
    ++effect->abortPolls;
    const Clock::rep at = effect->abortAt;
    return at != 0 && Clock::now().time_since_epoch().count() >= at ? 1 : 0;
}

ofx::Status imageMemoryAlloc(ofx::ImageEffectHandle handle, size_t size,
    ofx::ImageMemoryHandle *out)
{
    if (out == nullptr) {
        return ofx::kStatErrValue;
    }
    std::shared_ptr<Effect> effect;
    if (handle != nullptr) {
        effect = resolve<Effect>(handle, "imageMemoryAlloc");
        if (!effect) {
            return ofx::kStatErrBadHandle;
        }
    }
    auto block = makeHandled<ImageMemory>(effect.get(), size);
    *out = block->handle<ofx::ImageMemoryHandle>();
    const std::lock_guard lock(memoryMutex);
    memoryBlocks.push_back(std::move(block));
    return ofx::kStatOK;
}

ofx::Status imageMemoryFree(ofx::ImageMemoryHandle handle)
{
    const auto block = resolve<ImageMemory>(handle, "imageMemoryFree");
    if (!block) {
        return ofx::kStatErrBadHandle;
    }
    if (block->locks != 0) {
        violation("imageMemoryFree was called with a block that is still locked.");
    }
    dismiss(*block);
    const std::lock_guard lock(memoryMutex);
    std::erase(memoryBlocks, block);
    return ofx::kStatOK;
}

ofx::Status imageMemoryLock(ofx::ImageMemoryHandle handle, void **data)
{
    const auto block = resolve<ImageMemory>(handle, "imageMemoryLock");
    if (!block || data == nullptr) {
        return ofx::kStatErrBadHandle;
    }
    ++block->locks;
    *data = block->data.get();
    return ofx::kStatOK;
}

ofx::Status imageMemoryUnlock(ofx::ImageMemoryHandle handle)
{
    const auto block = resolve<ImageMemory>(handle, "imageMemoryUnlock");
    if (!block) {
        return ofx::kStatErrBadHandle;
    }
    if (block->locks-- <= 0) {
        violation("imageMemoryUnlock was called more often than imageMemoryLock.");
    }
    return ofx::kStatOK;
}

} // namespace

void forgetImageMemoryOf(const Effect &effect)
{
    const std::lock_guard lock(memoryMutex);
    std::erase_if(memoryBlocks, [&](const std::shared_ptr<ImageMemory> &block) {
        if (block->effect != &effect) {
            return false;
        }
        violation("A block of imageMemoryAlloc was not freed with its instance.");
        dismiss(*block);
        return true;
    });
}

const ofx::ImageEffectSuiteV1 &imageEffectSuite()
{
    static const ofx::ImageEffectSuiteV1 suite = {getPropertySet, getParamSet, clipDefine,
        clipGetHandle, clipGetPropertySet, clipGetImage, clipReleaseImage,
        clipGetRegionOfDefinition, abortRequested, imageMemoryAlloc, imageMemoryFree,
        imageMemoryLock, imageMemoryUnlock};
    return suite;
}

} // namespace host
