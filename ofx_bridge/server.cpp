#include "server.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <thread>

namespace grainlayer {
namespace {

#include "generated/params.inc"

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int kTurn = 8;         // ms between two looks at the host's wish to abort
constexpr int kStartMs = 20'000; // a server that lives but does not answer so long after its start has failed
constexpr int kMostStarts = 3;   // failed ones: a server that was starting beside ours may hold the lock, and appear
constexpr int kQuietMs = 10'000; // between two tries to tell a server what needs no picture of it
constexpr int kLeastPause = 250, kMostPause = 2'000;
constexpr int kCancelMs = 1'000;
constexpr std::size_t kMostConnections = 16;             // kept open while nobody uses them
constexpr std::size_t kIdleBytes = std::size_t(1) << 30; // kept mapped for the next frames, or twice a picture where that is more
constexpr std::size_t kIdleSegments = 64;                // likewise; a session has room for more, but not without end
constexpr std::size_t kMostTold = 4096;                  // shots
constexpr std::ptrdiff_t kManyPictures = 12;             // beyond these the oldest make room for others
constexpr const char *kEnded = "The GrainLayer server ended while it worked on this frame; render it again.";
constexpr const char *kStranger = "What answered is no GrainLayer server of this version; run `grainlayer serve --stop` and restart the host.";

template <typename Body> std::string bytes_of(const Body &body) { return {reinterpret_cast<const char *>(&body), sizeof body}; }

template <typename Body> Body body_of(const std::string &bytes) {
    Body body{};
    std::memcpy(&body, bytes.data(), std::min(sizeof body, bytes.size()));
    return body;
}

template <std::size_t Size> void copy_text(const std::string &text, unsigned char (&field)[Size]) {
    std::memcpy(field, text.data(), std::min(text.size(), Size - 1));
}

template <std::size_t Size> bool unhex(const std::string &text, unsigned char (&bytes)[Size]) {
    bool good = text.size() == 2 * Size;
    for (std::size_t i = 0; good && i < Size; ++i)
        good = std::from_chars(&text[2 * i], &text[2 * i] + 2, bytes[i], 16).ptr == &text[2 * i] + 2;
    return good;
}

// Whether a server may send a body of this length.
bool legal(wire::Kind kind, std::size_t length) {
    auto with_text = [&](std::size_t fixed) { return length >= fixed && length <= fixed + wire::kLongestText; };
    switch (kind) {
    case wire::Kind::Welcome: return length == sizeof(wire::Welcome);
    case wire::Kind::Ready: return length == 0;
    case wire::Kind::Alive: return length == sizeof(wire::Alive);
    case wire::Kind::Failed: return with_text(sizeof(wire::Failed));
    case wire::Kind::Done: return with_text(sizeof(wire::Done));
    case wire::Kind::Text: return with_text(0);
    default: return false;
    }
}

wire::Code code_of(const std::string &failed) { return wire::Code(body_of<wire::Failed>(failed).code); }

std::string sentence_of(const std::string &failed) {
    const std::string text = failed.substr(std::min(failed.size(), sizeof(wire::Failed)));
    return text.empty() ? "The GrainLayer server could not do this and gave no reason; run Doctor." : text;
}

bool is_program(const Path &path) {
    std::error_code error;
    const auto found = std::filesystem::status(path, error);
    using std::filesystem::perms;
    return is_regular_file(found) && (found.permissions() & (perms::owner_exec | perms::group_exec | perms::others_exec)) != perms::none;
}

// The program named by the user, written into the bundle, beside the bundle, or on PATH.
Path locate_program() {
    if (const Path named = environment("GRAINLAYER_SERVER"); !named.empty())
        return named;
    const Path contents = library().parent_path().parent_path(), resources = contents / "Resources";
    std::vector<Path> candidates;
    if (contents.filename() == "Contents")
        candidates = {path_of(parts_of(read_file(resources / "server.path"), '\n')[0]), resources / "server" / kProgram};
    for (const std::string &folder : parts_of(text_of(environment("PATH")), kBetweenPaths))
        candidates.push_back(path_of(folder) / kProgram);
    const auto found = std::ranges::find_if(candidates, [](const Path &path) { return path.is_absolute() && is_program(path); });
    return found == candidates.end() ? Path() : *found;
}

// Waits for a mutex as long as the host wants it.
std::unique_lock<std::timed_mutex> lock_for(std::timed_mutex &mutex, const Aborted &aborted) {
    std::unique_lock lock(mutex, std::defer_lock);
    while (!lock.try_lock_for(milliseconds(kTurn)))
        if (aborted())
            throw Failure{"", true};
    return lock;
}

// Connections that share segments. What changes is guarded by the server.
struct Session {
    std::array<unsigned char, sizeof(wire::Welcome::session)> token{};
    std::uint32_t next_segment = 1;
    std::vector<std::uint32_t> drops; // segments let go, of which the server is still to be told
};

struct Reply {
    wire::Kind kind{};
    std::string body;
};

// The connection is of no more use; another one may be.
struct Broken {
    std::string sentence;
    bool is_silent = false;
};

} // namespace

// Room for one picture, kept mapped between frames.
struct Segment {
    SharedMemory memory;
    Mark mark{};                        // of the picture that it holds; written before others can find it
    std::atomic<bool> is_spoilt{false}; // the server may still be using it: nobody else may
    std::timed_mutex naming;            // guards the session that knows it, and by which number
    std::shared_ptr<Session> session;
    std::uint32_t id = 0;
    bool holds_picture = false; // guarded by the pool, as all below
    int users = 0;
    std::uint64_t last_use = 0;
};

namespace {

// The body of a job whose pictures have these numbers in the session; the last is the result's.
std::string job_body(const Job &job, const std::vector<std::uint32_t> &ids) {
    const auto &[numbers, texts, uid] = job.values;
    std::string body =
        bytes_of(wire::Job{job.effect, std::uint32_t(job.pictures.size()), job.frame, std::uint32_t(job.width), std::uint32_t(job.height),
                           job.scale, ids.back(), std::uint32_t(numbers.size()), std::uint32_t(texts.size()), 0});
    for (std::size_t i = 0; i < job.pictures.size(); ++i)
        body += bytes_of(ids[i]) + bytes_of(std::uint32_t(0)) + bytes_of(job.pictures[i]->mark);
    for (const auto &number : numbers)
        body += bytes_of(number.second);
    for (const auto &text : texts) {
        const std::string cut = text.substr(0, wire::kLongestText);
        body += bytes_of(std::uint32_t(cut.size())) + cut;
    }
    return body;
}

// Segments, used again and again.
class Pool {
public:
    // `gone` is called with every segment that is let go, outside the lock.
    explicit Pool(std::function<void(const Segment &)> gone) : gone_(std::move(gone)) {}

