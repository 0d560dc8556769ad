// The way to the inference server: found or started at the first request, met again after it has died.
#pragma once

#include "segments.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace grainlayer {

namespace wire {
#include "generated/wire.inc"
}

// Why there is no answer: one sentence for a person, or `aborted`, for the host itself does not want it any more.
struct Failure {
    std::string sentence;
    bool aborted = false;
};

struct Job {
    unsigned effect = 0;
    std::int64_t frame = 0;
    int width = 0, height = 0;
    double scale = 1;
    std::vector<Lease> pictures;
    std::vector<Mark> marks;
    Lease out;
    std::vector<double> numbers;
    std::vector<std::string> texts;
};

struct Answer {
    bool is_source = false;
    bool cached = false;
    double milliseconds = 0;
    std::string note;
};

using Aborted = std::function<bool()>;

// Any thread may call; each call uses a connection of its own. Throws Failure, std::bad_alloc.
class Server {
public:
    static Server &only();
    Answer render(Job &job, const Aborted &aborted);
    std::string analyse(Job &job, const Aborted &aborted);
    std::string ask(wire::Question question);
    Pool &pool() { return pool_; }
    void set_host(const std::string &name);
    void rest(); // let go what no request is using

private:
    struct Session {
        std::uint64_t number = 0;
        unsigned char token[16] = {};
        std::atomic<bool> dead{false};
        std::mutex mutex;
        std::uint32_t next_segment = 1;
        std::vector<std::uint32_t> drops;
    };
    struct Connection {
        Stream stream;
        std::shared_ptr<Session> session;
        std::uint32_t next_request = 1;
    };
    struct Reply {
        wire::Kind kind{};
        std::string body;
    };
    enum class End : unsigned char { Closed, Silent };
    struct Broken { // the connection is of no more use; another one may be
        End end;
        std::string sentence;
    };

    Server();
    Reply request(Job *job, wire::Kind kind, wire::Question question, const Aborted &aborted);
    Reply attempt(Connection &connection, Job *job, wire::Kind kind, wire::Question question, const Aborted &aborted);
    Reply await(Connection &connection, std::uint32_t number, const Aborted &aborted);
    Reply receive(Stream &stream, std::uint32_t number, const Aborted &aborted, const std::function<void()> &abandon);
    void introduce(Connection &connection, Segment &segment, const Aborted &aborted);
    void drop_segments(Connection &connection);
    void write(Connection &connection, wire::Kind kind, std::uint32_t number, const std::string &body, std::intptr_t handle = -1);
    std::unique_ptr<Connection> connect(const Aborted &aborted);
    std::unique_ptr<Connection> meet(const std::string &folder, const Aborted &aborted);
    bool greet(Connection &connection, const std::string &secret, const Aborted &aborted);
    void start(const std::string &folder);
    void lose(Connection &connection, const Broken &how);
    void forget(const Segment &segment);

    Pool pool_;
    std::mutex mutex_; // guards idle_, session_, host_
    std::vector<std::unique_ptr<Connection>> idle_;
    std::shared_ptr<Session> session_;
    std::string host_ = "unknown";
    std::uint64_t sessions_ = 0;
    std::timed_mutex meeting_; // held by the one thread that looks for the server; guards what follows
    Process process_;
    std::string program_;
    bool watching_ = false; // the process started last has not been seen to end
    std::chrono::steady_clock::time_point next_start_{}, last_start_{};
    std::atomic<int> pause_ms_{250};
};

} // namespace grainlayer
