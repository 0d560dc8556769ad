#include "property_tables.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <initializer_list>

namespace host {

namespace {

using enum Kind;
constexpr Access R = Access::Read;
constexpr Access W = Access::Write;

constexpr Definition kHost[] = {
    {ofx::kPropAPIVersion, Int, 0, R},
    {ofx::kPropType, String, 1, R},
    {ofx::kPropName, String, 1, R},
    {ofx::kPropLabel, String, 1, R},
    {ofx::kPropVersion, Int, 0, R},
    {ofx::kPropVersionLabel, String, 1, R},
    {ofx::kImageEffectHostPropIsBackground, Int, 1, R},
    {ofx::kImageEffectPropSupportsOverlays, Int, 1, R},
    {ofx::kImageEffectPropSupportsMultiResolution, Int, 1, R},
    {ofx::kImageEffectPropSupportsTiles, Int, 1, R},
    {ofx::kImageEffectPropTemporalClipAccess, Int, 1, R},
    {ofx::kImageEffectPropSupportedComponents, String, 0, R},
    {ofx::kImageEffectPropSupportedContexts, String, 0, R},
    {ofx::kImageEffectPropSupportedPixelDepths, String, 0, R},
    {ofx::kImageEffectPropSupportsMultipleClipDepths, Int, 1, R},
    {ofx::kImageEffectPropSupportsMultipleClipPARs, Int, 1, R},
    {ofx::kImageEffectPropSetableFrameRate, Int, 1, R},
    {ofx::kImageEffectPropSetableFielding, Int, 1, R},
    {ofx::kImageEffectInstancePropSequentialRender, Int, 1, R},
    {ofx::kParamHostPropSupportsCustomInteract, Int, 1, R},
    {ofx::kParamHostPropSupportsStringAnimation, Int, 1, R},
    {ofx::kParamHostPropSupportsChoiceAnimation, Int, 1, R},
    {ofx::kParamHostPropSupportsBooleanAnimation, Int, 1, R},
    {ofx::kParamHostPropSupportsCustomAnimation, Int, 1, R},
    {ofx::kParamHostPropSupportsStrChoice, Int, 1, R},
    {ofx::kParamHostPropSupportsStrChoiceAnimation, Int, 1, R},
    {ofx::kParamHostPropMaxParameters, Int, 1, R},
    {ofx::kParamHostPropMaxPages, Int, 1, R},
    {ofx::kParamHostPropPageRowColumnCount, Int, 2, R},
    {ofx::kPropHostOSHandle, Pointer, 1, R},
    {ofx::kImageEffectHostPropNativeOrigin, String, 1, R},
    {ofx::kImageEffectPropOpenGLRenderSupported, String, 1, R},
    {ofx::kImageEffectPropCudaRenderSupported, String, 1, R},
    {ofx::kImageEffectPropCudaStreamSupported, String, 1, R},
    {ofx::kImageEffectPropMetalRenderSupported, String, 1, R},
    {ofx::kImageEffectPropOpenCLRenderSupported, String, 1, R},
    {ofx::kImageEffectPropCPURenderSupported, String, 1, R},
};

constexpr Definition kDescriptor[] = {
    {ofx::kPropType, String, 1, R},
    {ofx::kPropLabel, String, 1, W},
    {ofx::kPropShortLabel, String, 1, W},
    {ofx::kPropLongLabel, String, 1, W},
    {ofx::kPropVersion, Int, 0, W},
    {ofx::kPropVersionLabel, String, 1, W},
    {ofx::kPropPluginDescription, String, 1, W},
    {ofx::kPropIcon, String, 2, W},
    {ofx::kPluginPropFilePath, String, 1, R},
    {ofx::kPluginPropParamPageOrder, String, 0, W},
    {ofx::kImageEffectPropSupportedContexts, String, 0, W},
    {ofx::kImageEffectPluginPropGrouping, String, 1, W},
    {ofx::kImageEffectPluginPropObsolete, Int, 1, W},
    {ofx::kImageEffectPluginPropSingleInstance, Int, 1, W},
    {ofx::kImageEffectPluginRenderThreadSafety, String, 1, W},
    {ofx::kImageEffectPluginPropHostFrameThreading, Int, 1, W},
    {"OfxImageEffectPluginPropOverlayInteractV1", Pointer, 1, W},
    {"OfxImageEffectPluginPropOverlayInteractV2", Pointer, 1, W},
    {ofx::kImageEffectPropSupportsMultiResolution, Int, 1, W},
    {ofx::kImageEffectPropSupportsTiles, Int, 1, W},
    {ofx::kImageEffectPropTemporalClipAccess, Int, 1, W},
    {ofx::kImageEffectPropSupportedPixelDepths, String, 0, W},
    {ofx::kImageEffectPluginPropFieldRenderTwiceAlways, Int, 1, W},
    {ofx::kImageEffectPropSupportsMultipleClipDepths, Int, 1, W},
    {ofx::kImageEffectPropSupportsMultipleClipPARs, Int, 1, W},
    {ofx::kImageEffectPropClipPreferencesSlaveParam, String, 0, W},
    {ofx::kImageEffectInstancePropSequentialRender, Int, 1, W},
    {ofx::kImageEffectPropNoSpatialAwareness, String, 1, W},
    {ofx::kImageEffectPropOpenGLRenderSupported, String, 1, W},
    {ofx::kImageEffectPropCudaRenderSupported, String, 1, W},
    {ofx::kImageEffectPropCudaStreamSupported, String, 1, W},
    {ofx::kImageEffectPropMetalRenderSupported, String, 1, W},
    {ofx::kImageEffectPropOpenCLRenderSupported, String, 1, W},
    {ofx::kImageEffectPropOpenCLSupported, String, 1, W},
    {ofx::kImageEffectPropCPURenderSupported, String, 1, W},
};

constexpr Definition kInstance[] = {
    {ofx::kPropType, String, 1, R},
    {ofx::kImageEffectPropContext, String, 1, R},
    {ofx::kPropInstanceData, Pointer, 1, W},
    {ofx::kImageEffectPropProjectSize, Double, 2, R},
    {ofx::kImageEffectPropProjectOffset, Double, 2, R},
    {ofx::kImageEffectPropProjectExtent, Double, 2, R},
    {ofx::kImageEffectPropProjectPixelAspectRatio, Double, 1, R},
    {ofx::kImageEffectInstancePropEffectDuration, Double, 1, R},
    {ofx::kImageEffectInstancePropSequentialRender, Int, 1, W},
    {ofx::kImageEffectPropSupportsTiles, Int, 1, W},
    {ofx::kImageEffectPropTemporalClipAccess, Int, 1, W},
    {ofx::kImageEffectPropFrameRate, Double, 1, R},
    {ofx::kPropIsInteractive, Int, 1, R},
    {ofx::kImageEffectPropOpenGLRenderSupported, String, 1, W},
};

constexpr Definition kClipDescriptor[] = {
    {ofx::kPropType, String, 1, R},
    {ofx::kPropName, String, 1, R},
    {ofx::kPropLabel, String, 1, W},
    {ofx::kPropShortLabel, String, 1, W},
    {ofx::kPropLongLabel, String, 1, W},
    {ofx::kImageEffectPropSupportedComponents, String, 0, W},
    {ofx::kImageEffectPropTemporalClipAccess, Int, 1, W},
    {ofx::kImageClipPropOptional, Int, 1, W},
    {ofx::kImageClipPropFieldExtraction, String, 1, W},
    {ofx::kImageClipPropIsMask, Int, 1, W},
    {ofx::kImageEffectPropSupportsTiles, Int, 1, W},
};

constexpr Definition kClipInstance[] = {
    {ofx::kPropType, String, 1, R},
    {ofx::kPropName, String, 1, R},
    {ofx::kPropLabel, String, 1, R},
    {ofx::kPropShortLabel, String, 1, R},
    {ofx::kPropLongLabel, String, 1, R},
    {ofx::kImageEffectPropSupportedComponents, String, 0, R},
    {ofx::kImageEffectPropTemporalClipAccess, Int, 1, R},
    {ofx::kImageClipPropOptional, Int, 1, R},
    {ofx::kImageClipPropFieldExtraction, String, 1, R},
    {ofx::kImageClipPropIsMask, Int, 1, R},
    {ofx::kImageEffectPropSupportsTiles, Int, 1, R},
    {ofx::kImageEffectPropPixelDepth, String, 1, R},
    {ofx::kImageEffectPropComponents, String, 1, R},
    {ofx::kImageClipPropUnmappedPixelDepth, String, 1, R},
    {ofx::kImageClipPropUnmappedComponents, String, 1, R},
    {ofx::kImageEffectPropPreMultiplication, String, 1, R},
    {ofx::kImagePropPixelAspectRatio, Double, 1, R},
    {ofx::kImageEffectPropFrameRate, Double, 1, R},
    {ofx::kImageEffectPropFrameRange, Double, 2, R},
    {ofx::kImageClipPropFieldOrder, String, 1, R},
    {ofx::kImageClipPropConnected, Int, 1, R},
    {ofx::kImageEffectPropUnmappedFrameRange, Double, 2, R},
    {ofx::kImageEffectPropUnmappedFrameRate, Double, 1, R},
    {ofx::kImageClipPropContinuousSamples, Int, 1, R},
};

constexpr Definition kImage[] = {
    {ofx::kPropType, String, 1, R},
    {ofx::kImagePropData, Pointer, 1, R},
    {ofx::kImagePropBounds, Int, 4, R},
    {ofx::kImagePropRegionOfDefinition, Int, 4, R},
    {ofx::kImagePropRowBytes, Int, 1, R},
    {ofx::kImageEffectPropRenderScale, Double, 2, R},
    {ofx::kImageEffectPropPixelDepth, String, 1, R},
    {ofx::kImageEffectPropComponents, String, 1, R},
    {ofx::kImageEffectPropPreMultiplication, String, 1, R},
    {ofx::kImagePropPixelAspectRatio, Double, 1, R},
    {ofx::kImagePropField, String, 1, R},
    {ofx::kImagePropUniqueIdentifier, String, 1, R},
};

constexpr Definition kParamSet[] = {
    {ofx::kPluginPropParamPageOrder, String, 0, W},
    {ofx::kPropParamSetNeedsSyncing, Int, 1, W},
};

constexpr Definition kParam[] = {
    {ofx::kPropType, String, 1, R},
    {ofx::kPropName, String, 1, R},
    {ofx::kPropLabel, String, 1, W},
    {ofx::kPropShortLabel, String, 1, W},
    {ofx::kPropLongLabel, String, 1, W},
    {ofx::kPropIcon, String, 2, W},
    {ofx::kParamPropType, String, 1, R},
    {ofx::kParamPropSecret, Int, 1, W},
    {ofx::kParamPropEnabled, Int, 1, W},
    {ofx::kParamPropHint, String, 1, W},
    {ofx::kParamPropScriptName, String, 1, W},
    {ofx::kParamPropParent, String, 1, W},
    {ofx::kParamPropDataPtr, Pointer, 1, W},
};

constexpr Definition kValueParam[] = {
    {ofx::kParamPropAnimates, Int, 1, W},
    {ofx::kParamPropIsAnimating, Int, 1, R},
    {ofx::kParamPropIsAutoKeying, Int, 1, R},
    {ofx::kParamPropPersistant, Int, 1, W},
    {ofx::kParamPropEvaluateOnChange, Int, 1, W},
    {ofx::kParamPropPluginMayWrite, Int, 1, W},
    {ofx::kParamPropCacheInvalidation, String, 1, W},
    {ofx::kParamPropCanUndo, Int, 1, W},
};

constexpr const char *kChangeable[] = {ofx::kPropLabel, ofx::kPropShortLabel, ofx::kPropLongLabel,
    ofx::kParamPropSecret, ofx::kParamPropEnabled, ofx::kParamPropHint, ofx::kParamPropDataPtr,
    ofx::kParamPropMin, ofx::kParamPropMax, ofx::kParamPropDisplayMin, ofx::kParamPropDisplayMax,
    ofx::kParamPropIncrement, ofx::kParamPropDigits, ofx::kParamPropEvaluateOnChange,
    ofx::kParamPropChoiceOption, ofx::kParamPropGroupOpen};

// Of the parameter types, of action arguments, and of hosts unlike this one.
constexpr const char *kElsewhere[] = {ofx::kParamPropDefault, ofx::kParamPropMin,
    ofx::kParamPropMax, ofx::kParamPropDisplayMin, ofx::kParamPropDisplayMax,
    ofx::kParamPropIncrement, ofx::kParamPropDigits, ofx::kParamPropDoubleType,
    ofx::kParamPropShowTimeMarker, ofx::kParamPropDimensionLabel,
    ofx::kParamPropDefaultCoordinateSystem, ofx::kParamPropUseHostOverlayHandle,
    ofx::kParamPropHasHostOverlayHandle, ofx::kParamPropChoiceOption, ofx::kParamPropChoiceOrder,
    ofx::kParamPropChoiceEnum, ofx::kParamPropStringMode, ofx::kParamPropStringFilePathExists,
    ofx::kParamPropCustomInterpCallbackV1, ofx::kParamPropGroupOpen, ofx::kParamPropPageChild,
    ofx::kPropTime, ofx::kPropChangeReason, ofx::kPropEffectInstance,
    ofx::kImageEffectPropRenderWindow, ofx::kImageEffectPropFieldToRender,
    ofx::kImageEffectPropRegionOfDefinition, ofx::kImageEffectPropRegionOfInterest,
    ofx::kImageEffectPropFrameStep, ofx::kImageEffectPropSequentialRenderStatus,
    ofx::kImageEffectPropInteractiveRenderStatus, ofx::kImageEffectPropRenderQualityDraft,
    ofx::kImageEffectPropThumbnailRender, ofx::kImageEffectFrameVarying,
    ofx::kImageEffectPropOpenGLEnabled, ofx::kImageEffectPropCudaEnabled,
    ofx::kImageEffectPropMetalEnabled, ofx::kImageEffectPropOpenCLEnabled,
    ofx::kImageEffectPropPluginHandle};

constexpr const char *kPrefixes[] = {ofx::kImageClipPropComponentsPrefix,
    ofx::kImageClipPropDepthPrefix, ofx::kImageClipPropPARPrefix, ofx::kImageClipPropRoIPrefix,
    ofx::kImageClipPropFrameRangePrefix};

constexpr const char *kSince15[] = {ofx::kImageEffectPropMetalRenderSupported,
    ofx::kImageEffectPropOpenCLRenderSupported, ofx::kImageEffectPropOpenCLSupported,
    ofx::kImageEffectPropCPURenderSupported, ofx::kImageEffectPropThumbnailRender,
    ofx::kParamHostPropSupportsStrChoice, ofx::kParamHostPropSupportsStrChoiceAnimation,
    ofx::kImageEffectPropNoSpatialAwareness, ofx::kImageEffectPropCudaRenderSupported,
    ofx::kImageEffectPropCudaStreamSupported};

std::atomic<int> apiOfHost = 105;

template <typename Range> bool contains(const Range &names, std::string_view name)
{
    return std::ranges::find(names, name) != std::end(names);
}

} // namespace

std::span<const Definition> hostProperties() { return kHost; }
std::span<const Definition> descriptorProperties() { return kDescriptor; }
std::span<const Definition> instanceProperties() { return kInstance; }
std::span<const Definition> clipDescriptorProperties() { return kClipDescriptor; }
std::span<const Definition> clipInstanceProperties() { return kClipInstance; }
std::span<const Definition> imageProperties() { return kImage; }
std::span<const Definition> paramSetProperties() { return kParamSet; }
std::span<const Definition> paramProperties() { return kParam; }
std::span<const Definition> valueParamProperties() { return kValueParam; }

bool isChangeableOnInstance(std::string_view name) { return contains(kChangeable, name); }

bool isKnownProperty(std::string_view name)
{
    using Table = std::span<const Definition>;
    for (const Table &table : {Table(kHost), Table(kDescriptor), Table(kInstance),
             Table(kClipDescriptor), Table(kClipInstance), Table(kImage), Table(kParamSet),
             Table(kParam), Table(kValueParam)}) {
        if (std::ranges::any_of(table, [&](const auto &entry) { return name == entry.name; })) {
            return true;
        }
    }
    return contains(kElsewhere, name) || std::ranges::any_of(kPrefixes, [&](const char *prefix) {
        return name.starts_with(prefix);
    });
}

bool isTooNewForHost(std::string_view name)
{
    return apiOfHost < 105 && contains(kSince15, name);
}

void setApiOfHost(int major, int minor) { apiOfHost = major * 100 + minor; }

} // namespace host