    // Returns a picture that is already there, or nothing.
    Lease find(const Mark &mark) {
        const std::lock_guard lock(mutex_);
        const auto at = std::ranges::find_if(all_, [&](auto &one) { return one->holds_picture && !one->is_spoilt && one->mark == mark; });
        return at == all_.end() ? nullptr : lend(*at);
    }

    // Returns room for a picture. Throws std::bad_alloc.
    Lease take(std::size_t bytes) {
        std::shared_ptr<Segment> best;
        if (const std::lock_guard lock(mutex_); !all_.empty()) {
            auto worth = [](const auto &one) { return std::pair(one->holds_picture, one->last_use); };
            for (const auto &one : all_) {
                const bool fits = !one->users && !one->is_spoilt && one->memory.size >= bytes && one->memory.size / 2 <= bytes;
                if (fits && (!best || worth(one) < worth(best)))
                    best = one;
            }
            // A picture that a neighbouring frame may want is taken only when there are many.
            const auto pictures = std::ranges::count_if(all_, [](auto &one) { return one->holds_picture; });
            if (best && (!best->holds_picture || pictures > kManyPictures)) {
                best->holds_picture = false;
                return lend(best);
            }
        }
        for (int turn = 0; turn < 2; ++turn, trim(0)) {
            best = std::make_shared<Segment>();
            if (!best->memory.make(bytes))
                continue;
            const std::lock_guard lock(mutex_);
            all_.push_back(best);
            return lend(best);
        }
        throw std::bad_alloc();
    }

    // From now on the segment holds the picture of its mark.
    void keep(Segment &segment) {
        const std::lock_guard lock(mutex_);
        segment.holds_picture = true;
    }

