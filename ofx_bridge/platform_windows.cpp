#if defined(_WIN32)
#include "platform.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#define WIN32_LEAN_AND_MEAN
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>

#include <ntsecapi.h>

namespace grainlayer {
namespace {

HANDLE as_handle(std::intptr_t handle) { return reinterpret_cast<HANDLE>(handle); }
std::intptr_t as_number(HANDLE handle) { return handle == INVALID_HANDLE_VALUE || !handle ? -1 : reinterpret_cast<std::intptr_t>(handle); }

std::wstring wide(const std::string &text) {
    const int size = MultiByteToWideChar(CP_UTF8, 0, text.c_str(), int(text.size()), nullptr, 0);
    std::wstring found(std::size_t(size), L'\0');
    MultiByteToWideChar(CP_UTF8, 0, text.c_str(), int(text.size()), found.data(), size);
    return found;
}

std::string narrow(const std::wstring &text) {
    const int size = WideCharToMultiByte(CP_UTF8, 0, text.c_str(), int(text.size()), nullptr, 0, nullptr, nullptr);
    std::string found(std::size_t(size), '\0');
    WideCharToMultiByte(CP_UTF8, 0, text.c_str(), int(text.size()), found.data(), size, nullptr, nullptr);
    return found;
}

// Waits for an overlapped operation; what has not happened in time is taken back. Returns false if it failed.
bool finish(HANDLE handle, OVERLAPPED &operation, int timeout_ms, DWORD &moved, bool &silent) {
    silent = WaitForSingleObject(operation.hEvent, DWORD(timeout_ms)) == WAIT_TIMEOUT;
    if (silent)
        CancelIoEx(handle, &operation);
    const bool done = GetOverlappedResult(handle, &operation, &moved, TRUE) != 0;
    silent = silent && !done && GetLastError() == ERROR_OPERATION_ABORTED;
    return done;
}

struct Event {
    HANDLE handle = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    ~Event() { CloseHandle(handle); }
};

} // namespace

// Windows commits the memory of a mapping when it is made, so touching it later cannot fail. The name cannot be guessed.
bool SharedMemory::make(std::size_t size) {
    unsigned char salt[16];
    if (!random_bytes(salt, sizeof salt))
        return false;
    std::string name = "Local\\GrainLayer-";
    for (const unsigned char byte : salt) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", byte);
        name += digits;
    }
    const HANDLE mapping = CreateFileMappingW(INVALID_HANDLE_VALUE, nullptr, PAGE_READWRITE | SEC_COMMIT, DWORD(std::uint64_t(size) >> 32),
                                              DWORD(size & 0xFFFFFFFFU), wide(name).c_str());
    if (!mapping || GetLastError() == ERROR_ALREADY_EXISTS) {
        if (mapping)
            CloseHandle(mapping);
        return false;
    }
    data_ = static_cast<unsigned char *>(MapViewOfFile(mapping, FILE_MAP_ALL_ACCESS, 0, 0, size));
    if (!data_) {
        CloseHandle(mapping);
        return false;
    }
    size_ = size;
    handle_ = as_number(mapping);
    name_ = name;
    for (std::size_t at = 0; at < size; at += 4096)
        static_cast<volatile unsigned char *>(data_)[at] = 0; // faulted in now, not in the first frame
    return true;
}

SharedMemory::~SharedMemory() {
    if (data_)
        UnmapViewOfFile(data_);
    if (handle_ != -1)
        CloseHandle(as_handle(handle_));
}

bool Stream::open(const std::string &name) {
    close();
    for (int turn = 0; turn < 20; ++turn) {
        // Anonymous impersonation: a false server learns nothing of us.
        const HANDLE pipe = CreateFileW(wide(name).c_str(), GENERIC_READ | GENERIC_WRITE, 0, nullptr, OPEN_EXISTING,
                                        FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_ANONYMOUS, nullptr);
        handle_ = as_number(pipe);
        if (handle_ != -1 || GetLastError() != ERROR_PIPE_BUSY)
            return handle_ != -1;
        WaitNamedPipeW(wide(name).c_str(), 50);
    }
    return false;
}

