#include "params.h"

#include "effect.h"
#include "json.h"
#include "property_tables.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdlib>

namespace host {

namespace {

constexpr ParamType kTypes[] = {
    {ofx::kParamTypeInteger, 1, Holds::Ints},
    {ofx::kParamTypeInteger2D, 2, Holds::Ints},
    {ofx::kParamTypeInteger3D, 3, Holds::Ints},
    {ofx::kParamTypeBoolean, 1, Holds::Ints},
    {ofx::kParamTypeChoice, 1, Holds::Ints},
    {ofx::kParamTypeDouble, 1, Holds::Doubles},
    {ofx::kParamTypeDouble2D, 2, Holds::Doubles},
    {ofx::kParamTypeDouble3D, 3, Holds::Doubles},
    {ofx::kParamTypeRGB, 3, Holds::Doubles},
    {ofx::kParamTypeRGBA, 4, Holds::Doubles},
    {ofx::kParamTypeString, 1, Holds::Text},
    {ofx::kParamTypeStrChoice, 1, Holds::Text},
    {ofx::kParamTypeCustom, 1, Holds::Text},
    {ofx::kParamTypeBytes, 1, Holds::Data},
    {ofx::kParamTypeGroup, 0, Holds::Nothing},
    {ofx::kParamTypePage, 0, Holds::Nothing},
    {ofx::kParamTypePushButton, 0, Holds::Nothing},
};

bool isType(const ParamType &type, const char *name) { return std::string_view(type.name) == name; }

void defineNumbers(PropertySet &props, const ParamType &type)
{
    const bool ints = type.holds == Holds::Ints;
    const bool colour = isType(type, ofx::kParamTypeRGB) || isType(type, ofx::kParamTypeRGBA);
    const double most = colour ? 1.0 : DBL_MAX;
    const double least = colour ? 0.0 : -DBL_MAX;
    const auto count = static_cast<std::size_t>(type.count);
    const Cell top = ints ? Cell(INT_MAX) : Cell(most);
    const Cell bottom = ints ? Cell(INT_MIN) : Cell(least);
    for (const char *name : {ofx::kParamPropMax, ofx::kParamPropDisplayMax}) {
        props.add(name, Access::Write, std::vector<Cell>(count, top));
    }
    for (const char *name : {ofx::kParamPropMin, ofx::kParamPropDisplayMin}) {
        props.add(name, Access::Write, std::vector<Cell>(count, bottom));
    }
    if (type.count > 1 && !colour) {
        props.add(ofx::kParamPropDimensionLabel, Access::Write,
            std::vector<Cell>(count, std::string()));
    }
    if (!ints && !colour) {
        props.add(ofx::kParamPropIncrement, Access::Write, {1.0});
        props.add(ofx::kParamPropDigits, Access::Write, {2});
        props.add(ofx::kParamPropDoubleType, Access::Write,
            {std::string(ofx::kParamDoubleTypePlain)});
        props.add(ofx::kParamPropDefaultCoordinateSystem, Access::Write,
            {std::string(ofx::kParamCoordinatesCanonical)});
        props.add(ofx::kParamPropShowTimeMarker, Access::Write, {0});
    }
}

void defineSpecial(PropertySet &props, const ParamType &type)
{
    const bool strChoice = isType(type, ofx::kParamTypeStrChoice);
    if (isType(type, ofx::kParamTypeChoice) || strChoice) {
        props.define({ofx::kParamPropChoiceOption, Kind::String, 0, Access::Write});
        props.define({ofx::kParamPropChoiceOrder, Kind::Int, 0, Access::Write});
        if (strChoice) {
            props.define({ofx::kParamPropChoiceEnum, Kind::String, 0, Access::Write});
        }
    } else if (isType(type, ofx::kParamTypeString)) {
        props.add(ofx::kParamPropStringMode, Access::Write,
            {std::string(ofx::kParamStringIsSingleLine)});
        props.add(ofx::kParamPropStringFilePathExists, Access::Write, {1});
    } else if (isType(type, ofx::kParamTypeCustom)) {
        props.define({ofx::kParamPropCustomInterpCallbackV1, Kind::Pointer, 1, Access::Write});
    } else if (isType(type, ofx::kParamTypeGroup)) {
        props.add(ofx::kParamPropGroupOpen, Access::Write, {1});
    } else if (isType(type, ofx::kParamTypePage)) {
        props.define({ofx::kParamPropPageChild, Kind::String, 0, Access::Write});
    } else if (type.holds == Holds::Doubles
        || (type.holds == Holds::Ints && !isType(type, ofx::kParamTypeBoolean))) {
        defineNumbers(props, type);
    }
}

void defineValue(PropertySet &props, const ParamType &type)
{
    props.define(valueParamProperties());
    const auto count = static_cast<std::size_t>(type.count);
    if (type.holds == Holds::Text) {
        props.add(ofx::kParamPropDefault, Access::Write, {std::string()});
    } else if (type.holds == Holds::Ints) {
        props.add(ofx::kParamPropDefault, Access::Write, std::vector<Cell>(count, 0));
    } else if (type.holds == Holds::Doubles) {
        props.add(ofx::kParamPropDefault, Access::Write, std::vector<Cell>(count, 0.0));
    }
    const bool animates = type.holds == Holds::Doubles || isType(type, ofx::kParamTypeInteger);
    props.put(ofx::kParamPropAnimates, Cell(animates ? 1 : 0));
    for (const char *name : {ofx::kParamPropPersistant, ofx::kParamPropEvaluateOnChange,
             ofx::kParamPropCanUndo}) {
        props.put(name, Cell(1));
    }
    props.put(ofx::kParamPropCacheInvalidation,
        Cell(std::string(ofx::kParamInvalidateValueChange)));
}

std::shared_ptr<PropertySet> paramProps(const std::string &name, const ParamType &type)
{
    auto props = makeHandled<PropertySet>("parameter " + name);
    props->define(paramProperties());
    if (type.holds != Holds::Nothing) {
        defineValue(*props, type);
    }
    defineSpecial(*props, type);
    props->put(ofx::kPropType, Cell(std::string(ofx::kTypeParameter)));
    props->put(ofx::kPropName, Cell(name));
    props->put(ofx::kParamPropType, Cell(std::string(type.name)));
    props->put(ofx::kParamPropEnabled, Cell(1));
    for (const char *label : {ofx::kPropLabel, ofx::kParamPropScriptName}) {
        props->put(label, Cell(name));
    }
    return props;
}

// On an instance most properties are fixed.
std::shared_ptr<PropertySet> instanceProps(const Param &descriptor)
{
    const ParamType &type = descriptor.type;
    auto props = paramProps(descriptor.name, type);
    props->copyFrom(*descriptor.props);
    props->freezeExcept(isChangeableOnInstance);
    props->put(ofx::kPropType, Cell(std::string(ofx::kTypeParameterInstance)));
    return props;
}

double between(double a, double b, double amount) { return a + (b - a) * amount; }

} // namespace

const ParamType *findParamType(std::string_view name)
{
    const auto found = std::ranges::find_if(kTypes, [&](const auto &t) { return name == t.name; });
    return found == std::end(kTypes) ? nullptr : &*found;
}

Param::Param(ParamSet &set, std::string paramName, const ParamType &paramType)
    : owner(set), name(std::move(paramName)), type(paramType), props(paramProps(name, type))
{
}

Param::Param(ParamSet &set, const Param &descriptor)
    : owner(set), name(descriptor.name), type(descriptor.type), props(instanceProps(descriptor)),
      value_(defaultValue())
{
}

Param::~Param() { dismiss(*props); }

Value Param::defaultValue() const
{
    Value value;
    for (const Cell &cell : props->cells(ofx::kParamPropDefault)) {
        if (const auto *whole = std::get_if<int>(&cell)) {
            value.numbers.push_back(*whole);
        } else if (const auto *number = std::get_if<double>(&cell)) {
            value.numbers.push_back(*number);
        } else if (const auto *text = std::get_if<std::string>(&cell)) {
            value.text = *text;
        }
    }
    return value;
}

Value Param::now() const { return at(owner.effect.currentTime()); }

Value Param::at(double time) const
{
    const std::lock_guard lock(mutex_);
    if (keys_.empty()) {
        return value_;
    }
    const auto next = keys_.upper_bound(time);
    if (next == keys_.begin()) {
        return next->second;
    }
    const auto last = std::prev(next);
    if (next == keys_.end() || type.holds != Holds::Doubles) {
        return last->second;
    }
    Value value = last->second;
    const double amount = (time - last->first) / (next->first - last->first);
    for (std::size_t i = 0; i < value.numbers.size(); ++i) {
        value.numbers[i] = between(value.numbers[i], next->second.numbers[i], amount);
    }
    return value;
}

void Param::assign(Value value)
{
    const std::lock_guard lock(mutex_);
    for (auto &[time, key] : keys_) {
        key = value;
    }
    value_ = std::move(value);
}

void Param::assignKey(double time, Value value)
{
    const std::lock_guard lock(mutex_);
    keys_[time] = std::move(value);
    showAnimation();
}

std::map<double, Value> Param::keys() const
{
    const std::lock_guard lock(mutex_);
    return keys_;
}

void Param::replaceKeys(std::map<double, Value> keys)
{
    const std::lock_guard lock(mutex_);
    if (keys.empty() && !keys_.empty()) {
        value_ = keys_.begin()->second;
    }
    keys_ = std::move(keys);
    showAnimation();
}

void Param::copyValues(const Param &other)
{
    const auto keys = other.keys();
    const Value value = other.at(0.0);
    const std::lock_guard lock(mutex_);
    value_ = value;
    keys_ = keys;
    showAnimation();
}

void Param::showAnimation()
{
    props->put(ofx::kParamPropIsAnimating, Cell(keys_.empty() ? 0 : 1));
}

bool Param::parseChoice(const std::string &text, Value &value, std::string &problem) const
{
    const auto options = props->texts(ofx::kParamPropChoiceOption);
    const auto named = std::ranges::find(options, text);
    if (named != options.end()) {
        value.numbers = {static_cast<double>(named - options.begin())};
        return true;
    }
    char *end = nullptr;
    const long index = std::strtol(text.c_str(), &end, 10);
    if (text.empty() || *end != '\0' || index < 0 || index >= static_cast<long>(options.size())) {
        problem = "\"" + text + "\" is no option of " + name + ".";
        return false;
    }
    value.numbers = {static_cast<double>(index)};
    return true;
}

bool Param::parse(const std::string &text, Value &value, std::string &problem) const
{
    if (type.holds == Holds::Nothing) {
        problem = name + " holds no value.";
        return false;
    }
    if (type.holds == Holds::Text || type.holds == Holds::Data) {
        value.text = text;
        return true;
    }
    if (isType(type, ofx::kParamTypeChoice)) {
        return parseChoice(text, value, problem);
    }
    const char *at = text.c_str();
    for (int i = 0; i < type.count; ++i) {
        char *end = nullptr;
        const double number = std::strtod(at, &end);
        const bool whole = type.holds == Holds::Doubles
            || (number == std::floor(number) && std::fabs(number) < 2147483648.0);
        if (end == at || !whole) {
            problem = name + " needs " + std::to_string(type.count) + " number(s), not \"" + text
                + "\".";
            return false;
        }
        value.numbers.push_back(number);
        at = *end == ',' ? end + 1 : end;
    }
    return true;
}

std::string Param::json(const Value &value) const
{
    if (type.holds == Holds::Nothing) {
        return "null";
    }
    if (type.holds == Holds::Text || type.holds == Holds::Data) {
        return quote(value.text);
    }
    return type.count == 1 ? toJson(value.numbers.at(0)) : jsonArray(value.numbers);
}

ParamSet::ParamSet(Effect &owner)
    : effect(owner), props(makeHandled<PropertySet>("a parameter set"))
{
    props->define(paramSetProperties());
}

ParamSet::~ParamSet()
{
    dismiss(*props);
    for (const auto &param : all) {
        dismiss(*param);
    }
}

std::shared_ptr<Param> ParamSet::find(std::string_view name) const
{
    const auto found = std::ranges::find_if(all, [&](const auto &p) { return p->name == name; });
    return found == all.end() ? nullptr : *found;
}

} // namespace host