    // Lets idle segments go until they hold no more bytes than this.
    void trim(std::size_t most_idle) {
        std::vector<std::shared_ptr<Segment>> gone;
        if (const std::lock_guard lock(mutex_); !all_.empty()) {
            std::size_t count = 0, bytes = 0;
            gone.reserve(all_.size());
            std::ranges::sort(all_, std::greater(), &Segment::last_use);
            std::erase_if(all_, [&](const auto &one) {
                if (one->users || (!one->is_spoilt && ++count <= kIdleSegments && (bytes += one->memory.size) <= most_idle))
                    return false;
                gone.push_back(one);
                return true;
            });
        }
        for (const auto &segment : gone)
            gone_(*segment);
    }

private:
    // With the lock held, which must be recursive: where there is no memory for a lease, it is given back at once.
    Lease lend(const std::shared_ptr<Segment> &segment) {
        ++segment->users;
        return {segment.get(), [this, segment](Segment *) { give_back(*segment); }};
    }

    void give_back(Segment &segment) noexcept {
        try {
            if (const std::lock_guard lock(mutex_); --segment.users == 0)
                segment.last_use = ++clock_;
            trim(std::max(kIdleBytes, 2 * segment.memory.size));
        } catch (...) { // no memory even to let some go: the next one tries again
        }
    }

    std::recursive_mutex mutex_;
    std::vector<std::shared_ptr<Segment>> all_;
    std::uint64_t clock_ = 0;
    std::function<void(const Segment &)> gone_;
};

struct Connection {
    void write(wire::Kind kind, std::uint32_t number, const std::string &body, std::intptr_t handle = -1) {
        const std::string message = bytes_of(wire::Header{wire::kMagic, std::uint16_t(kind), 0, std::uint32_t(body.size()), number}) + body;
        if (!stream.send(message.data(), message.size(), handle))
            throw Broken{kEnded};
    }

    // Returns the message that answers request `number`. Silence, an end, or what no server sends are Broken.
    Reply receive(std::uint32_t number, const Aborted &given_up) {
        auto fill = [&](void *bytes, std::size_t size) {
            char *to = static_cast<char *>(bytes);
            for (const auto limit = Clock::now() + milliseconds(wire::kSilenceMs); size;) {
                const std::ptrdiff_t got = stream.receive(to, size, kTurn);
                if (got < 0)
                    throw Broken{kEnded};
                to += got;
                size -= std::size_t(got);
                if (size && given_up())
                    throw Failure{"", true};
                if (size && Clock::now() > limit)
                    throw Broken{"The GrainLayer server has not answered for 5 seconds and was given up; render the frame again.", true};
            }
        };
        for (;;) {
            wire::Header head{};
            fill(&head, sizeof head);
            const auto kind = wire::Kind(head.kind);
            if (head.magic != wire::kMagic || head.zero != 0 || !legal(kind, head.length))
                throw Broken{kStranger};
            Reply reply{kind, std::string(head.length, '\0')};
            fill(reply.body.data(), head.length);
            if (kind != wire::Kind::Alive && (head.request == number || kind == wire::Kind::Failed))
                return reply;
        }
    }

    // Sends a message and returns its answer. When the host aborts, the server is told, and given a moment to let go of the pictures.
    Reply exchange(wire::Kind kind, const std::string &body, const Aborted &aborted, std::intptr_t handle = -1) {
        const std::uint32_t number = next_request++;
        Clock::time_point limit = Clock::time_point::max();
        write(kind, number, body, handle);
        return receive(number, [&] {
            if (limit == Clock::time_point::max() && aborted()) {
                write(wire::Kind::Cancel, number, "");
                limit = Clock::now() + milliseconds(kCancelMs);
            }
            return Clock::now() > limit;
        });
    }

    Stream stream;
    std::shared_ptr<Session> session;
    std::uint32_t next_request = 0;
};

// Any thread may call; each call uses a connection of its own.
class Server {
public:
    // Never destroyed: a host may end while its threads still render.
    static Server &only() {
        static Server *const server = new Server;
        return *server;
    }

    void set_host(const std::string &name) {
        const std::lock_guard lock(mutex_);
        host_ = name;
    }

    void rest() {
        std::vector<std::unique_ptr<Connection>> idle;
        {
            const std::lock_guard lock(mutex_);
            idle.swap(idle_);
        }
        pool.trim(0);
    }

