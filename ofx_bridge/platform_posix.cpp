#if !defined(_WIN32)
#include "platform.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstdio>
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
#if defined(__APPLE__)
#include <sys/ucred.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#endif

extern char **environ;

namespace grainlayer {
namespace {

int milliseconds_left(std::chrono::steady_clock::time_point end) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
    return left > 0 ? int(left) : 0;
}

bool wait_for(int fd, short events, std::chrono::steady_clock::time_point end) {
    for (;;) {
        pollfd one{fd, events, 0};
        const int ready = poll(&one, 1, milliseconds_left(end));
        if (ready > 0)
            return true;
        if (ready == 0 || errno != EINTR)
            return false;
    }
}

int make_memory(std::size_t size) {
#if defined(__linux__)
    const int fd = int(syscall(SYS_memfd_create, "grainlayer", 3U)); // close-on-exec, sealing allowed
    if (fd < 0)
        return -1;
    const bool whole = ftruncate(fd, off_t(size)) == 0 && posix_fallocate(fd, 0, off_t(size)) == 0; // reserved, or refused here and now
    if (whole && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return fd;
#else
    char name[32];
    unsigned char salt[8];
    random_bytes(salt, sizeof salt);
    std::snprintf(name, sizeof name, "/gl%02x%02x%02x%02x%02x%02x%02x%02x", salt[0], salt[1], salt[2], salt[3], salt[4], salt[5], salt[6], salt[7]);
    const int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return -1;
    shm_unlink(name); // nobody else can open it
    if (ftruncate(fd, off_t(size)) == 0)
        return fd;
#endif
    ::close(fd);
    return -1;
}

} // namespace

bool SharedMemory::make(std::size_t size) {
    const int fd = make_memory(size);
    if (fd < 0)
        return false;
#if defined(MAP_POPULATE)
    void *at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
#else
    void *at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
#endif
    if (at == MAP_FAILED) {
        ::close(fd);
        return false;
    }
    data_ = static_cast<unsigned char *>(at);
    size_ = size;
    handle_ = fd;
    return true;
}

SharedMemory::~SharedMemory() {
    if (data_)
        munmap(data_, size_);
    if (handle_ != -1)
        ::close(int(handle_));
}

bool Stream::open(const std::string &name) {
    close();
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (name.empty() || name.size() >= sizeof address.sun_path)
        return false;
    std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        return false;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, O_NONBLOCK);
#if defined(SO_NOSIGPIPE)
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    handle_ = fd;
    // A full queue of a server that does not accept answers at once: never a wait.
    if (::connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0) {
        close();
        return false;
    }
    return true;
}

void Stream::close() {
    if (handle_ != -1)
        ::close(int(handle_));
    handle_ = -1;
    pending_.clear();
}

bool Stream::send(const void *bytes, std::size_t size, std::intptr_t handle, int timeout_ms) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    const char *at = static_cast<const char *>(bytes);
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
#if defined(MSG_NOSIGNAL)
    const int flags = MSG_NOSIGNAL;
#else
    const int flags = 0;
#endif
    while (size) {
        iovec part{const_cast<char *>(at), size};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        if (handle != -1) {
            message.msg_control = control;
            message.msg_controllen = sizeof control;
            cmsghdr *head = CMSG_FIRSTHDR(&message);
            head->cmsg_level = SOL_SOCKET;
            head->cmsg_type = SCM_RIGHTS;
            head->cmsg_len = CMSG_LEN(sizeof(int));
            const int fd = int(handle);
            std::memcpy(CMSG_DATA(head), &fd, sizeof fd);
        }
        const ssize_t sent = sendmsg(int(handle_), &message, flags);
        if (sent > 0) {
            at += sent;
            size -= std::size_t(sent);
            handle = -1; // it goes with the first byte
        } else if (errno != EINTR && (errno != EAGAIN || !wait_for(int(handle_), POLLOUT, end))) {
            return false;
        }
    }
    return true;
}

Stream::Got Stream::receive(void *bytes, std::size_t size, int timeout_ms) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    while (pending_.size() < size) {
        char room[4096];
        const ssize_t got = recv(int(handle_), room, std::min(sizeof room, size - pending_.size()), 0);
        if (got > 0)
            pending_.append(room, std::size_t(got));
        else if (got == 0 || (errno != EAGAIN && errno != EINTR))
            return Got::Closed;
        else if (!wait_for(int(handle_), POLLIN, end))
            return Got::Silence;
    }
    std::memcpy(bytes, pending_.data(), size);
    pending_.erase(0, size);
    return Got::Data;
}

