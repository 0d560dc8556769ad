// The multi-thread suite, on real threads.
#include "host.h"
#include "ledger.h"

#include <condition_variable>
#include <thread>

namespace host {

namespace {

thread_local unsigned int indexOfThread = 0;
thread_local bool spawnedThread = false;

// Recursive, and aware of who holds it.
class PluginMutex : public Handled {
  public:
    explicit PluginMutex(int lockCount) : depth(lockCount)
    {
        if (lockCount > 0) {
            owner = std::this_thread::get_id();
        }
    }

    bool lock(bool wait)
    {
        const auto self = std::this_thread::get_id();
        std::unique_lock guard(mutex);
        if (depth > 0 && owner != self && !wait) {
            return false;
        }
        freed.wait(guard, [&] { return depth == 0 || owner == self; });
        owner = self;
        ++depth;
        return true;
    }

    bool unlock()
    {
        const std::lock_guard guard(mutex);
        if (depth == 0 || owner != std::this_thread::get_id()) {
            return false;
        }
        if (--depth == 0) {
            freed.notify_one();
        }
        return true;
    }

    bool isLocked()
    {
        const std::lock_guard guard(mutex);
        return depth > 0;
    }

  private:
    std::mutex mutex;
    std::condition_variable freed;
    std::thread::id owner;
    int depth;
};

std::atomic<int> livingMutexes = 0;

unsigned int cpus()
{
    const unsigned int wanted = Host::instance().traits.cpus;
    return wanted != 0 ? wanted : std::max(1u, std::thread::hardware_concurrency());
}

ofx::Status multiThread(ofx::ThreadFunctionV1 function, unsigned int count, void *argument)
{
    noteCall("multiThread");
    if (function == nullptr) {
        violation("multiThread was given no function.");
        return ofx::kStatFailed;
    }
    if (spawnedThread) {
        violation("multiThread was called from a thread that multiThread had started.");
        return ofx::kStatErrExists;
    }
    const unsigned int total = count == 0 ? cpus() : count;
    Scope *scope = currentScope();
    std::vector<std::thread> threads;
    for (unsigned int i = 0; i < total; ++i) {
        threads.emplace_back([=] {
            const Enter enter(scope);
            indexOfThread = i;
            spawnedThread = true;
            function(i, total, argument);
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    return ofx::kStatOK;
}

ofx::Status numCPUs(unsigned int *count)
{
    noteCall("multiThreadNumCPUs");
    if (count == nullptr) {
        return ofx::kStatFailed;
    }
    *count = cpus();
    return ofx::kStatOK;
}

ofx::Status threadIndex(unsigned int *index)
{
    if (index == nullptr) {
        return ofx::kStatFailed;
    }
    *index = indexOfThread;
    return ofx::kStatOK;
}

int isSpawned() { return spawnedThread ? 1 : 0; }

ofx::Status mutexCreate(ofx::MutexHandle *out, int lockCount)
{
    noteCall("mutexCreate");
    if (out == nullptr || lockCount < 0) {
        violation("mutexCreate was given no place for its answer, or a negative lock count.");
        return ofx::kStatErrValue;
    }
    *out = makeHandled<PluginMutex>(lockCount)->handle<ofx::MutexHandle>();
    ++livingMutexes;
    return ofx::kStatOK;
}

ofx::Status mutexDestroy(const ofx::MutexHandle handle)
{
    const auto mutex = resolve<PluginMutex>(handle, "mutexDestroy");
    if (!mutex) {
        return ofx::kStatErrBadHandle;
    }
    if (mutex->isLocked()) {
        violation("mutexDestroy was called with a locked mutex.");
    }
    dismiss(*mutex);
    --livingMutexes;
    return ofx::kStatOK;
}

ofx::Status mutexLock(const ofx::MutexHandle handle)
{
    const auto mutex = resolve<PluginMutex>(handle, "mutexLock");
    if (!mutex) {
        return ofx::kStatErrBadHandle;
    }
    mutex->lock(true);
    return ofx::kStatOK;
}

ofx::Status mutexUnLock(const ofx::MutexHandle handle)
{
    const auto mutex = resolve<PluginMutex>(handle, "mutexUnLock");
    if (!mutex) {
        return ofx::kStatErrBadHandle;
    }
    if (!mutex->unlock()) {
        violation("mutexUnLock was called by a thread that does not hold the mutex.");
        return ofx::kStatFailed;
    }
    return ofx::kStatOK;
}

ofx::Status mutexTryLock(const ofx::MutexHandle handle)
{
    const auto mutex = resolve<PluginMutex>(handle, "mutexTryLock");
    if (!mutex) {
        return ofx::kStatErrBadHandle;
    }
    return mutex->lock(false) ? ofx::kStatOK : ofx::kStatFailed;
}

} // namespace

const ofx::MultiThreadSuiteV1 &multiThreadSuite()
{
    static const ofx::MultiThreadSuiteV1 suite = {multiThread, numCPUs, threadIndex, isSpawned,
        mutexCreate, mutexDestroy, mutexLock, mutexUnLock, mutexTryLock};
    return suite;
}

int openMutexes() { return livingMutexes; }

} // namespace host
