#include "server.h"

#include <algorithm>
#include <cstring>
#include <thread>

namespace grainlayer {
namespace {

#include "generated/params.inc"

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int kTurn = 8;             // ms between two looks at the host's wish to abort
constexpr int kStartMs = 20'000;     // a server that lives but does not answer so long after its start has failed
constexpr int kMostStarts = 3;       // in one request: a server that was starting beside ours may hold the lock, and appear
constexpr int kMostPause = 2'000;
constexpr int kCancelMs = 1'000;
constexpr std::size_t kMostIdle = 16;

template <typename Body> std::string bytes_of(const Body &body) { return {reinterpret_cast<const char *>(&body), sizeof body}; }

template <typename Body> Body body_of(const std::string &bytes) {
    Body body{};
    std::memcpy(&body, bytes.data(), std::min(sizeof body, bytes.size()));
    return body;
}

bool unhex(const std::string &text, unsigned char *bytes, std::size_t size) {
    auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; };
    if (text.size() != 2 * size)
        return false;
    for (std::size_t i = 0; i < size; ++i) {
        const int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = static_cast<unsigned char>(high * 16 + low);
    }
    return true;
}

// The smallest and greatest body of what a server may send.
bool legal(wire::Kind kind, std::size_t length) {
    switch (kind) {
    case wire::Kind::Welcome: return length == sizeof(wire::Welcome);
    case wire::Kind::Ready: return length == 0;
    case wire::Kind::Alive: return length == sizeof(wire::Alive);
    case wire::Kind::Failed: return length >= sizeof(wire::Failed) && length <= sizeof(wire::Failed) + wire::kLongestText;
    case wire::Kind::Done: return length >= sizeof(wire::Done) && length <= sizeof(wire::Done) + wire::kLongestText;
    case wire::Kind::Text: return length <= wire::kLongestText;
    default: return false;
    }
}

std::string sentence_of(const std::string &body) {
    std::string text = body.substr(std::min(body.size(), sizeof(wire::Failed)));
    return text.empty() ? "The GrainLayer server could not do this and gave no reason; run Doctor." : text;
}

std::string job_body(const Job &job) {
    wire::Job head{};
    head.effect = job.effect;
    head.pictures = std::uint32_t(job.pictures.size());
    head.frame = job.frame;
    head.width = std::uint32_t(job.width);
    head.height = std::uint32_t(job.height);
    head.scale = job.scale;
    head.out = job.out ? job.out->id : 0;
    head.numbers = std::uint32_t(job.numbers.size());
    head.texts = std::uint32_t(job.texts.size());
    std::string body = bytes_of(head);
    for (std::size_t i = 0; i < job.pictures.size(); ++i) {
        wire::Picture picture{};
        picture.segment = job.pictures[i]->id;
        std::memcpy(picture.mark, job.marks[i].data(), sizeof picture.mark);
        body += bytes_of(picture);
    }
    body.append(reinterpret_cast<const char *>(job.numbers.data()), job.numbers.size() * sizeof(double));
    for (const auto &text : job.texts) {
        const std::string cut = text.substr(0, wire::kLongestText);
        const auto length = std::uint32_t(cut.size());
        body += bytes_of(length) + cut;
    }
    return body;
}

std::string locate_program() {
    if (const std::string named = environment("GRAINLAYER_SERVER"); !named.empty())
        return named;
    if (const std::string bundle = bundle_folder(); !bundle.empty()) {
        std::string beside = read_file(joined(bundle, "Resources/server.path"), 4096);
        beside.erase(std::find_if(beside.begin(), beside.end(), [](char c) { return c == '\n' || c == '\r'; }), beside.end());
        for (const std::string &path : {beside, joined(bundle, "Resources/server/grainlayer")})
            if (!path.empty() && is_program(path))
                return path;
    }
    return find_program("grainlayer");
}

} // namespace

Server::Server() : pool_([this](const Segment &segment) { forget(segment); }) {}

// Never destroyed: a host may end while its threads still render.
Server &Server::only() {
    static Server *const server = new Server;
    return *server;
}

void Server::set_host(const std::string &name) {
    const std::lock_guard lock(mutex_);
    host_ = name.substr(0, sizeof(wire::Hello::host) - 1);
}

void Server::rest() {
    std::vector<std::unique_ptr<Connection>> idle;
    {
        const std::lock_guard lock(mutex_);
        idle.swap(idle_);
    }
    pool_.trim(0);
}

