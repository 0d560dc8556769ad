// Commands as they are read from stdin.
#pragma once

#include <condition_variable>
#include <deque>
#include <initializer_list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace host {

// One line. Words are separated by blanks; within double quotes, blanks are kept and a backslash
// makes the next character literal (\n is a new line). Words of the form key=value are options.
class Command {
  public:
    explicit Command(std::string line); // throws CommandError on an open quote

    const std::string &verb() const { return verb_; }
    bool empty() const { return verb_.empty(); }

    // Plain words after the verb.
    std::size_t count() const { return words_.size(); }
    const std::string &word(std::size_t i, const char *what) const;
    double number(std::size_t i, const char *what) const;

    // A value that starts at the i-th word: the quoted text, or the rest of the line as it is.
    std::string value(std::size_t i) const;

    // Throws when there is an option that is not in the list.
    void allow(std::initializer_list<const char *> keys) const;
    bool has(const std::string &key) const { return options_.contains(key); }
    std::string option(const std::string &key, const std::string &otherwise = "") const;
    double numberOption(const std::string &key, double otherwise) const;
    int intOption(const std::string &key, int otherwise) const;
    bool flag(const std::string &key, bool otherwise = false) const;
    std::vector<double> numbersOption(const std::string &key, std::size_t count) const;

    // Drops a last word of the form key=value from the words of a value and makes it an option.
    void splitTrailing(const char *key);

  private:
    struct Word {
        std::string text;
        std::size_t begin = 0;
        std::size_t end = 0;
        bool quoted = false;
    };

    void read(std::size_t &at, Word &word) const;

    std::string line_;
    std::string verb_;
    std::vector<Word> words_;
    std::map<std::string, std::string> options_;
};

double parseNumber(const std::string &text, const char *what);
std::vector<std::string> split(const std::string &text, char separator);

// Reads lines on a thread of its own, so that a long command can notice a `stop`.
class Input {
  public:
    Input();
    ~Input();

    std::optional<std::string> next(); // nothing at the end of input

    // True when the next line is `stop`, which is then gone, or `quit`, or there is no more input.
    bool takeStop();

  private:
    void readLines();

    std::mutex mutex_;
    std::condition_variable arrived_;
    std::deque<std::string> lines_;
    bool ended_ = false;
    std::thread thread_;
};

} // namespace host