    bool is_told(const Values &values) {
        const std::lock_guard lock(mutex_);
        const auto found = told_.find(values.uid);
        return values.uid.empty() || (found != told_.end() && found->second == values) || Clock::now() < quiet_until_;
    }

    void keep_told(const Values &values) {
        const std::lock_guard lock(mutex_);
        if (told_.size() >= kMostTold)
            told_.clear();
        if (!values.uid.empty())
            told_[values.uid] = values;
    }

    void be_quiet() {
        const std::lock_guard lock(mutex_);
        quiet_until_ = Clock::now() + milliseconds(kQuietMs);
    }

    // One more try after a broken connection: the server may have died of another's picture, or been restarted. Without an answer nobody
    // knows whether the server still reads and writes the pictures, so they are spoilt.
    Reply request(wire::Kind kind, Job &job, const Aborted &aborted) {
        auto spoil = [&] {
            for (const Lease &picture : job.pictures)
                picture->is_spoilt = true;
            if (job.out)
                job.out->is_spoilt = true;
        };
        for (int turn = 0;; ++turn) {
            auto connection = connect(aborted);
            if (kind == wire::Kind::Render)
                job.out = pool.take(std::size_t(job.width) * std::size_t(job.height) * 12);
            Reply reply;
            try {
                reply = attempt(*connection, kind, job, aborted);
            } catch (const Broken &broken) {
                spoil();
                lose(*connection, broken.is_silent);
                if (turn == 1)
                    throw Failure{broken.sentence};
                continue;
            } catch (...) {
                spoil();
                throw;
            }
            const bool failed = reply.kind == wire::Kind::Failed;
            if (!failed || code_of(reply.body) > wire::Code::Protocol) { // after the others the server hangs up
                const std::lock_guard lock(mutex_);
                if (idle_.size() < kMostConnections && connection->session == session_)
                    idle_.push_back(std::move(connection));
            }
            if (failed)
                throw Failure{sentence_of(reply.body), code_of(reply.body) == wire::Code::Cancelled};
            pause_ms_ = kLeastPause;
            return reply;
        }
    }

    Pool pool{[this](const Segment &segment) { forget(segment); }};

private:
    Reply attempt(Connection &connection, wire::Kind kind, const Job &job, const Aborted &aborted) {
        std::vector<std::uint32_t> drops, ids;
        {
            const std::lock_guard lock(mutex_);
            drops.swap(connection.session->drops);
        }
        for (const std::uint32_t id : drops)
            connection.write(wire::Kind::Drop, 0, bytes_of(wire::Drop{id, 0}));
        for (const Lease &picture : job.pictures)
            ids.push_back(introduce(connection, *picture, aborted));
        ids.push_back(job.out ? introduce(connection, *job.out, aborted) : 0);
        const bool asks = kind == wire::Kind::Ask;
        const wire::Ask question{std::uint32_t(wire::Question::Doctor), 0};
        Reply reply = connection.exchange(kind, asks ? bytes_of(question) : job_body(job, ids), aborted);
        const wire::Kind wanted = kind == wire::Kind::Render ? wire::Kind::Done : wire::Kind::Text;
        if (reply.kind != wanted && reply.kind != wire::Kind::Failed)
            throw Broken{"The GrainLayer server gave an answer to another question; restart the host."};
        return reply;
    }

    // Makes a segment known to the connection's session, once, and returns its number there. Another connection may have made it known to
    // another session: then it has two numbers, and the one returned counts.
    std::uint32_t introduce(Connection &connection, Segment &segment, const Aborted &aborted) {
        const auto naming = lock_for(segment.naming, aborted);
        if (segment.session == connection.session)
            return segment.id;
        wire::Segment body{};
        {
            const std::lock_guard lock(mutex_);
            body.id = connection.session->next_segment++;
        }
        body.size = segment.memory.size;
        copy_text(segment.memory.name, body.name);
        const Reply reply = connection.exchange(wire::Kind::Segment, bytes_of(body), aborted, segment.memory.handle.get());
        if (reply.kind == wire::Kind::Failed)
            throw Failure{sentence_of(reply.body)};
        if (reply.kind != wire::Kind::Ready)
            throw Broken{"The GrainLayer server did not take the picture's memory; render the frame again."};
        segment.session = connection.session;
        return segment.id = body.id;
    }