std::uint32_t Stream::peer() const {
#if defined(__linux__)
    ucred who{};
    socklen_t size = sizeof who;
    if (getsockopt(int(handle_), SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.uid == geteuid() && who.pid > 0)
        return std::uint32_t(who.pid);
#elif defined(__APPLE__)
    pid_t pid = 0;
    socklen_t size = sizeof pid;
    if (getsockopt(int(handle_), SOL_LOCAL, LOCAL_PEERPID, &pid, &size) == 0 && pid > 0)
        return std::uint32_t(pid);
#endif
    return 0;
}

// The child begins a session of its own, without our terminal; it closes what it inherits, and its words go to the log.
bool Process::start(const std::string &program, const std::string &log, std::string &why) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t manner;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&manner);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
#if defined(POSIX_SPAWN_SETSID)
    flags = short(flags | POSIX_SPAWN_SETSID);
#endif
#if defined(__APPLE__)
    posix_spawnattr_set_qos_class_np(&manner, QOS_CLASS_USER_INITIATED); // a host's background thread must not slow the server down
#endif
    sigset_t none, pipes;
    sigemptyset(&none);
    sigemptyset(&pipes);
    sigaddset(&pipes, SIGPIPE);
    posix_spawnattr_setsigmask(&manner, &none);
    posix_spawnattr_setsigdefault(&manner, &pipes);
    posix_spawnattr_setflags(&manner, flags);
    const char *words[] = {program.c_str(), "serve", "--spawned", nullptr};
    pid_t pid = -1;
    const int failed = posix_spawn(&pid, program.c_str(), &files, &manner, const_cast<char *const *>(words), environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&manner);
    handle_ = failed ? -1 : pid;
    if (failed)
        why = std::strerror(failed);
    return !failed;
}

bool Process::running() {
    if (handle_ == -1)
        return false;
    int status = 0;
    if (waitpid(pid_t(handle_), &status, WNOHANG) == 0)
        return true;
    handle_ = -1;
    return false;
}

std::uint32_t own_pid() { return std::uint32_t(getpid()); }

void kill_process(std::uint32_t pid) {
    if (pid > 1)
        ::kill(pid_t(pid), SIGKILL);
}

std::string environment(const char *name) {
    const char *value = std::getenv(name);
    return value ? value : "";
}

std::string runtime_folder(std::string &why) {
    std::string folder = environment("GRAINLAYER_RUNTIME");
    if (folder.empty() && !environment("XDG_RUNTIME_DIR").empty())
        folder = environment("XDG_RUNTIME_DIR") + "/grainlayer";
    if (folder.empty())
        folder = "/tmp/grainlayer-" + std::to_string(geteuid());
    mkdir(folder.c_str(), 0700);
    struct stat found {};
    if (lstat(folder.c_str(), &found) != 0 || !S_ISDIR(found.st_mode) || found.st_uid != geteuid() || (found.st_mode & 077)) {
        why = "The folder " + folder + " must be yours and closed to others; remove it, or name another by GRAINLAYER_RUNTIME.";
        return "";
    }
    return folder;
}

std::string read_file(const std::string &path, std::size_t most) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return "";
    std::string text(most, '\0');
    const ssize_t got = ::read(fd, text.data(), most);
    ::close(fd);
    text.resize(got > 0 ? std::size_t(got) : 0);
    return text;
}

std::string bundle_folder() {
    Dl_info found{};
    if (!dladdr(reinterpret_cast<const void *>(&bundle_folder), &found) || !found.dli_fname)
        return "";
    char real[PATH_MAX];
    const std::string path = realpath(found.dli_fname, real) ? real : found.dli_fname;
    const std::size_t at = path.rfind("/Contents/");
    return at == std::string::npos ? "" : path.substr(0, at + 9);
}

std::string find_program(const std::string &name) {
    const std::string paths = environment("PATH");
    for (std::size_t from = 0; from < paths.size();) {
        const std::size_t end = std::min(paths.find(':', from), paths.size());
        const std::string path = paths.substr(from, end - from) + "/" + name;
        if (path[0] == '/' && is_program(path))
            return path;
        from = end + 1;
    }
    return "";
}

bool is_program(const std::string &path) {
    struct stat found {};
    return stat(path.c_str(), &found) == 0 && S_ISREG(found.st_mode) && access(path.c_str(), X_OK) == 0;
}

std::string joined(const std::string &folder, const std::string &name) { return folder + "/" + name; }

bool random_bytes(void *bytes, std::size_t size) {
    const int fd = ::open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    const bool whole = fd >= 0 && ::read(fd, bytes, size) == ssize_t(size);
    if (fd >= 0)
        ::close(fd);
    return whole;
}

} // namespace grainlayer
#endif
