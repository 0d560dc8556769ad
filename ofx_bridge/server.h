// The way to the inference server: found or started at the first request, met again after it has died; and the shared memory in which
// pictures go to it, used again and again.
#pragma once

#include "pixels.h"
#include "platform.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace grainlayer {

namespace wire {
#include "generated/wire.inc"
}

std::vector<std::string> parts_of(const std::string &text, char separator);

// A use of a place in shared memory that holds one picture; it can be used again when the last copy goes.
using Lease = std::shared_ptr<struct Segment>;

// Why there is no answer: one sentence for a person, or `aborted`, for the host itself does not want it any more.
struct Failure {
    std::string sentence;
    bool aborted = false;
};

// An effect's values of one moment, in the order in which the server takes them; numbers are all parameters that are no texts.
struct Values {
    double operator[](const char *key) const; // 0 where the effect has no such number
    bool operator==(const Values &) const = default;
    std::vector<std::pair<const char *, double>> numbers;
    std::vector<std::string> texts;
    std::string uid; // of the shot, which is also among the texts
};

struct Job {
    unsigned effect = 0;
    std::int64_t frame = 0;
    int width = 0, height = 0;
    double scale = 1;
    std::vector<Lease> pictures;
    Lease out;
    Values values;
};

struct Answer {
    bool is_source = false;
    bool cached = false;
    double milliseconds = 0;
    std::string note;
};

using Aborted = std::function<bool()>;

// Puts a picture where the server can read it; one that is there already is not moved again. One that stands `alone` is of no use to
// other frames: it is not looked for.
Lease lend(const Pixels &image, bool alone = false);
float *picture_in(const Lease &lease);

// Any thread may call. Throws Failure, std::bad_alloc.
namespace server {
Answer render(Job &job, const Aborted &aborted); // into job.out
std::string analyse(Job &job, const Aborted &aborted);
std::string doctor();
// The server keeps what each shot was last set to: also that nothing is to be done any more.
bool is_told(const Values &values);
void tell(unsigned effect, const Values &values, const Aborted &aborted); // where it cannot be told, nothing is lost but that
void set_host(const std::string &name);
void rest(); // lets go what no request is using
} // namespace server

} // namespace grainlayer