    void forget(const Segment &segment) {
        const std::lock_guard lock(mutex_);
        if (segment.session && segment.session == session_)
            session_->drops.push_back(segment.id);
    }

    void lose(const Connection &connection, bool is_silent) {
        if (is_silent)
            kill_process(connection.stream.peer()); // it holds the lock that a new server needs
        const std::lock_guard lock(mutex_);
        if (session_ == connection.session) {
            session_ = nullptr;
            idle_.clear();
        }
    }

    std::unique_ptr<Connection> take_idle() {
        const std::lock_guard lock(mutex_);
        if (idle_.empty())
            return nullptr;
        auto connection = std::move(idle_.back());
        idle_.pop_back();
        return connection;
    }

    // Returns an idle connection or a new one; starts the server where there is none.
    std::unique_ptr<Connection> connect(const Aborted &aborted) {
        while (auto connection = take_idle())
            if (char unasked = 0; connection->stream.receive(&unasked, 1, 0) == 0) // else the server has closed it
                return connection;
        const auto meeting = lock_for(meeting_, aborted);
        std::string why;
        const Path folder = runtime_folder(why), log = folder / "server.out";
        if (folder.empty())
            throw Failure{why};
        for (;;) {
            if (auto connection = meet(folder, aborted)) {
                failed_starts_ = 0;
                return connection;
            }
            if (watching_ && !process_.running()) {
                watching_ = false;
                ++failed_starts_;
            }
            if (watching_ && Clock::now() - last_start_ > milliseconds(kStartMs)) {
                process_.end();
                throw Failure{"The GrainLayer server " + program_ + " does not answer; see " + text_of(log) + "."};
            }
            if (!watching_ && Clock::now() >= next_start_)
                start(log);
            else if (!watching_ && failed_starts_ >= kMostStarts) // another thread's frame has waited long enough for all
                throw Failure{"The GrainLayer server " + program_ + " ended while starting; see " + text_of(log) + "."};
            if (aborted())
                throw Failure{"", true};
            std::this_thread::sleep_for(milliseconds(kTurn));
        }
    }

    // Connects to the server of the rendezvous file, or returns nothing where there is none that lives.
    std::unique_ptr<Connection> meet(const Path &folder, const Aborted &aborted) {
        const auto lines = parts_of(read_file(folder / "server"), '\n');
        for (int turn = 0; turn < 2 && lines.size() > 2; ++turn) {
            auto connection = std::make_unique<Connection>();
            if (!connection->stream.open(lines[1]))
                break;
            try {
                if (greet(*connection, lines[2], aborted))
                    return connection;
            } catch (const Broken &broken) {
                lose(*connection, broken.is_silent);
            }
        }
        return nullptr;
    }

    // Says HELLO; true if the server took it. A session that it does not know any more is left, and a new one begun.
    bool greet(Connection &connection, const std::string &secret, const Aborted &aborted) {
        wire::Hello hello{};
        hello.version = wire::kVersion;
        hello.release = wire::kRelease;
        hello.pid = own_pid();
        if (!unhex(secret, hello.token) || !unhex(kParamsDigest, hello.digest))
            return false;
        {
            const std::lock_guard lock(mutex_);
            copy_text(host_, hello.host);
            connection.session = session_;
        }
        if (connection.session)
            std::ranges::copy(connection.session->token, hello.session);
        const Reply reply = connection.exchange(wire::Kind::Hello, bytes_of(hello), aborted);
        if (reply.kind == wire::Kind::Failed) {
            if (code_of(reply.body) == wire::Code::Token) // an old server's file: it is read again
                return false;
            const bool retires = body_of<wire::Failed>(reply.body).retires == 1; // it makes room for a newer one
            if (retires && watching_) {
                failed_starts_ = kMostStarts;
                next_start_ = Clock::now() + milliseconds(kMostPause);
                throw Failure{"The GrainLayer program " + program_ + " is older than this plug-in; install GrainLayer again."};
            }
            if (!retires && !connection.session)
                throw Failure{sentence_of(reply.body)};
            lose(connection, false);
            return false;
        }
        const auto welcome = body_of<wire::Welcome>(reply.body);
        if (reply.kind != wire::Kind::Welcome || welcome.version != wire::kVersion)
            throw Broken{kStranger};
        if (!connection.session || !std::ranges::equal(connection.session->token, welcome.session)) {
            connection.session = std::make_shared<Session>();
            std::ranges::copy(welcome.session, connection.session->token.begin());
            const std::lock_guard lock(mutex_);
            session_ = connection.session;
            idle_.clear();
        }
        return true;
    }

