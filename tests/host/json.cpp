#include "json.h"

#include <cmath>
#include <cstdio>

namespace host {

std::string quote(std::string_view text)
{
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (byte < 0x20) {
            char code[8];
            std::snprintf(code, sizeof code, "\\u%04x", byte);
            out += code;
        } else {
            out += c;
        }
    }
    return out + "\"";
}

std::string toJson(bool value) { return value ? "true" : "false"; }

std::string toJson(double value)
{
    if (!std::isfinite(value)) {
        return "null";
    }
    char text[40];
    std::snprintf(text, sizeof text, "%.17g", value);
    return text;
}

std::string toJson(const char *text) { return text == nullptr ? "null" : quote(text); }

std::string toJson(std::string_view text) { return quote(text); }

JsonObject &JsonObject::raw(std::string_view key, std::string_view json)
{
    if (!body_.empty()) {
        body_ += ", ";
    }
    body_ += quote(key);
    body_ += ": ";
    body_ += json;
    return *this;
}

} // namespace host
