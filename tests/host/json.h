// Writes JSON objects on one line.
#pragma once

#include <concepts>
#include <string>
#include <string_view>

namespace host {

std::string quote(std::string_view text);

std::string toJson(bool value);
std::string toJson(double value); // null when it is not finite
std::string toJson(const char *text);
std::string toJson(std::string_view text);

template <std::integral T> std::string toJson(T value) { return std::to_string(value); }

class JsonObject {
  public:
    JsonObject &raw(std::string_view key, std::string_view json);

    template <typename T> JsonObject &put(std::string_view key, const T &value)
    {
        return raw(key, toJson(value));
    }

    std::string text() const { return "{" + body_ + "}"; }

  private:
    std::string body_;
};

template <typename Range, typename Function>
std::string jsonArray(const Range &range, Function element)
{
    std::string text = "[";
    for (const auto &item : range) {
        if (text.size() > 1) {
            text += ", ";
        }
        text += element(item);
    }
    return text + "]";
}

template <typename Range> std::string jsonArray(const Range &range)
{
    return jsonArray(range, [](const auto &item) { return toJson(item); });
}

} // namespace host
