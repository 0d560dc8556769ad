// Property sets and the property suite.
#pragma once

#include "../../ofx_bridge/abi.h"
#include "handles.h"

#include <functional>
#include <map>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace host {

// The order of the alternatives is the order of Kind.
using Cell = std::variant<void *, std::string, double, int>;
enum class Kind { Pointer, String, Double, Int };

enum class Access { Read, Write };

struct Definition {
    const char *name;
    Kind kind;
    int dimension; // 0: any number
    Access access;
};

struct Property {
    Kind kind = Kind::Int;
    int dimension = 1;
    bool writable = false;
    bool touched = false; // by the plug-in
    std::vector<Cell> cells;
    std::vector<Cell> original; // what propReset goes back to
};

class PropertySet : public Handled {
  public:
    explicit PropertySet(std::string title) : title_(std::move(title)) {}

    // The host's side.
    void define(const Definition &definition);
    void define(std::span<const Definition> definitions);
    void put(const std::string &name, std::vector<Cell> cells); // defined already
    void put(const std::string &name, Cell cell) { put(name, std::vector<Cell>{std::move(cell)}); }
    void add(const std::string &name, Access access, std::vector<Cell> cells); // defines it too
    void erase(const std::string &name);
    void copyFrom(const PropertySet &other); // values of those properties that both have
    void freezeExcept(bool (*changeable)(std::string_view name));
    bool has(const std::string &name) const;
    std::vector<Cell> cells(const std::string &name) const;
    std::string text(const std::string &name) const;
    int integer(const std::string &name) const;
    double number(const std::string &name, std::size_t index = 0) const;
    std::vector<std::string> texts(const std::string &name) const;
    std::vector<std::string> touched() const;
    std::string json() const;
    const std::string &title() const { return title_; }

    // The plug-in's side: records violations.
    ofx::Status assign(const char *function, const char *name, int index, Cell cell);
    ofx::Status assignAll(const char *function, const char *name, std::vector<Cell> cells);
    ofx::Status reset(const char *name);
    ofx::Status dimension(const char *name, int *count) const;

    // Calls take(cell, i) for `count` cells from `first` on.
    ofx::Status read(const char *function, const char *name, Kind kind, int first, int count,
        const std::function<void(const Cell &, int)> &take) const;

  private:
    Property *writable(const char *function, const char *name, Kind kind, ofx::Status &status);
    const Property *readable(const char *function, const char *name) const;
    void complain(const char *function, const char *name, const std::string &what) const;

    std::string title_;
    std::map<std::string, Property, std::less<>> properties_;
    mutable std::shared_mutex mutex_;
};

const ofx::PropertySuiteV1 &propertySuite();

} // namespace host
