// Eighteen threads: a bounded buffer between six producers and six consumers, four at a barrier, one that owns a robust
// mutex, and the leader. Each carries its own thread-local numbers, name and signal mask.
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>

#include "workload.h"

enum { producers = 6, consumers = 6, runners = 4, capacity = 8, all = producers + consumers + runners + 1 };

typedef struct {
    unsigned id;
    pthread_t thread;
    uint64_t steps;  // written by its thread, read by the leader
} member;

static member members[all];
static atomic_bool stopping;

// Thread-local storage, initialised and not.
static _Thread_local uint64_t own_number = 99;
static _Thread_local uint64_t own_words[512];

/// Not inlined: gcc 12 otherwise folds the loops' constants into a thread-pointer offset that does not fit 32 bits.
__attribute__((noinline)) static uint64_t *own_page(void) {
    uint64_t *words = own_words;
    __asm__("" : "+r"(words));
    return words;
}

static void name_of(unsigned id, char into[16]) {
    const char *role = id < producers ? "producer-" : id < producers + consumers ? "consumer-"
        : id < producers + consumers + runners ? "runner-" : "owner-";
    size_t length = workload_append(into, 0, 14, role);
    into[length++] = (char)('a' + id);
    into[length] = 0;
}

static uint64_t mask_of(unsigned id) { return 1ULL << (SIGRTMIN + id % 16 - 1) | 1ULL << (SIGUSR1 - 1); }

static void enter(unsigned id) {
    char name[16];
    name_of(id, name);
    WORKLOAD_CALL(prctl(PR_SET_NAME, name));
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGRTMIN + (int)id % 16);
    sigaddset(&mask, SIGUSR1);
    WORKLOAD_CHECK(pthread_sigmask(SIG_SETMASK, &mask, NULL) == 0, "pthread_sigmask");
    own_number = workload_number(200, id);
    uint64_t *page = own_page();
    for (unsigned word = 0; word < 512; word++) page[word] = workload_number(201 + id, word);
}

/// What belongs to one thread alone is still this thread's.
static void check_own(unsigned id) {
    WORKLOAD_CHECK(own_number == workload_number(200, id), "thread %u: its thread-local number is another's", id);
    const uint64_t *page = own_page();
    for (unsigned word = 0; word < 512; word += 37)
        WORKLOAD_CHECK(page[word] == workload_number(201 + id, word), "thread %u: thread-local page is wrong", id);
    WORKLOAD_CHECK(pthread_equal(pthread_self(), members[id].thread), "thread %u: pthread_self is another's", id);
    char name[16], found[16];
    name_of(id, name);
    WORKLOAD_CALL(prctl(PR_GET_NAME, found));
    for (unsigned at = 0; at < 16; at++) {
        WORKLOAD_CHECK(name[at] == found[at], "thread %u: its name is %s", id, found);
        if (!name[at]) break;
    }
    sigset_t mask;
    WORKLOAD_CHECK(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0, "pthread_sigmask");
    uint64_t bits = 0;
    for (int number = 1; number <= 64; number++) bits |= sigismember(&mask, number) == 1 ? 1ULL << (number - 1) : 0;
    WORKLOAD_CHECK(bits == mask_of(id), "thread %u: its signal mask is %lx", id, bits);
}

// Bounded buffer. Sequence numbers go in under the lock in order, so they must come out in order.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER, not_empty = PTHREAD_COND_INITIALIZER;
static uint64_t buffer[capacity], produced, consumed, produced_sum, consumed_sum;
static unsigned finished_producers;

static void check_buffer(void) {
    WORKLOAD_CHECK(consumed <= produced && produced - consumed <= capacity, "%lu produced but %lu consumed", produced,
                   consumed);
    uint64_t inside = 0;
    for (uint64_t at = consumed; at < produced; at++) inside += buffer[at % capacity];
    WORKLOAD_CHECK(produced_sum == consumed_sum + inside, "the buffer lost or doubled an item");
}

static void *produce(void *argument) {
    member *self = argument;
    pthread_mutex_lock(&lock);  // also waits until `members` is complete
    pthread_mutex_unlock(&lock);
    enter(self->id);
    while (!stopping) {
        check_own(self->id);
        pthread_mutex_lock(&lock);
        while (produced - consumed == capacity) pthread_cond_wait(&not_full, &lock);
        check_buffer();
        uint64_t item = workload_number(300, produced);
        buffer[produced++ % capacity] = item;
        produced_sum += item;
        pthread_cond_signal(&not_empty);
        pthread_mutex_unlock(&lock);
        __atomic_add_fetch(&self->steps, 1, __ATOMIC_SEQ_CST);
        workload_pause(self->id % 2 ? 15 : 20);
    }
    pthread_mutex_lock(&lock);
    finished_producers++;
    pthread_cond_broadcast(&not_empty);
    pthread_mutex_unlock(&lock);
    return self;
}

