// The C interface of OpenFX 1.5.1 image effects, declared by ourselves.
//
// Names are those of the public headers without their Ofx / kOfx prefix (constants keep a k), and
// field order, types and values are the ABI: never reorder, never "correct" a string. Several
// strings differ from their names; that is how the public headers have them.
#pragma once

#include <climits>
#include <cstddef>

namespace ofx {

using std::size_t;

// Opaque handles.
using PropertySetHandle = struct PropertySetStruct *;
using ImageEffectHandle = struct ImageEffectStruct *;
using ImageClipHandle = struct ImageClipStruct *;
using ImageMemoryHandle = struct ImageMemoryStruct *;
using ParamHandle = struct ParamStruct *;
using ParamSetHandle = struct ParamSetStruct *;
using InteractHandle = struct InteractStruct *;
using MutexHandle = struct MutexStruct *;

using Status = int;
using Time = double;

// Function types, not pointers: the structs below point at them.
using PluginEntryPoint = Status(const char *action, const void *handle, PropertySetHandle inArgs,
    PropertySetHandle outArgs);
using ThreadFunctionV1 = void(unsigned int threadIndex, unsigned int threadMax, void *customArg);
using CustomParamInterpFuncV1 = Status(ParamSetHandle instance, PropertySetHandle inArgs,
    PropertySetHandle outArgs);

struct Host {
    PropertySetHandle host;
    const void *(*fetchSuite)(PropertySetHandle host, const char *suiteName, int suiteVersion);
};

struct Plugin {
    const char *pluginApi;
    int apiVersion;
    const char *pluginIdentifier;
    unsigned int pluginVersionMajor;
    unsigned int pluginVersionMinor;
    void (*setHost)(Host *host);
    PluginEntryPoint *mainEntry;
};

// What the .ofx binary exports with C linkage: OfxGetNumberOfPlugins and OfxGetPlugin always,
// OfxSetHost from API 1.4 on (called before the other two).
using GetNumberOfPluginsFunction = int();
using GetPluginFunction = Plugin *(int nth);
using SetHostFunction = Status(const Host *host);

struct RangeI {
    int min, max;
};

struct RangeD {
    double min, max;
};

struct PointI {
    int x, y;
};

struct PointD {
    double x, y;
};

struct RectI {
    int x1, y1, x2, y2;
};

struct RectD {
    double x1, y1, x2, y2;
};

struct Bytes {
    const unsigned char *data;
    size_t length;
};

struct PropertySuiteV1 {
    Status (*propSetPointer)(PropertySetHandle properties, const char *property, int index,
        void *value);
    Status (*propSetString)(PropertySetHandle properties, const char *property, int index,
        const char *value);
    Status (*propSetDouble)(PropertySetHandle properties, const char *property, int index,
        double value);
    Status (*propSetInt)(PropertySetHandle properties, const char *property, int index, int value);
    Status (*propSetPointerN)(PropertySetHandle properties, const char *property, int count,
        void *const *value);
    Status (*propSetStringN)(PropertySetHandle properties, const char *property, int count,
        const char *const *value);
    Status (*propSetDoubleN)(PropertySetHandle properties, const char *property, int count,
        const double *value);
    Status (*propSetIntN)(PropertySetHandle properties, const char *property, int count,
        const int *value);
    Status (*propGetPointer)(PropertySetHandle properties, const char *property, int index,
        void **value);
    Status (*propGetString)(PropertySetHandle properties, const char *property, int index,
        char **value);
    Status (*propGetDouble)(PropertySetHandle properties, const char *property, int index,
        double *value);
    Status (*propGetInt)(PropertySetHandle properties, const char *property, int index, int *value);
    Status (*propGetPointerN)(PropertySetHandle properties, const char *property, int count,
        void **value);
    Status (*propGetStringN)(PropertySetHandle properties, const char *property, int count,
        char **value);
    Status (*propGetDoubleN)(PropertySetHandle properties, const char *property, int count,
        double *value);
    Status (*propGetIntN)(PropertySetHandle properties, const char *property, int count,
        int *value);
    Status (*propReset)(PropertySetHandle properties, const char *property);
    Status (*propGetDimension)(PropertySetHandle properties, const char *property, int *count);
};

struct ImageEffectSuiteV1 {
    Status (*getPropertySet)(ImageEffectHandle imageEffect, PropertySetHandle *propHandle);
    Status (*getParamSet)(ImageEffectHandle imageEffect, ParamSetHandle *paramSet);
    Status (*clipDefine)(ImageEffectHandle imageEffect, const char *name,
        PropertySetHandle *propertySet);
    Status (*clipGetHandle)(ImageEffectHandle imageEffect, const char *name,
        ImageClipHandle *clip, PropertySetHandle *propertySet);
    Status (*clipGetPropertySet)(ImageClipHandle clip, PropertySetHandle *propHandle);
    Status (*clipGetImage)(ImageClipHandle clip, Time time, const RectD *region,
        PropertySetHandle *imageHandle);
    Status (*clipReleaseImage)(PropertySetHandle imageHandle);
    Status (*clipGetRegionOfDefinition)(ImageClipHandle clip, Time time, RectD *bounds);
    int (*abort)(ImageEffectHandle imageEffect);
    Status (*imageMemoryAlloc)(ImageEffectHandle instanceHandle, size_t nBytes,
        ImageMemoryHandle *memoryHandle);
    Status (*imageMemoryFree)(ImageMemoryHandle memoryHandle);
    Status (*imageMemoryLock)(ImageMemoryHandle memoryHandle, void **returnedPtr);
    Status (*imageMemoryUnlock)(ImageMemoryHandle memoryHandle);
};

struct ParameterSuiteV1 {
    Status (*paramDefine)(ParamSetHandle paramSet, const char *paramType, const char *name,
        PropertySetHandle *propertySet);
    Status (*paramGetHandle)(ParamSetHandle paramSet, const char *name, ParamHandle *param,
        PropertySetHandle *propertySet);
    Status (*paramSetGetPropertySet)(ParamSetHandle paramSet, PropertySetHandle *propHandle);
    Status (*paramGetPropertySet)(ParamHandle param, PropertySetHandle *propHandle);
    Status (*paramGetValue)(ParamHandle paramHandle, ...);
    Status (*paramGetValueAtTime)(ParamHandle paramHandle, Time time, ...);
    Status (*paramGetDerivative)(ParamHandle paramHandle, Time time, ...);
    Status (*paramGetIntegral)(ParamHandle paramHandle, Time time1, Time time2, ...);
    Status (*paramSetValue)(ParamHandle paramHandle, ...);
    Status (*paramSetValueAtTime)(ParamHandle paramHandle, Time time, ...);
    Status (*paramGetNumKeys)(ParamHandle paramHandle, unsigned int *numberOfKeys);
    Status (*paramGetKeyTime)(ParamHandle paramHandle, unsigned int nthKey, Time *time);
    Status (*paramGetKeyIndex)(ParamHandle paramHandle, Time time, int direction, int *index);
    Status (*paramDeleteKey)(ParamHandle paramHandle, Time time);
    Status (*paramDeleteAllKeys)(ParamHandle paramHandle);
    Status (*paramCopy)(ParamHandle paramTo, ParamHandle paramFrom, Time dstOffset,
        const RangeD *frameRange);
    Status (*paramEditBegin)(ParamSetHandle paramSet, const char *name);
    Status (*paramEditEnd)(ParamSetHandle paramSet);
};

struct MemorySuiteV1 {
    Status (*memoryAlloc)(void *handle, size_t nBytes, void **allocatedData);
    Status (*memoryFree)(void *allocatedData);
};

struct MultiThreadSuiteV1 {
    Status (*multiThread)(ThreadFunctionV1 func, unsigned int nThreads, void *customArg);
    Status (*multiThreadNumCPUs)(unsigned int *nCPUs);
    Status (*multiThreadIndex)(unsigned int *threadIndex);
    int (*multiThreadIsSpawnedThread)();
    Status (*mutexCreate)(MutexHandle *mutex, int lockCount);
    Status (*mutexDestroy)(const MutexHandle mutex);
    Status (*mutexLock)(const MutexHandle mutex);
    Status (*mutexUnLock)(const MutexHandle mutex);
    Status (*mutexTryLock)(const MutexHandle mutex);
};

struct MessageSuiteV1 {
    Status (*message)(void *handle, const char *messageType, const char *messageId,
        const char *format, ...);
};

struct MessageSuiteV2 {
    Status (*message)(void *handle, const char *messageType, const char *messageId,
        const char *format, ...);
    Status (*setPersistentMessage)(void *handle, const char *messageType, const char *messageId,
        const char *format, ...);
    Status (*clearPersistentMessage)(void *handle);
};

struct ProgressSuiteV1 {
    Status (*progressStart)(void *effectInstance, const char *label);
    Status (*progressUpdate)(void *effectInstance, double progress);
    Status (*progressEnd)(void *effectInstance);
};

struct ProgressSuiteV2 {
    Status (*progressStart)(void *effectInstance, const char *message, const char *messageid);
    Status (*progressUpdate)(void *effectInstance, double progress);
    Status (*progressEnd)(void *effectInstance);
};

struct TimeLineSuiteV1 {
    Status (*getTime)(void *instance, double *time);
    Status (*gotoTime)(void *instance, double time);
    Status (*getTimeBounds)(void *instance, double *firstTime, double *lastTime);
};
// ofxCore.h
inline constexpr const char *kActionLoad = "OfxActionLoad";
inline constexpr const char *kActionDescribe = "OfxActionDescribe";
inline constexpr const char *kActionUnload = "OfxActionUnload";
inline constexpr const char *kActionPurgeCaches = "OfxActionPurgeCaches";
inline constexpr const char *kActionSyncPrivateData = "OfxActionSyncPrivateData";
inline constexpr const char *kActionCreateInstance = "OfxActionCreateInstance";
inline constexpr const char *kActionDestroyInstance = "OfxActionDestroyInstance";
inline constexpr const char *kActionInstanceChanged = "OfxActionInstanceChanged";
inline constexpr const char *kActionBeginInstanceChanged = "OfxActionBeginInstanceChanged";
inline constexpr const char *kActionEndInstanceChanged = "OfxActionEndInstanceChanged";
inline constexpr const char *kActionBeginInstanceEdit = "OfxActionBeginInstanceEdit";
inline constexpr const char *kActionEndInstanceEdit = "OfxActionEndInstanceEdit";
inline constexpr const char *kPropAPIVersion = "OfxPropAPIVersion";
inline constexpr const char *kPropTime = "OfxPropTime";
inline constexpr const char *kPropIsInteractive = "OfxPropIsInteractive";
inline constexpr const char *kPluginPropFilePath = "OfxPluginPropFilePath";
inline constexpr const char *kPropInstanceData = "OfxPropInstanceData";
inline constexpr const char *kPropType = "OfxPropType";
inline constexpr const char *kPropName = "OfxPropName";
inline constexpr const char *kPropVersion = "OfxPropVersion";
inline constexpr const char *kPropVersionLabel = "OfxPropVersionLabel";
inline constexpr const char *kPropPluginDescription = "OfxPropPluginDescription";
inline constexpr const char *kPropLabel = "OfxPropLabel";
inline constexpr const char *kPropIcon = "OfxPropIcon";
inline constexpr const char *kPropShortLabel = "OfxPropShortLabel";
inline constexpr const char *kPropLongLabel = "OfxPropLongLabel";
inline constexpr const char *kPropChangeReason = "OfxPropChangeReason";
inline constexpr const char *kPropEffectInstance = "OfxPropEffectInstance";
inline constexpr const char *kPropHostOSHandle = "OfxPropHostOSHandle";
inline constexpr const char *kChangeUserEdited = "OfxChangeUserEdited";
inline constexpr const char *kChangePluginEdited = "OfxChangePluginEdited";
inline constexpr const char *kChangeTime = "OfxChangeTime";
inline constexpr int kFlagInfiniteMax = INT_MAX;
inline constexpr int kFlagInfiniteMin = INT_MIN;
inline constexpr const char *kBitDepthNone = "OfxBitDepthNone";
inline constexpr const char *kBitDepthByte = "OfxBitDepthByte";
inline constexpr const char *kBitDepthShort = "OfxBitDepthShort";
inline constexpr const char *kBitDepthHalf = "OfxBitDepthHalf";
inline constexpr const char *kBitDepthFloat = "OfxBitDepthFloat";
inline constexpr Status kStatOK = 0;
inline constexpr Status kStatFailed = 1;
inline constexpr Status kStatErrFatal = 2;
inline constexpr Status kStatErrUnknown = 3;
inline constexpr Status kStatErrMissingHostFeature = 4;
inline constexpr Status kStatErrUnsupported = 5;
inline constexpr Status kStatErrExists = 6;
inline constexpr Status kStatErrFormat = 7;
inline constexpr Status kStatErrMemory = 8;
inline constexpr Status kStatErrBadHandle = 9;
inline constexpr Status kStatErrBadIndex = 10;
inline constexpr Status kStatErrValue = 11;
inline constexpr Status kStatReplyYes = 12;
inline constexpr Status kStatReplyNo = 13;
inline constexpr Status kStatReplyDefault = 14;
inline constexpr Status kStatUnlicensed = 15;

// ofxProperty.h
inline constexpr const char *kPropertySuite = "OfxPropertySuite";

// ofxImageEffect.h
inline constexpr const char *kImageEffectPluginApi = "OfxImageEffectPluginAPI";
inline constexpr int kImageEffectPluginApiVersion = 1;
inline constexpr const char *kImageComponentNone = "OfxImageComponentNone";
inline constexpr const char *kImageComponentRGBA = "OfxImageComponentRGBA";
inline constexpr const char *kImageComponentRGB = "OfxImageComponentRGB";
inline constexpr const char *kImageComponentAlpha = "OfxImageComponentAlpha";
inline constexpr const char *kImageEffectContextGenerator = "OfxImageEffectContextGenerator";
inline constexpr const char *kImageEffectContextFilter = "OfxImageEffectContextFilter";
inline constexpr const char *kImageEffectContextTransition = "OfxImageEffectContextTransition";
inline constexpr const char *kImageEffectContextPaint = "OfxImageEffectContextPaint";
inline constexpr const char *kImageEffectContextGeneral = "OfxImageEffectContextGeneral";
inline constexpr const char *kImageEffectContextRetimer = "OfxImageEffectContextRetimer";
inline constexpr const char *kTypeImageEffectHost = "OfxTypeImageEffectHost";
inline constexpr const char *kTypeImageEffect = "OfxTypeImageEffect";
inline constexpr const char *kTypeImageEffectInstance = "OfxTypeImageEffectInstance";
inline constexpr const char *kTypeClip = "OfxTypeClip";
inline constexpr const char *kTypeImage = "OfxTypeImage";
inline constexpr const char *kImageEffectActionGetRegionOfDefinition =
    "OfxImageEffectActionGetRegionOfDefinition";
inline constexpr const char *kImageEffectActionGetRegionsOfInterest =
    "OfxImageEffectActionGetRegionsOfInterest";
inline constexpr const char *kImageEffectActionGetTimeDomain = "OfxImageEffectActionGetTimeDomain";
inline constexpr const char *kImageEffectActionGetFramesNeeded =
    "OfxImageEffectActionGetFramesNeeded";
inline constexpr const char *kImageEffectActionGetClipPreferences =
    "OfxImageEffectActionGetClipPreferences";
inline constexpr const char *kImageEffectActionIsIdentity = "OfxImageEffectActionIsIdentity";
inline constexpr const char *kImageEffectActionRender = "OfxImageEffectActionRender";
inline constexpr const char *kImageEffectActionBeginSequenceRender =
    "OfxImageEffectActionBeginSequenceRender";
inline constexpr const char *kImageEffectActionEndSequenceRender =
    "OfxImageEffectActionEndSequenceRender";
inline constexpr const char *kImageEffectActionDescribeInContext =
    "OfxImageEffectActionDescribeInContext";
inline constexpr const char *kImageEffectPropSupportedContexts =
    "OfxImageEffectPropSupportedContexts";
inline constexpr const char *kImageEffectPropPluginHandle = "OfxImageEffectPropPluginHandle";
inline constexpr const char *kImageEffectHostPropIsBackground =
    "OfxImageEffectHostPropIsBackground";
inline constexpr const char *kImageEffectPluginPropSingleInstance =
    "OfxImageEffectPluginPropSingleInstance";
inline constexpr const char *kImageEffectPluginRenderThreadSafety =
    "OfxImageEffectPluginRenderThreadSafety";
inline constexpr const char *kImageEffectRenderUnsafe = "OfxImageEffectRenderUnsafe";
inline constexpr const char *kImageEffectRenderInstanceSafe = "OfxImageEffectRenderInstanceSafe";
inline constexpr const char *kImageEffectRenderFullySafe = "OfxImageEffectRenderFullySafe";
inline constexpr const char *kImageEffectPluginPropHostFrameThreading =
    "OfxImageEffectPluginPropHostFrameThreading";
inline constexpr const char *kImageEffectPropSupportsMultipleClipDepths =
    "OfxImageEffectPropMultipleClipDepths";
inline constexpr const char *kImageEffectPropSupportsMultipleClipPARs =
    "OfxImageEffectPropSupportsMultipleClipPARs";
inline constexpr const char *kImageEffectPropClipPreferencesSlaveParam =
    "OfxImageEffectPropClipPreferencesSlaveParam";
inline constexpr const char *kImageEffectPropSetableFrameRate =
    "OfxImageEffectPropSetableFrameRate";
inline constexpr const char *kImageEffectPropSetableFielding = "OfxImageEffectPropSetableFielding";
inline constexpr const char *kImageEffectInstancePropSequentialRender =
    "OfxImageEffectInstancePropSequentialRender";
inline constexpr const char *kImageEffectPropSequentialRenderStatus =
    "OfxImageEffectPropSequentialRenderStatus";
inline constexpr const char *kHostNativeOriginBottomLeft =
    "kOfxImageEffectHostPropNativeOriginBottomLeft";
inline constexpr const char *kHostNativeOriginTopLeft =
    "kOfxImageEffectHostPropNativeOriginTopLeft";
inline constexpr const char *kHostNativeOriginCenter = "kOfxImageEffectHostPropNativeOriginCenter";
inline constexpr const char *kImageEffectHostPropNativeOrigin =
    "OfxImageEffectHostPropNativeOrigin";
inline constexpr const char *kImageEffectPropInteractiveRenderStatus =
    "OfxImageEffectPropInteractiveRenderStatus";
inline constexpr const char *kImageEffectPluginPropGrouping = "OfxImageEffectPluginPropGrouping";
inline constexpr const char *kImageEffectPluginPropObsolete = "OfxImageEffectPluginPropObsolete";
inline constexpr const char *kImageEffectPropSupportsOverlays =
    "OfxImageEffectPropSupportsOverlays";
inline constexpr const char *kImageEffectPropSupportsMultiResolution =
    "OfxImageEffectPropSupportsMultiResolution";
inline constexpr const char *kImageEffectPropSupportsTiles = "OfxImageEffectPropSupportsTiles";
inline constexpr const char *kImageEffectPropTemporalClipAccess =
    "OfxImageEffectPropTemporalClipAccess";
inline constexpr const char *kImageEffectPropContext = "OfxImageEffectPropContext";
inline constexpr const char *kImageEffectPropPixelDepth = "OfxImageEffectPropPixelDepth";
inline constexpr const char *kImageEffectPropComponents = "OfxImageEffectPropComponents";
inline constexpr const char *kImagePropUniqueIdentifier = "OfxImagePropUniqueIdentifier";
inline constexpr const char *kImageClipPropContinuousSamples = "OfxImageClipPropContinuousSamples";
inline constexpr const char *kImageClipPropUnmappedPixelDepth =
    "OfxImageClipPropUnmappedPixelDepth";
inline constexpr const char *kImageClipPropUnmappedComponents =
    "OfxImageClipPropUnmappedComponents";
inline constexpr const char *kImageEffectPropPreMultiplication =
    "OfxImageEffectPropPreMultiplication";
inline constexpr const char *kImageOpaque = "OfxImageOpaque";
inline constexpr const char *kImagePreMultiplied = "OfxImageAlphaPremultiplied";
inline constexpr const char *kImageUnPreMultiplied = "OfxImageAlphaUnPremultiplied";
inline constexpr const char *kImageEffectPropSupportedPixelDepths =
    "OfxImageEffectPropSupportedPixelDepths";
inline constexpr const char *kImageEffectPropSupportedComponents =
    "OfxImageEffectPropSupportedComponents";
inline constexpr const char *kImageClipPropOptional = "OfxImageClipPropOptional";
inline constexpr const char *kImageClipPropIsMask = "OfxImageClipPropIsMask";
inline constexpr const char *kImagePropPixelAspectRatio = "OfxImagePropPixelAspectRatio";
inline constexpr const char *kImageEffectPropFrameRate = "OfxImageEffectPropFrameRate";
inline constexpr const char *kImageEffectPropUnmappedFrameRate =
    "OfxImageEffectPropUnmappedFrameRate";
inline constexpr const char *kImageEffectPropFrameStep = "OfxImageEffectPropFrameStep";
inline constexpr const char *kImageEffectPropFrameRange = "OfxImageEffectPropFrameRange";
inline constexpr const char *kImageEffectPropUnmappedFrameRange =
    "OfxImageEffectPropUnmappedFrameRange";
inline constexpr const char *kImageClipPropConnected = "OfxImageClipPropConnected";
inline constexpr const char *kImageEffectFrameVarying = "OfxImageEffectFrameVarying";
inline constexpr const char *kImageEffectPropRenderScale = "OfxImageEffectPropRenderScale";
inline constexpr const char *kImageEffectPropRenderQualityDraft =
    "OfxImageEffectPropRenderQualityDraft";
inline constexpr const char *kImageEffectPropNoSpatialAwareness =
    "OfxImageEffectPropNoSpatialAwareness";
inline constexpr const char *kImageEffectPropThumbnailRender = "OfxImageEffectPropThumbnailRender";
inline constexpr const char *kImageEffectPropProjectExtent = "OfxImageEffectPropProjectExtent";
inline constexpr const char *kImageEffectPropProjectSize = "OfxImageEffectPropProjectSize";
inline constexpr const char *kImageEffectPropProjectOffset = "OfxImageEffectPropProjectOffset";
inline constexpr const char *kImageEffectPropProjectPixelAspectRatio =
    "OfxImageEffectPropPixelAspectRatio";
inline constexpr const char *kImageEffectInstancePropEffectDuration =
    "OfxImageEffectInstancePropEffectDuration";
inline constexpr const char *kImageClipPropFieldOrder = "OfxImageClipPropFieldOrder";
inline constexpr const char *kImagePropData = "OfxImagePropData";
inline constexpr const char *kImagePropBounds = "OfxImagePropBounds";
inline constexpr const char *kImagePropRegionOfDefinition = "OfxImagePropRegionOfDefinition";
inline constexpr const char *kImagePropRowBytes = "OfxImagePropRowBytes";
inline constexpr const char *kImagePropField = "OfxImagePropField";
inline constexpr const char *kImageEffectPluginPropFieldRenderTwiceAlways =
    "OfxImageEffectPluginPropFieldRenderTwiceAlways";
inline constexpr const char *kImageClipPropFieldExtraction = "OfxImageClipPropFieldExtraction";
inline constexpr const char *kImageEffectPropFieldToRender = "OfxImageEffectPropFieldToRender";
inline constexpr const char *kImageEffectPropRegionOfDefinition =
    "OfxImageEffectPropRegionOfDefinition";
inline constexpr const char *kImageEffectPropRegionOfInterest =
    "OfxImageEffectPropRegionOfInterest";
inline constexpr const char *kImageEffectPropRenderWindow = "OfxImageEffectPropRenderWindow";
inline constexpr const char *kImageFieldNone = "OfxFieldNone";
inline constexpr const char *kImageFieldLower = "OfxFieldLower";
inline constexpr const char *kImageFieldUpper = "OfxFieldUpper";
inline constexpr const char *kImageFieldBoth = "OfxFieldBoth";
inline constexpr const char *kImageFieldSingle = "OfxFieldSingle";
inline constexpr const char *kImageFieldDoubled = "OfxFieldDoubled";
inline constexpr const char *kImageEffectPropBehaviourWhenUnlicensed =
    "OfxImageEffectPropBehaviourWhenUnlicensed";
inline constexpr const char *kUnlicensedContinue = "OfxUnlicensedContinue";
inline constexpr const char *kUnlicensedFail = "OfxUnlicensedFail";
inline constexpr const char *kImageEffectOutputClipName = "Output";
inline constexpr const char *kImageEffectSimpleSourceClipName = "Source";
inline constexpr const char *kImageEffectTransitionSourceFromClipName = "SourceFrom";
inline constexpr const char *kImageEffectTransitionSourceToClipName = "SourceTo";
inline constexpr const char *kImageEffectTransitionParamName = "Transition";
inline constexpr const char *kImageEffectRetimerParamName = "SourceTime";
inline constexpr const char *kImageEffectSuite = "OfxImageEffectSuite";
inline constexpr Status kStatErrImageFormat = 1000;

// ofxParam.h
inline constexpr const char *kParameterSuite = "OfxParameterSuite";
inline constexpr const char *kTypeParameter = "OfxTypeParameter";
inline constexpr const char *kTypeParameterInstance = "OfxTypeParameterInstance";
inline constexpr const char *kParamTypeInteger = "OfxParamTypeInteger";
inline constexpr const char *kParamTypeDouble = "OfxParamTypeDouble";
inline constexpr const char *kParamTypeBoolean = "OfxParamTypeBoolean";
inline constexpr const char *kParamTypeChoice = "OfxParamTypeChoice";
inline constexpr const char *kParamTypeStrChoice = "OfxParamTypeStrChoice";
inline constexpr const char *kParamTypeRGBA = "OfxParamTypeRGBA";
inline constexpr const char *kParamTypeRGB = "OfxParamTypeRGB";
inline constexpr const char *kParamTypeDouble2D = "OfxParamTypeDouble2D";
inline constexpr const char *kParamTypeInteger2D = "OfxParamTypeInteger2D";
inline constexpr const char *kParamTypeDouble3D = "OfxParamTypeDouble3D";
inline constexpr const char *kParamTypeInteger3D = "OfxParamTypeInteger3D";
inline constexpr const char *kParamTypeString = "OfxParamTypeString";
inline constexpr const char *kParamTypeCustom = "OfxParamTypeCustom";
inline constexpr const char *kParamTypeBytes = "OfxParamTypeBytes";
inline constexpr const char *kParamTypeGroup = "OfxParamTypeGroup";
inline constexpr const char *kParamTypePage = "OfxParamTypePage";
inline constexpr const char *kParamTypePushButton = "OfxParamTypePushButton";
inline constexpr const char *kParamHostPropSupportsCustomAnimation =
    "OfxParamHostPropSupportsCustomAnimation";
inline constexpr const char *kParamHostPropSupportsStringAnimation =
    "OfxParamHostPropSupportsStringAnimation";
inline constexpr const char *kParamHostPropSupportsBooleanAnimation =
    "OfxParamHostPropSupportsBooleanAnimation";
inline constexpr const char *kParamHostPropSupportsChoiceAnimation =
    "OfxParamHostPropSupportsChoiceAnimation";
inline constexpr const char *kParamHostPropSupportsCustomInteract =
    "OfxParamHostPropSupportsCustomInteract";
inline constexpr const char *kParamHostPropMaxParameters = "OfxParamHostPropMaxParameters";
inline constexpr const char *kParamHostPropMaxPages = "OfxParamHostPropMaxPages";
inline constexpr const char *kParamHostPropPageRowColumnCount =
    "OfxParamHostPropPageRowColumnCount";
inline constexpr const char *kParamPageSkipRow = "OfxParamPageSkipRow";
inline constexpr const char *kParamPageSkipColumn = "OfxParamPageSkipColumn";
inline constexpr const char *kParamPropType = "OfxParamPropType";
inline constexpr const char *kParamPropAnimates = "OfxParamPropAnimates";
inline constexpr const char *kParamPropCanUndo = "OfxParamPropCanUndo";
inline constexpr const char *kPropParamSetNeedsSyncing = "OfxPropParamSetNeedsSyncing";
inline constexpr const char *kParamPropIsAnimating = "OfxParamPropIsAnimating";
inline constexpr const char *kParamPropPluginMayWrite = "OfxParamPropPluginMayWrite";
inline constexpr const char *kParamPropPersistant = "OfxParamPropPersistant";
inline constexpr const char *kParamPropEvaluateOnChange = "OfxParamPropEvaluateOnChange";
inline constexpr const char *kParamPropSecret = "OfxParamPropSecret";
inline constexpr const char *kParamPropScriptName = "OfxParamPropScriptName";
inline constexpr const char *kParamPropCacheInvalidation = "OfxParamPropCacheInvalidation";
inline constexpr const char *kParamInvalidateValueChange = "OfxParamInvalidateValueChange";
inline constexpr const char *kParamInvalidateValueChangeToEnd =
    "OfxParamInvalidateValueChangeToEnd";
inline constexpr const char *kParamInvalidateAll = "OfxParamInvalidateAll";
inline constexpr const char *kParamPropHint = "OfxParamPropHint";
inline constexpr const char *kParamPropDefault = "OfxParamPropDefault";
inline constexpr const char *kParamPropDoubleType = "OfxParamPropDoubleType";
inline constexpr const char *kParamDoubleTypePlain = "OfxParamDoubleTypePlain";
inline constexpr const char *kParamDoubleTypeScale = "OfxParamDoubleTypeScale";
inline constexpr const char *kParamDoubleTypeAngle = "OfxParamDoubleTypeAngle";
inline constexpr const char *kParamDoubleTypeTime = "OfxParamDoubleTypeTime";
inline constexpr const char *kParamDoubleTypeAbsoluteTime = "OfxParamDoubleTypeAbsoluteTime";
inline constexpr const char *kParamDoubleTypeX = "OfxParamDoubleTypeX";
inline constexpr const char *kParamDoubleTypeY = "OfxParamDoubleTypeY";
inline constexpr const char *kParamDoubleTypeXAbsolute = "OfxParamDoubleTypeXAbsolute";
inline constexpr const char *kParamDoubleTypeYAbsolute = "OfxParamDoubleTypeYAbsolute";
inline constexpr const char *kParamDoubleTypeXY = "OfxParamDoubleTypeXY";
inline constexpr const char *kParamDoubleTypeXYAbsolute = "OfxParamDoubleTypeXYAbsolute";
inline constexpr const char *kParamPropDefaultCoordinateSystem =
    "OfxParamPropDefaultCoordinateSystem";
inline constexpr const char *kParamCoordinatesCanonical = "OfxParamCoordinatesCanonical";
inline constexpr const char *kParamCoordinatesNormalised = "OfxParamCoordinatesNormalised";
inline constexpr const char *kParamPropHasHostOverlayHandle = "OfxParamPropHasHostOverlayHandle";
inline constexpr const char *kParamPropUseHostOverlayHandle = "kOfxParamPropUseHostOverlayHandle";
inline constexpr const char *kParamInterpTypeConstantStep = "OfxParamInterpTypeConstantStep";
inline constexpr const char *kParamInterpTypeLinear = "OfxParamInterpTypeLinear";
inline constexpr const char *kParamInterpTypeSmooth = "OfxParamInterpTypeSmooth";
inline constexpr const char *kParamInterpType = "OfxParamInterpType";
inline constexpr const char *kParamPropShowTimeMarker = "OfxParamPropShowTimeMarker";
inline constexpr const char *kPluginPropParamPageOrder = "OfxPluginPropParamPageOrder";
inline constexpr const char *kParamPropPageChild = "OfxParamPropPageChild";
inline constexpr const char *kParamPropParent = "OfxParamPropParent";
inline constexpr const char *kParamPropGroupOpen = "OfxParamPropGroupOpen";
inline constexpr const char *kParamPropEnabled = "OfxParamPropEnabled";
inline constexpr const char *kParamPropDataPtr = "OfxParamPropDataPtr";
inline constexpr const char *kParamPropChoiceOption = "OfxParamPropChoiceOption";
inline constexpr const char *kParamPropChoiceOrder = "OfxParamPropChoiceOrder";
inline constexpr const char *kParamPropChoiceEnum = "OfxParamPropChoiceEnum";
inline constexpr const char *kParamHostPropSupportsStrChoiceAnimation =
    "OfxParamHostPropSupportsStrChoiceAnimation";
inline constexpr const char *kParamHostPropSupportsStrChoice = "OfxParamHostPropSupportsStrChoice";
inline constexpr const char *kParamPropMin = "OfxParamPropMin";
inline constexpr const char *kParamPropMax = "OfxParamPropMax";
inline constexpr const char *kParamPropDisplayMin = "OfxParamPropDisplayMin";
inline constexpr const char *kParamPropDisplayMax = "OfxParamPropDisplayMax";
inline constexpr const char *kParamPropIncrement = "OfxParamPropIncrement";
inline constexpr const char *kParamPropDigits = "OfxParamPropDigits";
inline constexpr const char *kParamPropDimensionLabel = "OfxParamPropDimensionLabel";
inline constexpr const char *kParamPropIsAutoKeying = "OfxParamPropIsAutoKeying";
inline constexpr const char *kParamPropCustomInterpCallbackV1 = "OfxParamPropCustomCallbackV1";
inline constexpr const char *kParamPropStringMode = "OfxParamPropStringMode";
inline constexpr const char *kParamPropStringFilePathExists = "OfxParamPropStringFilePathExists";
inline constexpr const char *kParamStringIsSingleLine = "OfxParamStringIsSingleLine";
inline constexpr const char *kParamStringIsMultiLine = "OfxParamStringIsMultiLine";
inline constexpr const char *kParamStringIsFilePath = "OfxParamStringIsFilePath";
inline constexpr const char *kParamStringIsDirectoryPath = "OfxParamStringIsDirectoryPath";
inline constexpr const char *kParamStringIsLabel = "OfxParamStringIsLabel";
inline constexpr const char *kParamStringIsRichTextFormat = "OfxParamStringIsRichTextFormat";
inline constexpr const char *kParamPropCustomValue = "OfxParamPropCustomValue";
inline constexpr const char *kParamPropInterpolationTime = "OfxParamPropInterpolationTime";
inline constexpr const char *kParamPropInterpolationAmount = "OfxParamPropInterpolationAmount";

// ofxMemory.h
inline constexpr const char *kMemorySuite = "OfxMemorySuite";

// ofxMultiThread.h
inline constexpr const char *kMultiThreadSuite = "OfxMultiThreadSuite";

// ofxMessage.h
inline constexpr const char *kMessageSuite = "OfxMessageSuite";
inline constexpr const char *kMessageFatal = "OfxMessageFatal";
inline constexpr const char *kMessageError = "OfxMessageError";
inline constexpr const char *kMessageWarning = "OfxMessageWarning";
inline constexpr const char *kMessageMessage = "OfxMessageMessage";
inline constexpr const char *kMessageLog = "OfxMessageLog";
inline constexpr const char *kMessageQuestion = "OfxMessageQuestion";

// ofxProgress.h
inline constexpr const char *kProgressSuite = "OfxProgressSuite";

// ofxTimeLine.h
inline constexpr const char *kTimeLineSuite = "OfxTimeLineSuite";

// ofxGPURender.h: what a CPU filter declares and may be told
inline constexpr const char *kImageEffectPropOpenGLRenderSupported =
    "OfxImageEffectPropOpenGLRenderSupported";
inline constexpr const char *kImageEffectPropOpenGLEnabled = "OfxImageEffectPropOpenGLEnabled";
inline constexpr const char *kImageEffectPropCPURenderSupported =
    "OfxImageEffectPropCPURenderSupported";
inline constexpr Status kStatGPUOutOfMemory = 1001;
inline constexpr Status kStatGLOutOfMemory = 1001;
inline constexpr Status kStatGPURenderFailed = 1002;
inline constexpr Status kStatGLRenderFailed = 1002;
inline constexpr const char *kImageEffectPropCudaRenderSupported =
    "OfxImageEffectPropCudaRenderSupported";
inline constexpr const char *kImageEffectPropCudaEnabled = "OfxImageEffectPropCudaEnabled";
inline constexpr const char *kImageEffectPropCudaStreamSupported =
    "OfxImageEffectPropCudaStreamSupported";
inline constexpr const char *kImageEffectPropMetalRenderSupported =
    "OfxImageEffectPropMetalRenderSupported";
inline constexpr const char *kImageEffectPropMetalEnabled = "OfxImageEffectPropMetalEnabled";
inline constexpr const char *kImageEffectPropOpenCLRenderSupported =
    "OfxImageEffectPropOpenCLRenderSupported";
inline constexpr const char *kImageEffectPropOpenCLSupported = "OfxImageEffectPropOpenCLSupported";
inline constexpr const char *kImageEffectPropOpenCLEnabled = "OfxImageEffectPropOpenCLEnabled";

// Names built at run time: prefix + clip name.
inline constexpr const char *kImageClipPropComponentsPrefix = "OfxImageClipPropComponents_";
inline constexpr const char *kImageClipPropDepthPrefix = "OfxImageClipPropDepth_";
inline constexpr const char *kImageClipPropPARPrefix = "OfxImageClipPropPAR_";
inline constexpr const char *kImageClipPropRoIPrefix = "OfxImageClipPropRoI_";
inline constexpr const char *kImageClipPropFrameRangePrefix = "OfxImageClipPropFrameRange_";

} // namespace ofx
