#include "fuzz_server.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sys/poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace fuzz {

Tally tally;
std::atomic<bool> over{false};

[[noreturn]] void fail(const std::string &why)
{
    std::fprintf(stderr, "fuzz_bridge: %s\n", why.c_str());
    std::_Exit(3);
}

namespace {

using std::chrono::milliseconds;

constexpr int kAfterDamage = 5, kAfterRight = 50; // ms in which the next request must come

template <typename Body> std::string bytesOf(const Body &body)
{
    return {reinterpret_cast<const char *>(&body), sizeof body};
}

std::string message(wire::Kind kind, std::uint32_t number, const std::string &body)
{
    const wire::Header head{
        wire::kMagic, std::uint16_t(kind), 0, std::uint32_t(body.size()), number};
    return bytesOf(head) + body;
}

// A body that is legal for that kind.
std::string body(Dice &dice, wire::Kind kind)
{
    const std::size_t length = dice.below(20) ? dice.below(100) : dice.below(2) * wire::kLongestText;
    switch (kind) {
    case wire::Kind::Welcome: {
        wire::Welcome welcome{wire::kVersion, dice.word(), {}, {}};
        std::memset(welcome.session, dice.below(50) ? 's' : int(dice.below(256)), sizeof welcome.session);
        return bytesOf(welcome);
    }
    case wire::Kind::Alive: return dice.bytes(sizeof(wire::Alive));
    case wire::Kind::Done: return dice.bytes(sizeof(wire::Done) + length);
    case wire::Kind::Text: return dice.bytes(length);
    case wire::Kind::Failed: {
        const auto code = dice.below(4) ? std::uint32_t(1 + dice.below(10)) : dice.word();
        return bytesOf(wire::Failed{code, 0}) + dice.bytes(length);
    }
    default: return "";
    }
}

wire::Kind answering(wire::Kind asked)
{
    switch (asked) {
    case wire::Kind::Hello: return wire::Kind::Welcome;
    case wire::Kind::Segment: return wire::Kind::Ready;
    case wire::Kind::Render: return wire::Kind::Done;
    default: return wire::Kind::Text;
    }
}

// A whole message that answers nothing: a sign of life of whatever progress, or an answer to a request
// that was not made.
std::string aside(Dice &dice, std::uint32_t number)
{
    constexpr wire::Kind kinds[] = {
        wire::Kind::Alive, wire::Kind::Welcome, wire::Kind::Ready, wire::Kind::Done, wire::Kind::Text};
    const wire::Kind kind = kinds[dice.below(std::size(kinds))];
    const bool other = kind != wire::Kind::Alive || dice.below(2);
    return message(kind, other ? number + 1 + dice.word() % 1000 : number, body(dice, kind));
}

void flip(Dice &dice, std::string &data, std::size_t within)
{
    for (std::size_t turn = 1 + dice.below(8); turn; --turn) {
        data[dice.below(within)] ^= char(1u << dice.below(8));
    }
}

// What is sent in place of a legal message.
std::string damaged(Dice &dice, std::string data)
{
    wire::Header head{};
    std::memcpy(&head, data.data(), sizeof head);
    const std::uint32_t lengths[] = {0, head.length - 1, head.length + 1, wire::kLongestText,
        wire::kLongestText + 17, wire::kLongestBody, wire::kLongestBody + 1, 1u << 31, ~0u, dice.word()};
    switch (dice.below(9)) {
    case 0: flip(dice, data, sizeof head); return data;
    case 1: flip(dice, data, data.size()); return data;
    case 2: head.length = lengths[dice.below(std::size(lengths))]; break;
    case 3: head.kind = std::uint16_t(dice.below(4) ? dice.below(20) : dice.word()); break;
    case 4: head.request = dice.word(); break;
    case 5: return data.substr(0, dice.below(data.size()));
    case 6: return data.insert(dice.below(data.size()), dice.bytes(1 + dice.below(40)));
    case 7: return dice.bytes(1 + dice.below(dice.below(8) ? 200 : 140'000));
    default: return data + data; // the second one waits for the next request
    }
    return bytesOf(head) + data.substr(sizeof head) + (dice.below(2) ? "" : dice.bytes(dice.below(20'000)));
}

// A connection that the bridge has made.
class Peer {
  public:
    Peer(int socket, Dice &dice) : socket_(socket), dice_(dice) {}
    Peer(const Peer &) = delete;
    Peer &operator=(const Peer &) = delete;
    ~Peer() { close(socket_); }
    void serve();

  private:
    bool reply(wire::Kind asked, std::uint32_t number);
    bool put(const std::string &data);
    bool putInPieces(const std::string &data);
    bool take(void *bytes, std::size_t size);

    int socket_;
    Dice &dice_;
    int patience_ = kAfterRight;
};

bool Peer::take(void *bytes, std::size_t size)
{
    char *at = static_cast<char *>(bytes);
    while (size) {
        pollfd one{socket_, POLLIN, 0};
        const ssize_t got = poll(&one, 1, patience_) > 0 ? recv(socket_, at, size, 0) : 0; // descriptors are dropped
        if (got <= 0) {
            return false;
        }
        at += got;
        size -= std::size_t(got);
    }
    return true;
}

bool Peer::put(const std::string &data)
{
    const ssize_t size = ssize_t(data.size());
    return send(socket_, data.data(), data.size(), MSG_NOSIGNAL) == size;
}

// Single bytes, or two parts with a moment of silence between them.
bool Peer::putInPieces(const std::string &data)
{
    if (data.size() < 300) {
        return std::ranges::all_of(data, [&](char byte) { return put(std::string(1, byte)); });
    }
    const std::size_t middle = dice_.below(data.size());
    if (!put(data.substr(0, middle))) {
        return false;
    }
    std::this_thread::sleep_for(milliseconds(dice_.below(12)));
    return put(data.substr(middle));
}

// Returns true while the connection may go on.
bool Peer::reply(wire::Kind asked, std::uint32_t number)
{
    const bool greets = asked == wire::Kind::Hello;
    const bool fails = !over && !dice_.below(greets ? 40 : 10);
    const wire::Kind kind = fails ? wire::Kind::Failed : answering(asked);
    std::string data = message(kind, number, body(dice_, kind));
    patience_ = kAfterRight;
    if (over) {
        return put(data);
    }
    if (!dice_.below(60)) {
        std::this_thread::sleep_for(milliseconds(dice_.below(40))); // long enough for the host to want no more
    }
    for (std::size_t left = dice_.below(40) ? dice_.below(2) : dice_.below(60); left; --left) {
        if (!put(aside(dice_, number))) {
            return false;
        }
        ++tally.sent, ++tally.fuzzed;
    }
    const bool spoils = !dice_.below(greets ? 12 : 3);
    data = spoils ? damaged(dice_, data) : data;
    if (!(dice_.below(6) ? put(data) : putInPieces(data))) {
        return false;
    }
    ++tally.sent, tally.fuzzed += spoils, tally.damaged += spoils;
    if (spoils) {
        patience_ = dice_.below(300) ? kAfterDamage : 200; // seldom a longer silence
    }
    return !spoils || dice_.below(2); // to hang up at once is a way to spoil it, too
}

void Peer::serve()
{
    for (;;) {
        wire::Header head{};
        if (!take(&head, sizeof head)) {
            return;
        }
        std::string rest(std::min(head.length, wire::kLongestBody), '\0');
        if (head.magic != wire::kMagic || head.length > wire::kLongestBody) {
            fail("the bridge sent what is no message");
        }
        if (!rest.empty() && !take(rest.data(), rest.size())) {
            return;
        }
        const auto kind = wire::Kind(head.kind);
        const bool unanswered = kind == wire::Kind::Drop || (kind == wire::Kind::Cancel && dice_.below(2));
        if (!unanswered && !reply(kind, head.request)) {
            return;
        }
    }
}

} // namespace

void runServer(int listener, std::uint64_t seed, const std::atomic<int> &clients)
{
    Dice dice(seed);
    while (clients) {
        pollfd one{listener, POLLIN, 0};
        const int socket = poll(&one, 1, 20) > 0 ? accept4(listener, nullptr, nullptr, SOCK_CLOEXEC) : -1;
        if (socket >= 0) {
            ++tally.connections;
            Peer(socket, dice).serve();
        }
    }
}

int listenIn(const std::string &folder)
{
    const std::string path = folder + "/false.sock";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        fail("the folder's path is too long");
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(listener, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0 || listen(listener, 64) != 0) {
        fail(std::strerror(errno));
    }
    std::ofstream(folder + "/server") << wire::kVersion << " 1\n" << path << "\n" << std::string(64, '0') << "\n";
    return listener;
}

} // namespace fuzz