Answer Server::render(Job &job, const Aborted &aborted) {
    const Reply reply = request(&job, wire::Kind::Render, {}, aborted);
    const auto done = body_of<wire::Done>(reply.body);
    return {done.outcome == std::uint32_t(wire::Outcome::Source), done.cached != 0, double(done.microseconds) / 1000, reply.body.substr(sizeof done)};
}

std::string Server::analyse(Job &job, const Aborted &aborted) { return request(&job, wire::Kind::Analyse, {}, aborted).body; }

std::string Server::ask(wire::Question question) { return request(nullptr, wire::Kind::Ask, question, [] { return false; }).body; }

// One more try after a broken connection: the server may have died of another's picture, or been restarted.
Server::Reply Server::request(Job *job, wire::Kind kind, wire::Question question, const Aborted &aborted) {
    const bool render = kind == wire::Kind::Render;
    for (int turn = 0;; ++turn) {
        auto connection = connect(aborted);
        Reply reply;
        try {
            reply = attempt(*connection, job, kind, question, aborted);
        } catch (const Broken &broken) {
            if (render)
                job->out.spoil();
            lose(*connection, broken);
            if (turn == 1)
                throw Failure{broken.sentence};
            if (render)
                job->out = pool_.take(std::size_t(job->width) * std::size_t(job->height) * 12);
            continue;
        } catch (const Failure &) {
            if (render)
                job->out.spoil();
            throw;
        }
        const auto code = reply.kind == wire::Kind::Failed ? body_of<wire::Failed>(reply.body).code : 0;
        if (!code || code > std::uint32_t(wire::Code::Protocol)) {
            const std::lock_guard lock(mutex_);
            if (idle_.size() < kMostIdle && connection->session == session_)
                idle_.push_back(std::move(connection));
        }
        if (code)
            throw Failure{sentence_of(reply.body), code == std::uint32_t(wire::Code::Cancelled)};
        pause_ms_ = 250;
        return reply;
    }
}

Server::Reply Server::attempt(Connection &connection, Job *job, wire::Kind kind, wire::Question question, const Aborted &aborted) {
    drop_segments(connection);
    const std::uint32_t number = connection.next_request++;
    if (!job) {
        wire::Ask body{std::uint32_t(question), 0};
        write(connection, kind, number, bytes_of(body));
        return await(connection, number, aborted);
    }
    for (auto &picture : job->pictures)
        introduce(connection, *picture, aborted);
    if (job->out)
        introduce(connection, *job->out, aborted);
    write(connection, kind, number, job_body(*job));
    Reply reply = await(connection, number, aborted);
    const wire::Kind wanted = kind == wire::Kind::Render ? wire::Kind::Done : wire::Kind::Text;
    if (reply.kind != wanted && reply.kind != wire::Kind::Failed)
        throw Broken{End::Closed, "The GrainLayer server gave an answer to another question; restart the host."};
    return reply;
}

// Waits for the answer to a request. When the host aborts, the server is told, and given a moment to let go of the pictures.
Server::Reply Server::await(Connection &connection, std::uint32_t number, const Aborted &aborted) {
    bool cancelled = false;
    Clock::time_point limit{};
    auto watch = [&] {
        if (!cancelled && aborted()) {
            cancelled = true;
            limit = Clock::now() + milliseconds(kCancelMs);
            write(connection, wire::Kind::Cancel, number, "");
        }
        return cancelled && Clock::now() > limit;
    };
    Reply reply = receive(connection.stream, number, watch, [&] { connection.stream.close(); });
    return cancelled ? Reply{wire::Kind::Failed, bytes_of(wire::Failed{std::uint32_t(wire::Code::Cancelled), 0})} : reply;
}

