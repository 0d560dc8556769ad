// Parameters: their definition, values and keyframes.
#pragma once

#include "properties.h"

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace host {

class Effect;
class ParamSet;

struct Value {
    std::vector<double> numbers; // ints, booleans and choices too
    std::string text;
};

enum class Holds { Ints, Doubles, Text, Data, Nothing };

struct ParamType {
    const char *name;
    int count;
    Holds holds;
};

const ParamType *findParamType(std::string_view name);

class Param : public Handled {
  public:
    Param(ParamSet &set, std::string name, const ParamType &type);

    // An instance's parameter made from a descriptor's, at its default value.
    Param(ParamSet &set, const Param &descriptor);
    ~Param() override;

    Value now() const; // the value at the effect's current time
    Value at(double time) const;
    void assign(Value value); // drops no keys, as long as there are none; else sets all of them
    void assignKey(double time, Value value);
    std::map<double, Value> keys() const;
    void replaceKeys(std::map<double, Value> keys);
    void copyValues(const Param &other);

    // Reads a value as a user writes it; `problem` says what is wrong with the text.
    bool parse(const std::string &text, Value &value, std::string &problem) const;
    std::string json(const Value &value) const;

    ParamSet &owner;
    const std::string name;
    const ParamType &type;
    const std::shared_ptr<PropertySet> props;

  private:
    Value defaultValue() const;
    bool parseChoice(const std::string &text, Value &value, std::string &problem) const;
    void showAnimation();

    mutable std::mutex mutex_;
    Value value_;
    std::map<double, Value> keys_;
};

class ParamSet : public Handled {
  public:
    explicit ParamSet(Effect &effect);
    ~ParamSet() override;

    std::shared_ptr<Param> find(std::string_view name) const;
    void add(const std::shared_ptr<Param> &param) { all.push_back(param); }

    Effect &effect;
    const std::shared_ptr<PropertySet> props;
    std::vector<std::shared_ptr<Param>> all;
    int openEdits = 0;
};

const ofx::ParameterSuiteV1 &parameterSuite();

} // namespace host
