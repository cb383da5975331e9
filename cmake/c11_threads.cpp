// For ThreadSanitizer alone. Debian's librdkafka is built on C11's <threads.h>, whose functions g++ 12's
// ThreadSanitizer does not know: a thread made by thrd_create() has no state of its own there, and the first function
// that is intercepted in it crashes. Here they are again, by POSIX threads, which it does know; so it also sees what
// librdkafka's locks order. glibc's mtx_t and cnd_t are its pthread_mutex_t and pthread_cond_t (nptl/mtx_init.c).
#include <pthread.h>
#include <threads.h>

#include <cerrno>
#include <cstdint>
#include <memory>

namespace {

struct start {
    thrd_start_t run;
    void* argument;
};

void* begin(void* given) {
    const std::unique_ptr<start> what{static_cast<start*>(given)};
    return reinterpret_cast<void*>(static_cast<std::intptr_t>(what->run(what->argument)));
}

int answer(int error) {
    switch (error) {
        case 0:
            return thrd_success;
        case EBUSY:
            return thrd_busy;
        case ENOMEM:
            return thrd_nomem;
        case ETIMEDOUT:
            return thrd_timedout;
        default:
            return thrd_error;
    }
}

pthread_mutex_t* posix(mtx_t* of) {
    return reinterpret_cast<pthread_mutex_t*>(of);
}
pthread_cond_t* posix(cnd_t* of) {
    return reinterpret_cast<pthread_cond_t*>(of);
}

}  // namespace

extern "C" {

int thrd_create(thrd_t* thread, thrd_start_t run, void* argument) {
    auto what = std::make_unique<start>(start{run, argument});
    const int error = pthread_create(thread, nullptr, begin, what.get());
    if (error == 0) static_cast<void>(what.release());
    return answer(error);
}

int thrd_join(thrd_t thread, int* result) {
    void* returned = nullptr;
    const int error = pthread_join(thread, &returned);
    if (result != nullptr) *result = static_cast<int>(reinterpret_cast<std::intptr_t>(returned));
    return answer(error);
}

int thrd_detach(thrd_t thread) {
    return answer(pthread_detach(thread));
}
void thrd_exit(int result) {
    pthread_exit(reinterpret_cast<void*>(static_cast<std::intptr_t>(result)));
}

int mtx_init(mtx_t* mutex, int type) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes,
                              (type & mtx_recursive) != 0 ? PTHREAD_MUTEX_RECURSIVE : PTHREAD_MUTEX_NORMAL);
    const int error = pthread_mutex_init(posix(mutex), &attributes);
    pthread_mutexattr_destroy(&attributes);
    return answer(error);
}
void mtx_destroy(mtx_t* mutex) {
    pthread_mutex_destroy(posix(mutex));
}
int mtx_lock(mtx_t* mutex) {
    return answer(pthread_mutex_lock(posix(mutex)));
}
int mtx_trylock(mtx_t* mutex) {
    return answer(pthread_mutex_trylock(posix(mutex)));
}
int mtx_unlock(mtx_t* mutex) {
    return answer(pthread_mutex_unlock(posix(mutex)));
}

int cnd_init(cnd_t* condition) {
    return answer(pthread_cond_init(posix(condition), nullptr));
}
void cnd_destroy(cnd_t* condition) {
    pthread_cond_destroy(posix(condition));
}
int cnd_signal(cnd_t* condition) {
    return answer(pthread_cond_signal(posix(condition)));
}
int cnd_broadcast(cnd_t* condition) {
    return answer(pthread_cond_broadcast(posix(condition)));
}
int cnd_wait(cnd_t* condition, mtx_t* mutex) {
    return answer(pthread_cond_wait(posix(condition), posix(mutex)));
}
int cnd_timedwait(cnd_t* condition, mtx_t* mutex, const timespec* until) {
    return answer(pthread_cond_timedwait(posix(condition), posix(mutex), until));
}

}  // extern "C"
