#include "properties.h"

#include "json.h"
#include "ledger.h"
#include "property_tables.h"

#include <algorithm>
#include <mutex>

namespace host {

namespace {

Cell emptyCell(Kind kind)
{
    switch (kind) {
    case Kind::Pointer: return static_cast<void *>(nullptr);
    case Kind::String: return std::string();
    case Kind::Double: return 0.0;
    case Kind::Int: break;
    }
    return 0;
}

std::string cellJson(const Cell &cell)
{
    switch (static_cast<Kind>(cell.index())) {
    case Kind::Pointer: return std::get<void *>(cell) == nullptr ? "null" : "\"pointer\"";
    case Kind::String: return quote(std::get<std::string>(cell));
    case Kind::Double: return toJson(std::get<double>(cell));
    case Kind::Int: break;
    }
    return toJson(std::get<int>(cell));
}

const char *kindName(Kind kind)
{
    static const char *const names[] = {"pointer", "string", "double", "int"};
    return names[static_cast<std::size_t>(kind)];
}

} // namespace

void PropertySet::define(const Definition &definition)
{
    Property property;
    property.kind = definition.kind;
    property.dimension = definition.dimension;
    property.writable = definition.access == Access::Write;
    property.cells.assign(static_cast<std::size_t>(definition.dimension), emptyCell(property.kind));
    property.original = property.cells;
    const std::unique_lock lock(mutex_);
    properties_[definition.name] = std::move(property);
}

void PropertySet::define(std::span<const Definition> definitions)
{
    for (const Definition &definition : definitions) {
        define(definition);
    }
}

void PropertySet::put(const std::string &name, std::vector<Cell> cells)
{
    const std::unique_lock lock(mutex_);
    const auto found = properties_.find(name);
    if (found == properties_.end()) {
        return;
    }
    found->second.original = cells;
    found->second.cells = std::move(cells);
}

void PropertySet::add(const std::string &name, Access access, std::vector<Cell> cells)
{
    Property property;
    property.kind = static_cast<Kind>(cells.at(0).index());
    property.dimension = static_cast<int>(cells.size());
    property.writable = access == Access::Write;
    property.original = cells;
    property.cells = std::move(cells);
    const std::unique_lock lock(mutex_);
    properties_[name] = std::move(property);
}

void PropertySet::erase(const std::string &name)
{
    const std::unique_lock lock(mutex_);
    properties_.erase(name);
}

void PropertySet::copyFrom(const PropertySet &other)
{
    const std::shared_lock theirs(other.mutex_);
    const std::unique_lock ours(mutex_);
    for (auto &[name, property] : properties_) {
        const auto found = other.properties_.find(name);
        if (found != other.properties_.end() && found->second.kind == property.kind) {
            property.cells = property.original = found->second.cells;
        }
    }
}

void PropertySet::freezeExcept(bool (*changeable)(std::string_view name))
{
    const std::unique_lock lock(mutex_);
    for (auto &[name, property] : properties_) {
        property.writable = property.writable && changeable(name);
    }
}

bool PropertySet::has(const std::string &name) const
{
    const std::shared_lock lock(mutex_);
    return properties_.contains(name);
}

std::vector<Cell> PropertySet::cells(const std::string &name) const
{
    const std::shared_lock lock(mutex_);
    const auto found = properties_.find(name);
    return found == properties_.end() ? std::vector<Cell>{} : found->second.cells;
}

std::string PropertySet::text(const std::string &name) const
{
    const auto all = texts(name);
    return all.empty() ? std::string() : all[0];
}

std::vector<std::string> PropertySet::texts(const std::string &name) const
{
    std::vector<std::string> out;
    for (const Cell &cell : cells(name)) {
        if (const auto *text = std::get_if<std::string>(&cell)) {
            out.push_back(*text);
        }
    }
    return out;
}

int PropertySet::integer(const std::string &name) const
{
    const auto all = cells(name);
    return all.empty() || !std::holds_alternative<int>(all[0]) ? 0 : std::get<int>(all[0]);
}

double PropertySet::number(const std::string &name, std::size_t index) const
{
    const auto all = cells(name);
    if (index >= all.size() || !std::holds_alternative<double>(all[index])) {
        return 0.0;
    }
    return std::get<double>(all[index]);
}

std::vector<std::string> PropertySet::touched() const
{
    const std::shared_lock lock(mutex_);
    std::vector<std::string> names;
    for (const auto &[name, property] : properties_) {
        if (property.touched) {
            names.push_back(name);
        }
    }
    return names;
}

std::string PropertySet::json() const
{
    const std::shared_lock lock(mutex_);
    JsonObject object;
    for (const auto &[name, property] : properties_) {
        if (property.dimension == 1 && property.cells.size() == 1) {
            object.raw(name, cellJson(property.cells[0]));
        } else {
            object.raw(name, jsonArray(property.cells, cellJson));
        }
    }
    return object.text();
}

void PropertySet::complain(const char *function, const char *name, const std::string &what) const
{
    violation(std::string(function) + "(" + (name == nullptr ? "null" : name) + ") on " + title_
        + ": " + what);
}

Property *PropertySet::writable(const char *function, const char *name, Kind kind,
    ofx::Status &status)
{
    status = ofx::kStatErrUnknown;
    const auto found = name == nullptr ? properties_.end() : properties_.find(name);
    if (found == properties_.end()) {
        if (name == nullptr || !isTooNewForHost(name)) {
            complain(function, name, "there is no such property in this set.");
        }
        return nullptr;
    }
    Property &property = found->second;
    status = ofx::kStatErrValue;
    if (property.kind != kind) {
        complain(function, name, std::string("the property holds a ") + kindName(property.kind)
            + ", not a " + kindName(kind) + ".");
        return nullptr;
    }
    if (!property.writable) {
        complain(function, name, "the property is read-only for plug-ins.");
        return nullptr;
    }
    status = ofx::kStatOK;
    return &property;
}

ofx::Status PropertySet::assign(const char *function, const char *name, int index, Cell cell)
{
    const std::unique_lock lock(mutex_);
    ofx::Status status = ofx::kStatOK;
    Property *property = writable(function, name, static_cast<Kind>(cell.index()), status);
    if (property == nullptr) {
        return status;
    }
    const int size = static_cast<int>(property->cells.size());
    const bool grows = property->dimension == 0 && index == size;
    if (index < 0 || (index >= size && !grows)) {
        complain(function, name, "index " + std::to_string(index) + " is out of range.");
        return ofx::kStatErrBadIndex;
    }
    if (grows) {
        property->cells.push_back(std::move(cell));
    } else {
        property->cells[static_cast<std::size_t>(index)] = std::move(cell);
    }
    property->touched = true;
    return ofx::kStatOK;
}

ofx::Status PropertySet::assignAll(const char *function, const char *name, std::vector<Cell> cells)
{
    if (cells.empty()) {
        return ofx::kStatErrBadIndex;
    }
    const std::unique_lock lock(mutex_);
    ofx::Status status = ofx::kStatOK;
    Property *property = writable(function, name, static_cast<Kind>(cells[0].index()), status);
    if (property == nullptr) {
        return status;
    }
    if (property->dimension == 0) {
        property->cells = std::move(cells);
    } else if (cells.size() > static_cast<std::size_t>(property->dimension)) {
        complain(function, name, std::to_string(cells.size()) + " values are too many.");
        return ofx::kStatErrBadIndex;
    } else {
        std::move(cells.begin(), cells.end(), property->cells.begin());
    }
    property->touched = true;
    return ofx::kStatOK;
}

const Property *PropertySet::readable(const char *function, const char *name) const
{
    const auto found = name == nullptr ? properties_.end() : properties_.find(name);
    if (found != properties_.end()) {
        return &found->second;
    }
    if (name == nullptr || !isKnownProperty(name)) {
        complain(function, name, "the specification has no property of this name.");
    }
    return nullptr;
}

ofx::Status PropertySet::read(const char *function, const char *name, Kind kind, int first,
    int count, const std::function<void(const Cell &, int)> &take) const
{
    const std::shared_lock lock(mutex_);
    const Property *property = readable(function, name);
    if (property == nullptr) {
        return ofx::kStatErrUnknown;
    }
    if (property->kind != kind) {
        complain(function, name, std::string("the property holds a ") + kindName(property->kind)
            + ", not a " + kindName(kind) + ".");
        return ofx::kStatErrValue;
    }
    const int size = static_cast<int>(property->cells.size());
    if (first < 0 || count < 0 || count > size || first > size - count) {
        if (property->dimension != 0) {
            complain(function, name, "the index or count is out of range.");
        }
        return ofx::kStatErrBadIndex;
    }
    for (int i = 0; i < count; ++i) {
        take(property->cells[static_cast<std::size_t>(first + i)], i);
    }
    return ofx::kStatOK;
}

ofx::Status PropertySet::reset(const char *name)
{
    const std::unique_lock lock(mutex_);
    const auto found = name == nullptr ? properties_.end() : properties_.find(name);
    if (found == properties_.end()) {
        complain("propReset", name, "there is no such property in this set.");
        return ofx::kStatErrUnknown;
    }
    if (!found->second.writable) {
        complain("propReset", name, "the property is read-only for plug-ins.");
        return ofx::kStatErrValue;
    }
    found->second.cells = found->second.original;
    return ofx::kStatOK;
}

ofx::Status PropertySet::dimension(const char *name, int *count) const
{
    const std::shared_lock lock(mutex_);
    const Property *property = readable("propGetDimension", name);
    if (property == nullptr || count == nullptr) {
        return ofx::kStatErrUnknown;
    }
    *count = static_cast<int>(property->cells.size());
    return ofx::kStatOK;
}

} // namespace host