static void *consume(void *argument) {
    member *self = argument;
    pthread_mutex_lock(&lock);
    pthread_mutex_unlock(&lock);
    enter(self->id);
    for (;;) {
        check_own(self->id);
        pthread_mutex_lock(&lock);
        while (produced == consumed && finished_producers < producers) pthread_cond_wait(&not_empty, &lock);
        if (produced == consumed) break;
        check_buffer();
        uint64_t item = buffer[consumed % capacity];
        WORKLOAD_CHECK(item == workload_number(300, consumed), "item %lu is not what was produced", consumed);
        consumed++;
        consumed_sum += item;
        pthread_cond_signal(&not_full);
        pthread_mutex_unlock(&lock);
        __atomic_add_fetch(&self->steps, 1, __ATOMIC_SEQ_CST);
    }
    pthread_mutex_unlock(&lock);
    return self;
}

// Nobody may be more than one lap ahead at a barrier. Spin locks and read-write locks guard the laps.
static pthread_barrier_t barrier;
static pthread_rwlock_t laps_lock = PTHREAD_RWLOCK_INITIALIZER;
static uint64_t laps[runners];
static bool last_lap;

static void *run(void *argument) {
    member *self = argument;
    unsigned lane = self->id - producers - consumers;
    pthread_mutex_lock(&lock);
    pthread_mutex_unlock(&lock);
    enter(self->id);
    for (;;) {
        check_own(self->id);
        pthread_rwlock_wrlock(&laps_lock);
        laps[lane]++;
        pthread_rwlock_unlock(&laps_lock);
        pthread_barrier_wait(&barrier);
        pthread_rwlock_rdlock(&laps_lock);
        for (unsigned other = 0; other < runners; other++)
            WORKLOAD_CHECK(laps[other] == laps[lane], "runner %u is at lap %lu, runner %u at %lu", lane, laps[lane],
                           other, laps[other]);
        pthread_rwlock_unlock(&laps_lock);
        if (lane == 0) last_lap = stopping;
        pthread_barrier_wait(&barrier);
        if (last_lap) return self;
        __atomic_add_fetch(&self->steps, 1, __ATOMIC_SEQ_CST);
        workload_pause(10 + lane);
    }
}

// Dies with a robust mutex in its hands: the kernel must know the list to tell the next owner.
static pthread_mutex_t robust, robust_gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t robust_change = PTHREAD_COND_INITIALIZER;
static bool robust_taken;

static void *own(void *argument) {
    member *self = argument;
    pthread_mutex_lock(&lock);
    pthread_mutex_unlock(&lock);
    enter(self->id);
    pthread_mutex_lock(&robust);
    pthread_mutex_lock(&robust_gate);
    robust_taken = true;
    pthread_cond_signal(&robust_change);
    while (!stopping) pthread_cond_wait(&robust_change, &robust_gate);
    pthread_mutex_unlock(&robust_gate);
    check_own(self->id);
    return self;
}

static void start(unsigned id, void *(*body)(void *)) {
    // Small stacks of our own size, one with a larger guard.
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 * 1024);
    if (id == 3) pthread_attr_setguardsize(&attributes, 16 * 1024);
    members[id].id = id;
    int error = pthread_create(&members[id].thread, &attributes, body, &members[id]);
    WORKLOAD_CHECK(error == 0, "pthread_create: %d", error);
    pthread_attr_destroy(&attributes);
}

/// Every thread has done something since the last time. Waits, because a slow machine is not a wrong one.
static void wait_for_all(uint64_t seen[all]) {
    for (unsigned id = 0; id < all - 1; id++) {
        uint64_t steps;
        while ((steps = __atomic_load_n(&members[id].steps, __ATOMIC_SEQ_CST)) == seen[id]) {
            if (workload_verify_requested()) return;
            workload_pause(5);
        }
        seen[id] = steps;
    }
}

int main(void) {
    workload_begin();
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attributes);
    pthread_barrier_init(&barrier, NULL, runners);
    pthread_mutex_lock(&lock);
    for (unsigned id = 0; id < all; id++)
        start(id, id < producers ? produce : id < producers + consumers ? consume
                : id < producers + consumers + runners ? run : own);
    pthread_mutex_unlock(&lock);
    pthread_mutex_lock(&robust_gate);
    while (!robust_taken) pthread_cond_wait(&robust_change, &robust_gate);
    pthread_mutex_unlock(&robust_gate);
    uint64_t seen[all] = {0};
    wait_for_all(seen);
    workload_ready();
    do {
        WORKLOAD_CHECK(pthread_mutex_trylock(&robust) == EBUSY, "the robust mutex lost its owner");
        pthread_mutex_lock(&lock);
        check_buffer();
        if (workload_break_now()) buffer[0] ^= 1, consumed_sum ^= 1;
        pthread_mutex_unlock(&lock);
        wait_for_all(seen);
        workload_progress();
        workload_pause(5);
    } while (!workload_verify_requested());
    pthread_mutex_lock(&robust_gate);
    stopping = true;
    pthread_cond_broadcast(&robust_change);
    pthread_mutex_unlock(&robust_gate);
    for (unsigned id = 0; id < all; id++) {
        void *value;
        int error = pthread_join(members[id].thread, &value);
        WORKLOAD_CHECK(error == 0 && value == &members[id], "thread %u cannot be joined: %d", id, error);
    }
    WORKLOAD_CHECK(produced == consumed && produced_sum == consumed_sum, "%lu produced, %lu consumed", produced,
                   consumed);
    int error = pthread_mutex_lock(&robust);
    WORKLOAD_CHECK(error == EOWNERDEAD, "the robust mutex of a dead owner answers %d", error);
    workload_verified();
}