// Returns the next message that answers request `number`. Silence, an end, or what no server sends are Broken.
Server::Reply Server::receive(Stream &stream, std::uint32_t number, const Aborted &aborted, const std::function<void()> &abandon) {
    auto heard = Clock::now();
    auto fill = [&](void *bytes, std::size_t size) {
        for (;;) {
            switch (stream.receive(bytes, size, kTurn)) {
            case Stream::Got::Data: heard = Clock::now(); return;
            case Stream::Got::Closed: throw Broken{End::Closed, "The GrainLayer server ended while it worked on this frame; render it again."};
            case Stream::Got::Silence: break;
            }
            if (aborted()) {
                abandon();
                throw Failure{"", true};
            }
            if (Clock::now() - heard > milliseconds(wire::kSilenceMs))
                throw Broken{End::Silent, "The GrainLayer server has not answered for 5 seconds and was given up; render the frame again."};
        }
    };
    for (;;) {
        wire::Header head{};
        fill(&head, sizeof head);
        const auto kind = wire::Kind(head.kind);
        if (head.magic != wire::kMagic || head.zero != 0 || !legal(kind, head.length))
            throw Broken{End::Closed, "What answered is no GrainLayer server of this version; end it and restart the host."};
        Reply reply{kind, std::string(head.length, '\0')};
        if (head.length)
            fill(reply.body.data(), head.length);
        if (kind != wire::Kind::Alive && (head.request == number || kind == wire::Kind::Failed))
            return reply;
    }
}

void Server::write(Connection &connection, wire::Kind kind, std::uint32_t number, const std::string &body, std::intptr_t handle) {
    const wire::Header head{wire::kMagic, std::uint16_t(kind), 0, std::uint32_t(body.size()), number};
    const std::string message = bytes_of(head) + body;
    if (!connection.stream.send(message.data(), message.size(), handle))
        throw Broken{End::Closed, "The GrainLayer server ended while it worked on this frame; render it again."};
}

// Makes a segment known to the session, once.
void Server::introduce(Connection &connection, Segment &segment, const Aborted &aborted) {
    const std::lock_guard lock(segment.registering);
    Session &session = *connection.session;
    if (segment.session == session.number)
        return;
    wire::Segment body{};
    {
        const std::lock_guard inner(session.mutex);
        body.id = session.next_segment++;
    }
    body.size = segment.memory.size();
    std::memcpy(body.name, segment.memory.name().c_str(), std::min(segment.memory.name().size(), sizeof body.name - 1));
    const std::uint32_t number = connection.next_request++;
    write(connection, wire::Kind::Segment, number, bytes_of(body), segment.memory.handle());
    const Reply reply = receive(connection.stream, number, aborted, [&] { connection.stream.close(); });
    if (reply.kind == wire::Kind::Failed)
        throw Failure{sentence_of(reply.body)};
    if (reply.kind != wire::Kind::Ready)
        throw Broken{End::Closed, "The GrainLayer server did not take the picture's memory; render the frame again."};
    segment.session = session.number;
    segment.id = body.id;
}

void Server::drop_segments(Connection &connection) {
    std::vector<std::uint32_t> drops;
    {
        const std::lock_guard lock(connection.session->mutex);
        drops.swap(connection.session->drops);
    }
    for (const std::uint32_t id : drops)
        write(connection, wire::Kind::Drop, 0, bytes_of(wire::Drop{id, 0}));
}

void Server::forget(const Segment &segment) {
    std::shared_ptr<Session> session;
    {
        const std::lock_guard lock(mutex_);
        session = session_;
    }
    if (!session || session->number != segment.session)
        return;
    const std::lock_guard lock(session->mutex);
    session->drops.push_back(segment.id);
}

void Server::lose(Connection &connection, const Broken &how) {
    const std::uint32_t silent = how.end == End::Silent ? connection.stream.peer() : 0;
    connection.stream.close();
    connection.session->dead = true;
    if (silent)
        kill_process(silent); // it holds the lock that a new server needs
    std::vector<std::unique_ptr<Connection>> idle;
    const std::lock_guard lock(mutex_);
    if (session_ == connection.session) {
        session_.reset();
        idle.swap(idle_);
    }
}

// Returns an idle connection or a new one; starts the server where there is none.
std::unique_ptr<Server::Connection> Server::connect(const Aborted &aborted) {
    {
        const std::lock_guard lock(mutex_);
        if (!idle_.empty()) {
            auto connection = std::move(idle_.back());
            idle_.pop_back();
            return connection;
        }
    }
    while (!meeting_.try_lock_for(milliseconds(kTurn)))
        if (aborted())
            throw Failure{"", true};
    const std::unique_lock lock(meeting_, std::adopt_lock);
    std::string why;
    const std::string folder = runtime_folder(why);
    if (folder.empty())
        throw Failure{why};
    for (int starts = 0;;) {
        if (auto connection = meet(folder, aborted))
            return connection;
        watching_ = watching_ && process_.running();
        if (watching_ && Clock::now() - last_start_ > milliseconds(kStartMs))
            throw Failure{"The GrainLayer server " + program_ + " does not answer; see " + joined(folder, "server.out") + "."};
        if (!watching_ && Clock::now() >= next_start_) {
            if (starts++ == kMostStarts)
                throw Failure{"The GrainLayer server " + program_ + " ended while starting; see " + joined(folder, "server.out") + "."};
            start(folder);
        }
        if (aborted())
            throw Failure{"", true};
        std::this_thread::sleep_for(milliseconds(kTurn));
    }
}

