#include "script.h"

#include "host.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>

namespace host {

namespace {

// Verbs whose words after the given number are a value and never options.
std::size_t wordsBeforeValue(const std::string &verb)
{
    if (verb == "set" || verb == "edit") {
        return 2;
    }
    return verb == "key" ? 3 : static_cast<std::size_t>(-1);
}

bool isBlank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

} // namespace

double parseNumber(const std::string &text, const char *what)
{
    char *end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0' || !std::isfinite(value)) {
        throw CommandError(std::string(what) + " needs a number, not \"" + text + "\".");
    }
    return value;
}

std::vector<std::string> split(const std::string &text, char separator)
{
    std::vector<std::string> parts;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t end = std::min(text.find(separator, at), text.size());
        parts.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return parts;
}

void Command::read(std::size_t &at, Word &word) const
{
    word.begin = at;
    word.quoted = line_[at] == '"';
    bool inside = false;
    for (; at < line_.size() && (inside || !isBlank(line_[at])); ++at) {
        const char c = line_[at];
        if (c == '"') {
            inside = !inside;
        } else if (inside && c == '\\' && at + 1 < line_.size()) {
            ++at;
            word.text += line_[at] == 'n' ? '\n' : line_[at];
        } else {
            word.text += c;
        }
    }
    if (inside) {
        throw CommandError("A quote is not closed.");
    }
    word.end = at;
}

Command::Command(std::string line) : line_(std::move(line))
{
    std::size_t at = 0;
    std::size_t before = 0;
    while (true) {
        while (at < line_.size() && isBlank(line_[at])) {
            ++at;
        }
        if (at >= line_.size()) {
            return;
        }
        const bool inValue = !verb_.empty() && words_.size() >= before;
        const std::size_t start = at;
        Word word;
        try {
            read(at, word);
        } catch (const CommandError &) {
            if (!inValue || word.quoted) {
                throw;
            }
            at = line_.size(); // a lone quote within a free value
            word.text = line_.substr(start);
            word.end = at;
        }
        const std::size_t equals = word.text.find('=');
        if (verb_.empty()) {
            verb_ = word.text;
            before = wordsBeforeValue(verb_);
        } else if (!word.quoted && !inValue && equals != std::string::npos && equals > 0) {
            options_[word.text.substr(0, equals)] = word.text.substr(equals + 1);
        } else {
            words_.push_back(std::move(word));
        }
    }
}

const std::string &Command::word(std::size_t i, const char *what) const
{
    if (i >= words_.size()) {
        throw CommandError(verb_ + " needs " + what + ".");
    }
    return words_[i].text;
}

double Command::number(std::size_t i, const char *what) const
{
    return parseNumber(word(i, what), what);
}

std::string Command::value(std::size_t i) const
{
    if (i >= words_.size()) {
        return {};
    }
    if (words_[i].quoted && words_.size() == i + 1) {
        return words_[i].text;
    }
    return line_.substr(words_[i].begin, words_.back().end - words_[i].begin);
}

void Command::allow(std::initializer_list<const char *> keys) const
{
    for (const auto &[key, value] : options_) {
        if (std::ranges::find(keys, key) == keys.end()) {
            throw CommandError(verb_ + " has no option " + key + ".");
        }
    }
}

std::string Command::option(const std::string &key, const std::string &otherwise) const
{
    const auto found = options_.find(key);
    return found == options_.end() ? otherwise : found->second;
}

double Command::numberOption(const std::string &key, double otherwise) const
{
    return has(key) ? parseNumber(option(key), key.c_str()) : otherwise;
}

int Command::intOption(const std::string &key, int otherwise) const
{
    const double value = numberOption(key, otherwise);
    if (value != std::floor(value) || std::fabs(value) > 1e9) {
        throw CommandError(key + " needs a whole number.");
    }
    return static_cast<int>(value);
}

bool Command::flag(const std::string &key, bool otherwise) const
{
    return intOption(key, otherwise ? 1 : 0) != 0;
}

std::vector<double> Command::numbersOption(const std::string &key, std::size_t count) const
{
    std::vector<double> numbers;
    for (const std::string &part : split(option(key), ',')) {
        numbers.push_back(parseNumber(part, key.c_str()));
    }
    if (numbers.size() != count) {
        throw CommandError(key + " needs " + std::to_string(count) + " numbers.");
    }
    return numbers;
}

void Command::splitTrailing(const char *key)
{
    const std::string start = std::string(key) + "=";
    if (!words_.empty() && !words_.back().quoted && words_.back().text.starts_with(start)) {
        options_[key] = words_.back().text.substr(start.size());
        words_.pop_back();
    }
}

Input::Input() : thread_([this] { readLines(); }) {}

Input::~Input() { thread_.join(); }

void Input::readLines()
{
    std::string line;
    bool more = true;
    while (more) {
        more = static_cast<bool>(std::getline(std::cin, line));
        const std::lock_guard lock(mutex_);
        if (more) {
            more = split(line, ' ')[0] != "quit";
            lines_.push_back(line);
        }
        ended_ = !more;
        arrived_.notify_one();
    }
}

std::optional<std::string> Input::next()
{
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [this] { return ended_ || !lines_.empty(); });
    if (lines_.empty()) {
        return std::nullopt;
    }
    std::string line = std::move(lines_.front());
    lines_.pop_front();
    return line;
}

bool Input::takeStop()
{
    const std::lock_guard lock(mutex_);
    if (lines_.empty()) {
        return ended_;
    }
    const std::string verb = split(lines_.front(), '\r')[0];
    if (verb == "stop") {
        lines_.pop_front();
    }
    return verb == "stop" || verb == "quit";
}

} // namespace host