void Stream::close() {
    if (handle_ != -1)
        CloseHandle(as_handle(handle_));
    handle_ = -1;
    pending_.clear();
}

bool Stream::send(const void *bytes, std::size_t size, std::intptr_t, int timeout_ms) {
    const Event event;
    OVERLAPPED operation{};
    operation.hEvent = event.handle;
    DWORD moved = 0;
    bool silent = false;
    const bool begun = WriteFile(as_handle(handle_), bytes, DWORD(size), nullptr, &operation) || GetLastError() == ERROR_IO_PENDING;
    return begun && finish(as_handle(handle_), operation, timeout_ms, moved, silent) && moved == size;
}

Stream::Got Stream::receive(void *bytes, std::size_t size, int timeout_ms) {
    const ULONGLONG end = GetTickCount64() + ULONGLONG(timeout_ms);
    const Event event;
    while (pending_.size() < size) {
        char room[4096];
        OVERLAPPED operation{};
        operation.hEvent = event.handle;
        ResetEvent(event.handle);
        const DWORD wanted = DWORD(std::min(sizeof room, size - pending_.size()));
        const bool begun = ReadFile(as_handle(handle_), room, wanted, nullptr, &operation) || GetLastError() == ERROR_IO_PENDING;
        const ULONGLONG now = GetTickCount64();
        DWORD moved = 0;
        bool silent = false;
        const bool done = begun && finish(as_handle(handle_), operation, int(end > now ? end - now : 0), moved, silent);
        pending_.append(room, moved);
        if (!done && silent && !moved)
            return Got::Silence;
        if (!done && !silent)
            return Got::Closed;
    }
    std::memcpy(bytes, pending_.data(), size);
    pending_.erase(0, size);
    return Got::Data;
}

std::uint32_t Stream::peer() const {
    ULONG pid = 0;
    return GetNamedPipeServerProcessId(as_handle(handle_), &pid) ? std::uint32_t(pid) : 0;
}

bool Process::start(const std::string &program, const std::string &log, std::string &why) {
    SECURITY_ATTRIBUTES inherited{sizeof inherited, nullptr, TRUE};
    const HANDLE file = CreateFileW(wide(log).c_str(), FILE_APPEND_DATA, FILE_SHARE_READ | FILE_SHARE_WRITE, &inherited, OPEN_ALWAYS, 0, nullptr);
    const HANDLE nothing = CreateFileW(L"NUL", GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE, &inherited, OPEN_EXISTING, 0, nullptr);
    HANDLE shared[] = {file, nothing};
    SIZE_T size = 0;
    InitializeProcThreadAttributeList(nullptr, 1, 0, &size);
    std::vector<unsigned char> room(size);
    STARTUPINFOEXW start{};
    start.StartupInfo.cb = sizeof start;
    start.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
    start.StartupInfo.hStdInput = nothing;
    start.StartupInfo.hStdOutput = start.StartupInfo.hStdError = file;
    start.lpAttributeList = reinterpret_cast<LPPROC_THREAD_ATTRIBUTE_LIST>(room.data());
    InitializeProcThreadAttributeList(start.lpAttributeList, 1, 0, &size);
    // The child inherits these two handles and none of the host's.
    UpdateProcThreadAttribute(start.lpAttributeList, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, shared, sizeof shared, nullptr, nullptr);
    std::wstring command = L"\"" + wide(program) + L"\" serve --spawned";
    PROCESS_INFORMATION made{};
    const DWORD manner = CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP | EXTENDED_STARTUPINFO_PRESENT;
    const bool started = CreateProcessW(wide(program).c_str(), command.data(), nullptr, nullptr, TRUE, manner, nullptr, nullptr, &start.StartupInfo, &made) != 0;
    if (!started)
        why = "error " + std::to_string(GetLastError());
    DeleteProcThreadAttributeList(start.lpAttributeList);
    CloseHandle(file);
    CloseHandle(nothing);
    if (started)
        CloseHandle(made.hThread);
    if (handle_ != -1)
        CloseHandle(as_handle(handle_));
    handle_ = started ? as_number(made.hProcess) : -1;
    return started;
}