// Connects to the server of the rendezvous file, or returns nothing where there is none that lives.
std::unique_ptr<Server::Connection> Server::meet(const std::string &folder, const Aborted &aborted) {
    const std::string text = read_file(joined(folder, "server"), 4096);
    const std::size_t first = text.find('\n'), second = first == std::string::npos ? first : text.find('\n', first + 1);
    if (second == std::string::npos)
        return nullptr;
    const std::string secret = text.substr(second + 1, text.find('\n', second + 1) - second - 1);
    for (int turn = 0; turn < 2; ++turn) {
        auto connection = std::make_unique<Connection>();
        if (!connection->stream.open(text.substr(first + 1, second - first - 1)))
            return nullptr;
        try {
            if (greet(*connection, secret, aborted))
                return connection;
        } catch (const Broken &broken) {
            if (broken.end == End::Silent)
                kill_process(connection->stream.peer());
            const std::lock_guard lock(mutex_);
            session_.reset();
        }
    }
    return nullptr;
}

// Says HELLO; true if the server took it. A session that it does not know any more is left, and a new one begun.
bool Server::greet(Connection &connection, const std::string &secret, const Aborted &aborted) {
    wire::Hello hello{};
    hello.version = wire::kVersion;
    hello.pid = own_pid();
    if (!unhex(secret, hello.token, sizeof hello.token) || !unhex(kParamsDigest, hello.digest, sizeof hello.digest))
        return false;
    std::shared_ptr<Session> joined_session;
    {
        const std::lock_guard lock(mutex_);
        std::memcpy(hello.host, host_.c_str(), std::min(host_.size(), sizeof hello.host - 1));
        if (session_ && !session_->dead)
            joined_session = session_;
    }
    if (joined_session)
        std::memcpy(hello.session, joined_session->token, sizeof hello.session);
    write(connection, wire::Kind::Hello, 0, bytes_of(hello));
    const Reply reply = receive(connection.stream, 0, aborted, [&] { connection.stream.close(); });
    const auto welcome = body_of<wire::Welcome>(reply.body);
    if (reply.kind == wire::Kind::Failed && body_of<wire::Failed>(reply.body).code == std::uint32_t(wire::Code::Token))
        return false; // the rendezvous file was an old server's: read it again
    if (reply.kind == wire::Kind::Failed && !joined_session)
        throw Failure{sentence_of(reply.body)};
    const std::lock_guard lock(mutex_);
    if (reply.kind == wire::Kind::Failed) {
        session_.reset();
        return false;
    }
    if (reply.kind != wire::Kind::Welcome || welcome.version != wire::kVersion)
        throw Broken{End::Closed, "What answered is no GrainLayer server of this version; end it and restart the host."};
    if (!joined_session || std::memcmp(joined_session->token, welcome.session, sizeof welcome.session) != 0) {
        session_ = std::make_shared<Session>();
        session_->number = ++sessions_;
        std::memcpy(session_->token, welcome.session, sizeof welcome.session);
        idle_.clear();
        joined_session = session_;
    }
    connection.session = joined_session;
    return true;
}

void Server::start(const std::string &folder) {
    program_ = locate_program();
    if (program_.empty())
        throw Failure{"The GrainLayer server was not found: install GrainLayer, or name its program by GRAINLAYER_SERVER."};
    std::string why;
    if (!process_.start(program_, joined(folder, "server.out"), why))
        throw Failure{"The GrainLayer server " + program_ + " cannot be started (" + why + "); install GrainLayer again."};
    watching_ = true;
    last_start_ = Clock::now();
    next_start_ = last_start_ + milliseconds(pause_ms_);
    pause_ms_ = std::min(2 * pause_ms_, kMostPause);
}

} // namespace grainlayer
