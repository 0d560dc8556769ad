// The property suite: plain functions over PropertySet.
#include "ledger.h"
#include "properties.h"

namespace host {

namespace {

using Set = ofx::PropertySetHandle;

template <typename T>
ofx::Status setOne(const char *function, Set handle, const char *name, int index, T value)
{
    noteCall(function);
    const auto set = resolve<PropertySet>(handle, function);
    return set ? set->assign(function, name, index, Cell(std::move(value)))
               : ofx::kStatErrBadHandle;
}

template <typename T, typename V>
ofx::Status setMany(const char *function, Set handle, const char *name, int count, const V *values)
{
    noteCall(function);
    const auto set = resolve<PropertySet>(handle, function);
    if (!set) {
        return ofx::kStatErrBadHandle;
    }
    std::vector<Cell> cells;
    for (int i = 0; values != nullptr && i < count; ++i) {
        if constexpr (std::is_same_v<V, const char *>) {
            cells.emplace_back(std::string(values[i] == nullptr ? "" : values[i]));
        } else {
            cells.emplace_back(static_cast<T>(values[i]));
        }
    }
    return set->assignAll(function, name, std::move(cells));
}

template <typename T, typename V>
ofx::Status get(const char *function, Set handle, const char *name, int first, int count, V *out)
{
    noteCall(function);
    const auto set = resolve<PropertySet>(handle, function);
    if (!set) {
        return ofx::kStatErrBadHandle;
    }
    if (out == nullptr) {
        violation(std::string(function) + " was given no place for its answer.");
        return ofx::kStatErrValue;
    }
    const auto kind = static_cast<Kind>(Cell(T()).index());
    return set->read(function, name, kind, first, count, [out](const Cell &cell, int i) {
        if constexpr (std::is_same_v<T, std::string>) {
            out[i] = const_cast<char *>(std::get<std::string>(cell).c_str());
        } else {
            out[i] = std::get<T>(cell);
        }
    });
}

ofx::Status setPointer(Set set, const char *name, int index, void *value)
{
    return setOne("propSetPointer", set, name, index, value);
}

ofx::Status setString(Set set, const char *name, int index, const char *value)
{
    if (value == nullptr) {
        violation("propSetString was given a null string.");
        return ofx::kStatErrValue;
    }
    return setOne("propSetString", set, name, index, std::string(value));
}

ofx::Status setDouble(Set set, const char *name, int index, double value)
{
    return setOne("propSetDouble", set, name, index, value);
}

ofx::Status setInt(Set set, const char *name, int index, int value)
{
    return setOne("propSetInt", set, name, index, value);
}

ofx::Status setPointerN(Set set, const char *name, int count, void *const *values)
{
    return setMany<void *>("propSetPointerN", set, name, count, values);
}

ofx::Status setStringN(Set set, const char *name, int count, const char *const *values)
{
    return setMany<std::string>("propSetStringN", set, name, count, values);
}

ofx::Status setDoubleN(Set set, const char *name, int count, const double *values)
{
    return setMany<double>("propSetDoubleN", set, name, count, values);
}

ofx::Status setIntN(Set set, const char *name, int count, const int *values)
{
    return setMany<int>("propSetIntN", set, name, count, values);
}

ofx::Status getPointer(Set set, const char *name, int index, void **value)
{
    return get<void *>("propGetPointer", set, name, index, 1, value);
}

ofx::Status getString(Set set, const char *name, int index, char **value)
{
    return get<std::string>("propGetString", set, name, index, 1, value);
}

ofx::Status getDouble(Set set, const char *name, int index, double *value)
{
    return get<double>("propGetDouble", set, name, index, 1, value);
}

ofx::Status getInt(Set set, const char *name, int index, int *value)
{
    return get<int>("propGetInt", set, name, index, 1, value);
}

ofx::Status getPointerN(Set set, const char *name, int count, void **values)
{
    return get<void *>("propGetPointerN", set, name, 0, count, values);
}

ofx::Status getStringN(Set set, const char *name, int count, char **values)
{
    return get<std::string>("propGetStringN", set, name, 0, count, values);
}

ofx::Status getDoubleN(Set set, const char *name, int count, double *values)
{
    return get<double>("propGetDoubleN", set, name, 0, count, values);
}

ofx::Status getIntN(Set set, const char *name, int count, int *values)
{
    return get<int>("propGetIntN", set, name, 0, count, values);
}

ofx::Status reset(Set handle, const char *name)
{
    const auto set = resolve<PropertySet>(handle, "propReset");
    return set ? set->reset(name) : ofx::kStatErrBadHandle;
}

ofx::Status getDimension(Set handle, const char *name, int *count)
{
    const auto set = resolve<PropertySet>(handle, "propGetDimension");
    return set ? set->dimension(name, count) : ofx::kStatErrBadHandle;
}

} // namespace

const ofx::PropertySuiteV1 &propertySuite()
{
    static const ofx::PropertySuiteV1 suite = {setPointer, setString, setDouble, setInt,
        setPointerN, setStringN, setDoubleN, setIntN, getPointer, getString, getDouble, getInt,
        getPointerN, getStringN, getDoubleN, getIntN, reset, getDimension};
    return suite;
}

} // namespace host
