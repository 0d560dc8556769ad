// A false server that sends the bridge damaged messages.
#pragma once

#include "../../ofx_bridge/server.h"

#include <atomic>
#include <cstdint>
#include <random>
#include <string>

namespace fuzz {

namespace wire = grainlayer::wire;

[[noreturn]] void fail(const std::string &why);

class Dice {
  public:
    explicit Dice(std::uint64_t seed) : random_(seed) {}
    std::size_t below(std::size_t count) { return random_() % count; }
    std::uint32_t word() { return std::uint32_t(random_()); }
    std::string bytes(std::size_t size)
    {
        std::string data(size, '\0');
        for (char &byte : data) {
            byte = char(random_() & 0xff);
        }
        return data;
    }

  private:
    std::mt19937_64 random_;
};

struct Tally {
    std::atomic<long> sent{0};    // messages
    std::atomic<long> fuzzed{0};  // of these damaged or misplaced
    std::atomic<long> damaged{0};
    std::atomic<long> connections{0};
};

extern Tally tally;
extern std::atomic<bool> over; // enough has been sent: the false server is honest from now on

// Listens in a folder and says so in its rendezvous file. Returns the socket.
int listenIn(const std::string &folder);

// Serves one connection after the other while `clients` is not 0. Many threads may do so at once.
void runServer(int listener, std::uint64_t seed, const std::atomic<int> &clients);

} // namespace fuzz
