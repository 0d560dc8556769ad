#if defined(_WIN32)
#include "platform.h"

#include <cstdio>
#include <cwchar>
#include <vector>

#define WIN32_LEAN_AND_MEAN
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>

#include <ntsecapi.h>

namespace grainlayer {
namespace {

constexpr DWORD kShared = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

HANDLE as_handle(std::intptr_t handle) { return reinterpret_cast<HANDLE>(handle); }
std::intptr_t as_number(HANDLE handle) { return handle == INVALID_HANDLE_VALUE || !handle ? -1 : reinterpret_cast<std::intptr_t>(handle); }

Handle open_file(const Path &path, DWORD access, DWORD how, DWORD flags = 0, SECURITY_ATTRIBUTES *security = nullptr) {
    return Handle(as_number(CreateFileW(path.c_str(), access, kShared, security, how, flags, nullptr)));
}

// Does an overlapped read or write; what has not happened in time is taken back. Returns the bytes moved, -1 if there will be no more.
template <typename Begin> std::ptrdiff_t transfer(const Handle &stream, int timeout_ms, const Begin &begin) {
    const Handle event(as_number(CreateEventW(nullptr, TRUE, FALSE, nullptr)));
    OVERLAPPED operation{};
    operation.hEvent = as_handle(event.get());
    DWORD moved = 0;
    if (!begin(as_handle(stream.get()), &operation) && GetLastError() != ERROR_IO_PENDING)
        return -1;
    if (WaitForSingleObject(operation.hEvent, DWORD(timeout_ms)) == WAIT_TIMEOUT)
        CancelIoEx(as_handle(stream.get()), &operation);
    const bool done = GetOverlappedResult(as_handle(stream.get()), &operation, &moved, TRUE) || GetLastError() == ERROR_OPERATION_ABORTED;
    return done ? std::ptrdiff_t(moved) : -1;
}

} // namespace

const char kProgram[] = "grainlayer.exe";
const char kBetweenPaths = ';';

Handle::~Handle() {
    if (value_ != -1)
        CloseHandle(as_handle(value_));
}

// Windows commits the memory of a mapping when it is made, so touching it later cannot fail. The name cannot be guessed.
bool SharedMemory::make(std::size_t bytes) {
    std::uint64_t salt[2] = {};
    char made[64];
    if (!random_bytes(salt, sizeof salt))
        return false;
    std::snprintf(made, sizeof made, "Local\\GrainLayer-%016llx%016llx", salt[0], salt[1]);
    name = made;
    const auto length = std::uint64_t(bytes);
    handle = Handle(as_number(CreateFileMappingW(INVALID_HANDLE_VALUE, nullptr, PAGE_READWRITE | SEC_COMMIT, DWORD(length >> 32),
                                                 DWORD(length & 0xFFFFFFFFU), path_of(name).c_str())));
    if (!handle || GetLastError() == ERROR_ALREADY_EXISTS)
        return false;
    data = static_cast<unsigned char *>(MapViewOfFile(as_handle(handle.get()), FILE_MAP_ALL_ACCESS, 0, 0, bytes));
    size = data ? bytes : 0;
    for (std::size_t at = 0; at < size; at += 4096)
        static_cast<volatile unsigned char *>(data)[at] = 0; // faulted in now, not in the first frame
    return data != nullptr;
}

SharedMemory::~SharedMemory() {
    if (data)
        UnmapViewOfFile(data);
}

bool Stream::open(const std::string &name) {
    const Path pipe = path_of(name);
    for (int turn = 0; turn < 20; ++turn) {
        // Anonymous impersonation: a false server learns nothing of us.
        handle_ =
            open_file(pipe, GENERIC_READ | GENERIC_WRITE, OPEN_EXISTING, FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_ANONYMOUS);
        if (handle_ || GetLastError() != ERROR_PIPE_BUSY)
            break;
        WaitNamedPipeW(pipe.c_str(), 50);
    }
    return bool(handle_);
}

bool Stream::send(const void *bytes, std::size_t size, std::intptr_t) {
    const auto write = [&](HANDLE pipe, OVERLAPPED *operation) { return WriteFile(pipe, bytes, DWORD(size), nullptr, operation); };
    return transfer(handle_, kSendMs, write) == std::ptrdiff_t(size);
}

std::ptrdiff_t Stream::receive(void *bytes, std::size_t most, int timeout_ms) {
    const auto read = [&](HANDLE pipe, OVERLAPPED *operation) { return ReadFile(pipe, bytes, DWORD(most), nullptr, operation); };
    return transfer(handle_, timeout_ms, read);
}

std::uint32_t Stream::peer() const {
    ULONG pid = 0;
    return GetNamedPipeServerProcessId(as_handle(handle_.get()), &pid) ? std::uint32_t(pid) : 0;
}

bool Process::start(const Path &program, const Path &log, std::string &why) {
    SECURITY_ATTRIBUTES inherited{sizeof inherited, nullptr, TRUE};
    const Handle file = open_file(log, FILE_APPEND_DATA, CREATE_ALWAYS, 0, &inherited);
    const Handle nothing = open_file(L"NUL", GENERIC_READ, OPEN_EXISTING, 0, &inherited);
    HANDLE shared[] = {as_handle(file.get()), as_handle(nothing.get())};
    SIZE_T size = 0;
    InitializeProcThreadAttributeList(nullptr, 1, 0, &size);
    std::vector<unsigned char> room(size);
    STARTUPINFOEXW start{};
    start.StartupInfo.cb = sizeof start;
    start.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
    start.StartupInfo.hStdInput = shared[1];
    start.StartupInfo.hStdOutput = start.StartupInfo.hStdError = shared[0];
    start.lpAttributeList = reinterpret_cast<LPPROC_THREAD_ATTRIBUTE_LIST>(room.data());
    InitializeProcThreadAttributeList(start.lpAttributeList, 1, 0, &size);
    // The child inherits these two handles and none of the host's.
    UpdateProcThreadAttribute(start.lpAttributeList, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, shared, sizeof shared, nullptr, nullptr);
    std::wstring command = L"\"" + program.wstring() + L"\" serve --spawned";
    PROCESS_INFORMATION made{};
    std::wstring passed; // without what a host needs to find its own Python
    wchar_t *const all = GetEnvironmentStringsW();
    for (const wchar_t *one = all; *one; one += std::wcslen(one) + 1)
        if (_wcsnicmp(one, L"PYTHON", 6) != 0)
            passed.append(one, std::wcslen(one) + 1);
    FreeEnvironmentStringsW(all);
    const DWORD manner = CREATE_UNICODE_ENVIRONMENT | CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP | EXTENDED_STARTUPINFO_PRESENT;
    const bool started =
        CreateProcessW(program.c_str(), command.data(), nullptr, nullptr, TRUE, manner, passed.data(), nullptr, &start.StartupInfo, &made);
    if (!started)
        why = "error " + std::to_string(GetLastError());
    DeleteProcThreadAttributeList(start.lpAttributeList);
    const Handle thread(as_number(made.hThread)), before(std::exchange(id_, as_number(made.hProcess)));
    return started;
}

void Process::end() {
    if (id_ != -1)
        TerminateProcess(as_handle(id_), 1);
}

bool Process::running() { return id_ != -1 && WaitForSingleObject(as_handle(id_), 0) == WAIT_TIMEOUT; }

std::uint32_t own_pid() { return std::uint32_t(GetCurrentProcessId()); }

void kill_process(std::uint32_t pid) {
    if (const Handle process(pid ? as_number(OpenProcess(PROCESS_TERMINATE, FALSE, pid)) : -1); process)
        TerminateProcess(as_handle(process.get()), 1);
}

Path environment(const char *name) {
    wchar_t room[32768];
    const DWORD size = GetEnvironmentVariableW(path_of(name).c_str(), room, DWORD(std::size(room)));
    return std::wstring(room, size < std::size(room) ? size : 0);
}

// What lies below a user's local application data is closed to other users by its inherited rights.
Path runtime_folder(std::string &why) {
    Path folder = environment("GRAINLAYER_RUNTIME");
    if (const Path data = environment("LOCALAPPDATA"); folder.empty() && !data.empty())
        folder = data / "GrainLayer" / "run";
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    const DWORD found = GetFileAttributesW(folder.c_str());
    if (found != INVALID_FILE_ATTRIBUTES && (found & FILE_ATTRIBUTE_DIRECTORY) && !(found & FILE_ATTRIBUTE_REPARSE_POINT))
        return folder;
    why = "The folder " + text_of(folder) + " cannot be used; name another by GRAINLAYER_RUNTIME.";
    return {};
}

std::string read_file(const Path &path) {
    char room[4096];
    DWORD got = 0;
    const Handle file = open_file(path, GENERIC_READ, OPEN_EXISTING);
    const bool read = file && ReadFile(as_handle(file.get()), room, sizeof room, &got, nullptr);
    return {room, read ? got : 0};
}

Path library() {
    HMODULE module = nullptr;
    wchar_t room[32768];
    const DWORD how = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    const bool known = GetModuleHandleExW(how, reinterpret_cast<LPCWSTR>(&library), &module) != 0;
    return std::wstring(room, known ? GetModuleFileNameW(module, room, DWORD(std::size(room))) : 0);
}

bool random_bytes(void *bytes, std::size_t size) { return RtlGenRandom(bytes, ULONG(size)) != 0; }

} // namespace grainlayer
#endif