bool Process::running() { return handle_ != -1 && WaitForSingleObject(as_handle(handle_), 0) == WAIT_TIMEOUT; }

std::uint32_t own_pid() { return std::uint32_t(GetCurrentProcessId()); }

void kill_process(std::uint32_t pid) {
    const HANDLE process = pid ? OpenProcess(PROCESS_TERMINATE, FALSE, pid) : nullptr;
    if (process) {
        TerminateProcess(process, 1);
        CloseHandle(process);
    }
}

std::string environment(const char *name) {
    wchar_t room[32768];
    const DWORD size = GetEnvironmentVariableW(wide(name).c_str(), room, DWORD(std::size(room)));
    return size && size < std::size(room) ? narrow(std::wstring(room, size)) : "";
}

// What lies below a user's local application data is closed to other users by its inherited rights.
std::string runtime_folder(std::string &why) {
    std::string folder = environment("GRAINLAYER_RUNTIME");
    if (folder.empty()) {
        const std::string data = environment("LOCALAPPDATA");
        if (!data.empty())
            CreateDirectoryW(wide(data + "\\GrainLayer").c_str(), nullptr);
        folder = data.empty() ? "" : data + "\\GrainLayer\\run";
    }
    CreateDirectoryW(wide(folder).c_str(), nullptr);
    const DWORD found = folder.empty() ? INVALID_FILE_ATTRIBUTES : GetFileAttributesW(wide(folder).c_str());
    if (found != INVALID_FILE_ATTRIBUTES && (found & FILE_ATTRIBUTE_DIRECTORY) && !(found & FILE_ATTRIBUTE_REPARSE_POINT))
        return folder;
    why = "The folder " + folder + " cannot be used; name another by GRAINLAYER_RUNTIME.";
    return "";
}

std::string read_file(const std::string &path, std::size_t most) {
    const HANDLE file = CreateFileW(wide(path).c_str(), GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr, OPEN_EXISTING, 0, nullptr);
    if (file == INVALID_HANDLE_VALUE)
        return "";
    std::string text(most, '\0');
    DWORD got = 0;
    ReadFile(file, text.data(), DWORD(most), &got, nullptr);
    CloseHandle(file);
    text.resize(got);
    return text;
}

std::string bundle_folder() {
    HMODULE module = nullptr;
    wchar_t room[32768];
    const DWORD how = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    if (!GetModuleHandleExW(how, reinterpret_cast<LPCWSTR>(&bundle_folder), &module) || !GetModuleFileNameW(module, room, DWORD(std::size(room))))
        return "";
    const std::string path = narrow(room);
    const std::size_t at = path.rfind("\\Contents\\");
    return at == std::string::npos ? "" : path.substr(0, at + 9);
}

std::string find_program(const std::string &name) {
    wchar_t room[32768];
    const DWORD size = SearchPathW(wide(environment("PATH")).c_str(), wide(name).c_str(), L".exe", DWORD(std::size(room)), room, nullptr);
    return size && size < std::size(room) ? narrow(room) : "";
}

bool is_program(const std::string &path) {
    const DWORD found = GetFileAttributesW(wide(path).c_str());
    return found != INVALID_FILE_ATTRIBUTES && !(found & FILE_ATTRIBUTE_DIRECTORY);
}

std::string joined(const std::string &folder, const std::string &name) { return folder + "\\" + name; }

bool random_bytes(void *bytes, std::size_t size) { return RtlGenRandom(bytes, ULONG(size)) != 0; }

} // namespace grainlayer
#endif
