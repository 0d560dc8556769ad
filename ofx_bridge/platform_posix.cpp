#if !defined(_WIN32)
#include "platform.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>
#if defined(__linux__)
#include <sys/syscall.h>
#endif
#if !defined(MAP_POPULATE)
#define MAP_POPULATE 0
#endif
#if !defined(MSG_NOSIGNAL)
#define MSG_NOSIGNAL 0
#endif

extern char **environ;

namespace grainlayer {
namespace {

Handle open_file(const char *path) { return Handle(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)); }

Handle make_memory(std::size_t size) {
#if defined(__linux__)
    Handle made(syscall(SYS_memfd_create, "grainlayer", 3U)); // close-on-exec, sealing allowed
    const int fd = int(made.get());
    const bool whole =
        made && ftruncate(fd, off_t(size)) == 0 && posix_fallocate(fd, 0, off_t(size)) == 0; // reserved, or refused here and now
    return whole && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0 ? std::move(made) : Handle();
#else
    std::uint64_t salt = 0;
    random_bytes(&salt, sizeof salt);
    const std::string name = "/gl" + std::to_string(salt);
    Handle made(shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600));
    shm_unlink(name.c_str()); // nobody else can open it
    return made && ftruncate(int(made.get()), off_t(size)) == 0 ? std::move(made) : Handle();
#endif
}

} // namespace

const char kProgram[] = "grainlayer";
const char kBetweenPaths = ':';

Handle::~Handle() {
    if (value_ != -1)
        ::close(int(value_));
}

bool SharedMemory::make(std::size_t bytes) {
    handle = make_memory(bytes);
    void *at = handle ? mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, int(handle.get()), 0) : MAP_FAILED;
    if (at == MAP_FAILED)
        return false;
    data = static_cast<unsigned char *>(at);
    size = bytes;
    return true;
}

SharedMemory::~SharedMemory() {
    if (data)
        munmap(data, size);
}

bool Stream::open(const std::string &name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (name.empty() || name.size() >= sizeof address.sun_path)
        return false;
    std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    handle_ = Handle(fd);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, O_NONBLOCK);
#if defined(SO_NOSIGPIPE)
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    // A full queue of a server that does not accept answers at once: never a wait.
    return ::connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0;
}

bool Stream::send(const void *bytes, std::size_t size, std::intptr_t handle) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kSendMs);
    const int fd = int(handle);
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
    iovec part{const_cast<void *>(bytes), size};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (fd != -1) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        *CMSG_FIRSTHDR(&message) = {.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        std::memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &fd, sizeof fd);
    }
    while (part.iov_len) {
        const ssize_t sent = sendmsg(int(handle_.get()), &message, MSG_NOSIGNAL);
        if (sent > 0) {
            part = {static_cast<char *>(part.iov_base) + sent, part.iov_len - std::size_t(sent)};
            message.msg_control = nullptr; // it goes with the first byte
            message.msg_controllen = 0;
        } else if ((errno != EAGAIN && errno != EINTR) || std::chrono::steady_clock::now() > end) {
            return false;
        } else {
            pollfd one{int(handle_.get()), POLLOUT, 0};
            poll(&one, 1, kSendMs / 100);
        }
    }
    return true;
}

