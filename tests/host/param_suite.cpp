// The parameter suite.
#include "effect.h"
#include "ledger.h"

#include <cstdarg>
#include <map>
#include <thread>

namespace host {

namespace {

ofx::Status define(ofx::ParamSetHandle handle, const char *type, const char *name,
    ofx::PropertySetHandle *properties)
{
    const auto set = resolve<ParamSet>(handle, "paramDefine");
    if (!set) {
        return ofx::kStatErrBadHandle;
    }
    const Scope *scope = currentScope();
    if (scope == nullptr
        || std::string_view(scope->action) != ofx::kImageEffectActionDescribeInContext) {
        violation("paramDefine was called outside of DescribeInContext.");
        return ofx::kStatFailed;
    }
    const ParamType *found = type == nullptr ? nullptr : findParamType(type);
    if (found == nullptr || name == nullptr || *name == '\0') {
        violation(std::string("paramDefine was given an unknown type or no name: ")
            + (type == nullptr ? "null" : type));
        return ofx::kStatErrUnknown;
    }
    if (set->find(name)) {
        violation(std::string("Two parameters are named ") + name + ".");
        return ofx::kStatErrExists;
    }
    const auto param = makeHandled<Param>(*set, name, *found);
    set->add(param);
    if (properties != nullptr) {
        *properties = param->props->handle<ofx::PropertySetHandle>();
    }
    return ofx::kStatOK;
}

ofx::Status getHandle(ofx::ParamSetHandle handle, const char *name, ofx::ParamHandle *out,
    ofx::PropertySetHandle *properties)
{
    const auto set = resolve<ParamSet>(handle, "paramGetHandle");
    if (!set) {
        return ofx::kStatErrBadHandle;
    }
    const auto param = name == nullptr ? nullptr : set->find(name);
    if (!param || out == nullptr) {
        violation(std::string("paramGetHandle was asked for a parameter that was not defined: ")
            + (name == nullptr ? "null" : name));
        return ofx::kStatErrUnknown;
    }
    *out = param->handle<ofx::ParamHandle>();
    if (properties != nullptr) {
        *properties = param->props->handle<ofx::PropertySetHandle>();
    }
    return ofx::kStatOK;
}

ofx::Status getSetProperties(ofx::ParamSetHandle handle, ofx::PropertySetHandle *out)
{
    const auto set = resolve<ParamSet>(handle, "paramSetGetPropertySet");
    if (!set || out == nullptr) {
        return ofx::kStatErrBadHandle;
    }
    *out = set->props->handle<ofx::PropertySetHandle>();
    return ofx::kStatOK;
}

ofx::Status getProperties(ofx::ParamHandle handle, ofx::PropertySetHandle *out)
{
    const auto param = resolve<Param>(handle, "paramGetPropertySet");
    if (!param || out == nullptr) {
        return ofx::kStatErrBadHandle;
    }
    *out = param->props->handle<ofx::PropertySetHandle>();
    return ofx::kStatOK;
}

// A parameter of an instance that holds a value.
std::shared_ptr<Param> valueParam(ofx::ParamHandle handle, const char *function)
{
    noteCall(function);
    auto param = resolve<Param>(handle, function);
    if (!param) {
        return nullptr;
    }
    if (!param->owner.effect.isInstance || param->type.holds == Holds::Nothing) {
        violation(std::string(function) + "(" + param->name
            + "): the parameter is of a descriptor, or of a type without a value.");
        return nullptr;
    }
    return param;
}

// A text stays valid until anybody asks for the same parameter again.
char *lendText(const Param &param, const std::string &text)
{
    static std::mutex mutex;
    static std::map<std::uintptr_t, std::unique_ptr<std::string>> lent;
    char *data = nullptr;
    {
        const std::lock_guard lock(mutex);
        auto &place = lent[param.id()];
        place = std::make_unique<std::string>(text);
        data = place->data();
    }
#if defined(__SANITIZE_ADDRESS__)
    std::this_thread::sleep_for(std::chrono::microseconds(20)); // others have time to ask
#endif
    return data;
}

void giveValue(const Param &param, const Value &value, std::va_list args)
{
    if (param.type.holds == Holds::Data) {
        auto *out = va_arg(args, ofx::Bytes *);
        out->data = reinterpret_cast<unsigned char *>(lendText(param, value.text));
        out->length = value.text.size();
        return;
    }
    if (param.type.holds == Holds::Text) {
        *va_arg(args, char **) = lendText(param, value.text);
        return;
    }
    for (const double number : value.numbers) {
        if (param.type.holds == Holds::Ints) {
            *va_arg(args, int *) = static_cast<int>(number);
        } else {
            *va_arg(args, double *) = number;
        }
    }
}

Value takeValue(const Param &param, std::va_list args)
{
    Value value;
    if (param.type.holds == Holds::Data) {
        const auto *bytes = va_arg(args, const ofx::Bytes *);
        value.text.assign(reinterpret_cast<const char *>(bytes->data), bytes->length);
        return value;
    }
    if (param.type.holds == Holds::Text) {
        const char *text = va_arg(args, const char *);
        if (text == nullptr) {
            violation("A null string was set as the value of " + param.name + ".");
        }
        value.text = text == nullptr ? "" : text;
        return value;
    }
    for (int i = 0; i < param.type.count; ++i) {
        value.numbers.push_back(param.type.holds == Holds::Ints
                ? static_cast<double>(va_arg(args, int))
                : va_arg(args, double));
    }
    return value;
}

ofx::Status getValue(ofx::ParamHandle handle, ...)
{
    const auto param = valueParam(handle, "paramGetValue");
    if (!param) {
        return ofx::kStatErrBadHandle;
    }
    std::va_list args;
    va_start(args, handle);
    giveValue(*param, param->now(), args);
    va_end(args);
    return ofx::kStatOK;
}

ofx::Status getValueAtTime(ofx::ParamHandle handle, ofx::Time time, ...)
{
    const auto param = valueParam(handle, "paramGetValueAtTime");
    if (!param) {
        return ofx::kStatErrBadHandle;
    }
    std::va_list args;
    va_start(args, time);
    giveValue(*param, param->at(time), args);
    va_end(args);
    return ofx::kStatOK;
}

ofx::Status getDerivative(ofx::ParamHandle, ofx::Time, ...) { return ofx::kStatErrUnsupported; }

ofx::Status getIntegral(ofx::ParamHandle, ofx::Time, ofx::Time, ...)
{
    return ofx::kStatErrUnsupported;
}

// Allowed or not, the value is set afterwards as a lenient host would do.
std::shared_ptr<Param> paramToChange(ofx::ParamHandle handle, const char *function)
{
    auto param = valueParam(handle, function);
    const Scope *scope = currentScope();
    if (param && (scope == nullptr || !scope->maySetParams())) {
        violation(std::string(function) + "(" + param->name + ") was called "
            + (scope == nullptr ? "on a thread outside of any action"
                                : std::string("in ") + scope->action)
            + ", where parameters must not be set.");
    }
    return param;
}

void tellChange(const Param &param)
{
    Scope *scope = currentScope();
    if (scope != nullptr && scope->effect != nullptr) {
        Scope &outermost = scope->outermost();
        {
            const std::lock_guard lock(outermost.mutex);
            outermost.changed.push_back(param.name);
        }
        tellPluginEdited(*scope->effect, param.name, scope->time);
    }
}

ofx::Status setValue(ofx::ParamHandle handle, ...)
{
    const auto param = paramToChange(handle, "paramSetValue");
    if (!param) {
        return ofx::kStatErrBadHandle;
    }
    std::va_list args;
    va_start(args, handle);
    param->assign(takeValue(*param, args));
    va_end(args);
    tellChange(*param);
    return ofx::kStatOK;
}

ofx::Status setValueAtTime(ofx::ParamHandle handle, ofx::Time time, ...)
{
    const auto param = paramToChange(handle, "paramSetValueAtTime");
    if (!param) {
        return ofx::kStatErrBadHandle;
    }
    std::va_list args;
    va_start(args, time);
    param->assignKey(time, takeValue(*param, args));
    va_end(args);
    tellChange(*param);
    return ofx::kStatOK;
}

ofx::Status getNumKeys(ofx::ParamHandle handle, unsigned int *count)
{
    const auto param = valueParam(handle, "paramGetNumKeys");
    if (!param || count == nullptr) {
        return ofx::kStatErrBadHandle;
    }
    *count = static_cast<unsigned int>(param->keys().size());
    return ofx::kStatOK;
}

ofx::Status getKeyTime(ofx::ParamHandle handle, unsigned int nth, ofx::Time *time)
{
    const auto param = valueParam(handle, "paramGetKeyTime");
    if (!param || time == nullptr) {
        return ofx::kStatErrBadHandle;
    }
    const auto keys = param->keys();
    if (nth >= keys.size()) {
        return ofx::kStatErrBadIndex;
    }
    *time = std::next(keys.begin(), static_cast<std::ptrdiff_t>(nth))->first;
    return ofx::kStatOK;
}

// The key at a time (direction 0), or the next one before (-1) or after it (1).
ofx::Status getKeyIndex(ofx::ParamHandle handle, ofx::Time time, int direction, int *index)
{
    const auto param = valueParam(handle, "paramGetKeyIndex");
    if (!param || index == nullptr) {
        return ofx::kStatErrBadHandle;
    }
    const auto keys = param->keys();
    auto found = direction > 0 ? keys.upper_bound(time) : keys.lower_bound(time);
    if (direction < 0) {
        found = found == keys.begin() ? keys.end() : std::prev(found);
    }
    if (found == keys.end() || (direction == 0 && found->first != time)) {
        return ofx::kStatFailed;
    }
    *index = static_cast<int>(std::distance(keys.begin(), found));
    return ofx::kStatOK;
}

ofx::Status deleteKey(ofx::ParamHandle handle, ofx::Time time)
{
    const auto param = paramToChange(handle, "paramDeleteKey");
    if (!param) {
        return ofx::kStatErrBadHandle;
    }
    auto keys = param->keys();
    if (keys.erase(time) == 0) {
        return ofx::kStatErrBadIndex;
    }
    param->replaceKeys(keys);
    tellChange(*param);
    return ofx::kStatOK;
}

ofx::Status deleteAllKeys(ofx::ParamHandle handle)
{
    const auto param = paramToChange(handle, "paramDeleteAllKeys");
    if (!param) {
        return ofx::kStatErrBadHandle;
    }
    param->replaceKeys({});
    tellChange(*param);
    return ofx::kStatOK;
}

ofx::Status copy(ofx::ParamHandle to, ofx::ParamHandle from, ofx::Time offset,
    const ofx::RangeD *range)
{
    const auto target = paramToChange(to, "paramCopy");
    const auto origin = valueParam(from, "paramCopy");
    if (!target || !origin || &target->type != &origin->type) {
        return ofx::kStatErrBadHandle;
    }
    std::map<double, Value> keys;
    for (const auto &[time, value] : origin->keys()) {
        if (range == nullptr || (time >= range->min && time <= range->max)) {
            keys[time + offset] = value;
        }
    }
    target->replaceKeys(keys);
    if (keys.empty()) {
        target->assign(origin->now());
    }
    tellChange(*target);
    return ofx::kStatOK;
}

ofx::Status editBegin(ofx::ParamSetHandle handle, const char *)
{
    const auto set = resolve<ParamSet>(handle, "paramEditBegin");
    if (!set) {
        return ofx::kStatErrBadHandle;
    }
    ++set->openEdits;
    return ofx::kStatOK;
}

ofx::Status editEnd(ofx::ParamSetHandle handle)
{
    const auto set = resolve<ParamSet>(handle, "paramEditEnd");
    if (!set) {
        return ofx::kStatErrBadHandle;
    }
    if (set->openEdits == 0) {
        violation("paramEditEnd was called without paramEditBegin.");
        return ofx::kStatFailed;
    }
    --set->openEdits;
    return ofx::kStatOK;
}

} // namespace

const ofx::ParameterSuiteV1 &parameterSuite()
{
    static const ofx::ParameterSuiteV1 suite = {define, getHandle, getSetProperties, getProperties,
        getValue, getValueAtTime, getDerivative, getIntegral, setValue, setValueAtTime, getNumKeys,
        getKeyTime, getKeyIndex, deleteKey, deleteAllKeys, copy, editBegin, editEnd};
    return suite;
}

} // namespace host