    void start(const Path &log) {
        const Path program = locate_program();
        if (program.empty())
            throw Failure{"The GrainLayer server was not found: install GrainLayer, or name its program by GRAINLAYER_SERVER."};
        program_ = text_of(program);
        std::string why;
        if (!process_.start(program, log, why))
            throw Failure{"The GrainLayer server " + program_ + " cannot be started (" + why +
                          "); look whether GRAINLAYER_SERVER names it and the disk has room, or install GrainLayer again."};
        watching_ = true;
        last_start_ = Clock::now();
        next_start_ = last_start_ + milliseconds(pause_ms_);
        pause_ms_ = std::min(2 * pause_ms_, kMostPause);
    }

    std::mutex mutex_; // guards what follows, and what changes in sessions
    std::shared_ptr<Session> session_;
    std::vector<std::unique_ptr<Connection>> idle_; // all of this session
    std::string host_ = "unknown";
    std::map<std::string, Values> told_; // by shot, what a server was last told
    Clock::time_point quiet_until_{};
    std::timed_mutex meeting_; // held by the one thread that looks for the server; guards what follows
    Process process_;
    std::string program_;
    bool watching_ = false; // the process started last has not been seen to end
    int failed_starts_ = 0; // since one was met
    Clock::time_point next_start_{}, last_start_{};
    std::atomic<int> pause_ms_{kLeastPause};
};

} // namespace

std::vector<std::string> parts_of(const std::string &text, char separator) {
    std::vector<std::string> parts;
    for (std::size_t from = 0, end = 0; from <= text.size(); from = end + 1) {
        end = std::min(text.find(separator, from), text.size());
        parts.push_back(text.substr(from, end - from));
    }
    return parts;
}

double Values::operator[](const char *key) const {
    const auto found = std::ranges::find_if(numbers, [&](const auto &number) { return !std::strcmp(number.first, key); });
    return found == numbers.end() ? 0 : found->second;
}

Lease lend(const Pixels &image, bool alone) {
    Pool &pool = Server::only().pool;
    if (!alone)
        if (Lease known = pool.find(read_picture(image, nullptr)))
            return known;
    Lease lease = pool.take(image.picture_bytes());
    lease->mark = read_picture(image, picture_in(lease));
    if (!alone)
        pool.keep(*lease);
    return lease;
}

float *picture_in(const Lease &lease) { return reinterpret_cast<float *>(lease->memory.data); }

namespace server {

void set_host(const std::string &name) { Server::only().set_host(name); }

void rest() { Server::only().rest(); }

bool is_told(const Values &values) { return Server::only().is_told(values); }

void tell(unsigned effect, const Values &values, const Aborted &aborted) {
    float black[4] = {};
    Pixels dot;
    dot.data = reinterpret_cast<unsigned char *>(black);
    dot.bounds = {0, 0, 1, 1};
    dot.row_bytes = sizeof black;
    Job job;
    job.effect = effect;
    job.width = job.height = 1;
    job.values = values;
    try {
        job.pictures = {lend(dot, true)};
        render(job, aborted);
    } catch (const Failure &) {
        Server::only().be_quiet();
    }
}

Answer render(Job &job, const Aborted &aborted) {
    const Reply reply = Server::only().request(wire::Kind::Render, job, aborted);
    Server::only().keep_told(job.values);
    const auto done = body_of<wire::Done>(reply.body);
    return {done.outcome == std::uint32_t(wire::Outcome::Source), done.cached != 0, double(done.microseconds) / 1000,
            reply.body.substr(sizeof done)};
}

std::string analyse(Job &job, const Aborted &aborted) { return Server::only().request(wire::Kind::Analyse, job, aborted).body; }

std::string doctor() {
    Job none;
    return Server::only().request(wire::Kind::Ask, none, [] { return false; }).body;
}

} // namespace server
} // namespace grainlayer