std::ptrdiff_t Stream::receive(void *bytes, std::size_t most, int timeout_ms) {
    pollfd one{int(handle_.get()), POLLIN, 0};
    poll(&one, 1, timeout_ms); // a signal may end it early: what counts is whether something is there
    const ssize_t got = recv(one.fd, bytes, most, 0);
    return got > 0 ? got : got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

std::uint32_t Stream::peer() const {
#if defined(__linux__)
    ucred who{};
    socklen_t size = sizeof who;
    const bool known = getsockopt(int(handle_.get()), SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.uid == geteuid();
    return known ? std::uint32_t(who.pid) : 0;
#else
    pid_t pid = 0;
    socklen_t size = sizeof pid;
    return getsockopt(int(handle_.get()), SOL_LOCAL, LOCAL_PEERPID, &pid, &size) == 0 ? std::uint32_t(pid) : 0;
#endif
}

// Whether a variable is what a host needs to find its own libraries and modules, at which another program stumbles.
static bool is_for_host(const char *variable) {
    const char *const prefixes[] = {"LD_", "DYLD_", "PYTHON"};
    return std::ranges::any_of(prefixes, [&](const char *prefix) { return !std::strncmp(variable, prefix, std::strlen(prefix)); });
}

// The child begins a session of its own, without our terminal; it closes what it inherits, and its words go to the log.
bool Process::start(const Path &program, const Path &log, std::string &why) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t manner;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&manner);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
#if defined(__APPLE__)
    posix_spawnattr_set_qos_class_np(&manner, QOS_CLASS_USER_INITIATED); // a host's background thread must not slow the server down
#endif
    sigset_t none, pipes;
    sigemptyset(&none);
    sigemptyset(&pipes);
    sigaddset(&pipes, SIGPIPE);
    posix_spawnattr_setsigmask(&manner, &none);
    posix_spawnattr_setsigdefault(&manner, &pipes);
    posix_spawnattr_setflags(&manner, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    const char *words[] = {program.c_str(), "serve", "--spawned", nullptr};
    pid_t pid = -1;
    std::vector<char *> passed;
    for (char **one = environ; *one; ++one)
        if (!is_for_host(*one))
            passed.push_back(*one);
    passed.push_back(nullptr);
    const int failed = posix_spawn(&pid, program.c_str(), &files, &manner, const_cast<char *const *>(words), passed.data());
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&manner);
    id_ = failed ? -1 : pid;
    if (failed)
        why = std::strerror(failed);
    return !failed;
}

bool Process::running() {
    int status = 0;
    if (id_ != -1 && waitpid(pid_t(id_), &status, WNOHANG) != 0)
        id_ = -1;
    return id_ != -1;
}

void Process::end() {
    if (id_ != -1)
        ::kill(pid_t(id_), SIGKILL);
}

std::uint32_t own_pid() { return std::uint32_t(getpid()); }

void kill_process(std::uint32_t pid) {
    if (pid > 1)
        ::kill(pid_t(pid), SIGKILL);
}

Path environment(const char *name) {
    const char *value = std::getenv(name);
    return value ? value : "";
}

Path runtime_folder(std::string &why) {
    Path folder = environment("GRAINLAYER_RUNTIME");
    if (const Path users = environment("XDG_RUNTIME_DIR"); folder.empty())
        folder = users.empty() ? Path("/tmp/grainlayer-" + std::to_string(geteuid())) : users / "grainlayer";
    std::error_code error;
    std::filesystem::create_directories(folder.parent_path(), error);
    mkdir(folder.c_str(), 0700);
    struct stat found{};
    const bool is_there = lstat(folder.c_str(), &found) == 0;
    if (is_there && S_ISDIR(found.st_mode) && found.st_uid == geteuid() && !(found.st_mode & 077))
        return folder;
    why = "The folder " + text_of(folder) + " cannot be made; look at XDG_RUNTIME_DIR, or name another folder by GRAINLAYER_RUNTIME.";
    if (is_there)
        why = "The folder " + text_of(folder) + " must be yours and closed to others; remove it, or name another by GRAINLAYER_RUNTIME.";
    return {};
}

std::string read_file(const Path &path) {
    char room[4096];
    const Handle file = open_file(path.c_str());
    const ssize_t got = file ? ::read(int(file.get()), room, sizeof room) : 0;
    return {room, got > 0 ? std::size_t(got) : 0};
}

Path library() {
    Dl_info found{};
    std::error_code error;
    return dladdr(reinterpret_cast<const void *>(&library), &found) && found.dli_fname ? std::filesystem::canonical(found.dli_fname, error)
                                                                                       : "";
}

bool random_bytes(void *bytes, std::size_t size) {
    const Handle file = open_file("/dev/urandom");
    return file && ::read(int(file.get()), bytes, size) == ssize_t(size);
}

} // namespace grainlayer
#endif
