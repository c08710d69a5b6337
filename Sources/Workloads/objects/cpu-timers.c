// POSIX timers on CPU time: of the process, of a thread, told to a thread, told to one that has ended
// needs: threads, timers
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

#include "workload.h"

enum { count = 5 };

static volatile uint64_t expired[count];
static volatile pid_t worker, taker;
static volatile bool stop;
static timer_t timers[count];

static void handler(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)context;
    int index = info->si_value.sival_int;
    if (index == 2 && syscall(SYS_gettid) != taker) workload_fail("a timer's signal reached another thread");
    if (index >= 0 && index < count) __sync_fetch_and_add(&expired[index], 1);
}

static void make(int index, clockid_t clock, int notify, pid_t task, long milliseconds) {
    struct sigevent event = {.sigev_notify = notify, .sigev_signo = SIGRTMIN + 2, .sigev_value.sival_int = index};
    event._sigev_un._tid = task;
    WORKLOAD_CALL(timer_create(clock, &event, &timers[index]));
    struct itimerspec setting = {{0, milliseconds * 1000000}, {0, milliseconds * 1000000}};
    WORKLOAD_CALL(timer_settime(timers[index], 0, &setting, NULL));
}

/// Burns time, so that its clocks run.
static void *work(void *unused) {
    worker = (pid_t)syscall(SYS_gettid);
    volatile uint64_t value = 1;
    while (!stop)
        for (int step = 0; step < 1000; step++) value = workload_mix(value);
    return unused;
}

static void *take(void *unused) {
    taker = (pid_t)syscall(SYS_gettid);
    while (!stop) workload_pause(5);
    return unused;
}

static void *make_and_end(void *unused) {
    // Its signal is for a thread that will be gone.
    make(4, CLOCK_MONOTONIC, SIGEV_THREAD_ID, (pid_t)syscall(SYS_gettid), 700);
    return unused;
}

static void settings(void) {
    for (int index = 0; index < count; index++) {
        struct itimerspec setting;
        WORKLOAD_CALL(timer_gettime(timers[index], &setting));
        WORKLOAD_CHECK(setting.it_interval.tv_nsec == (index == 4 ? 700 : 10 + 10 * index) * 1000000L,
                       "timer %d repeats each %ld ns", index, setting.it_interval.tv_nsec);
        WORKLOAD_CHECK(timer_getoverrun(timers[index]) >= 0, "timer %d: errno %d", index, errno);
    }
}

int main(void) {
    workload_begin();
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    WORKLOAD_CALL(sigaction(SIGRTMIN + 2, &action, NULL));
    pthread_t thread, burner;
    WORKLOAD_CHECK(pthread_create(&burner, NULL, work, NULL) == 0, "no thread");
    WORKLOAD_CHECK(pthread_create(&thread, NULL, take, NULL) == 0, "no thread");
    while (!worker || !taker) workload_pause(1);
    clockid_t clock;
    WORKLOAD_CHECK(pthread_getcpuclockid(burner, &clock) == 0, "no clock of a thread");
    make(0, CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, 0, 10);
    make(1, clock, SIGEV_SIGNAL, 0, 20);
    make(2, CLOCK_MONOTONIC, SIGEV_THREAD_ID, taker, 30);
    make(3, CLOCK_BOOTTIME, SIGEV_NONE, 0, 40);
    WORKLOAD_CHECK(pthread_create(&thread, NULL, make_and_end, NULL) == 0, "no thread");
    pthread_join(thread, NULL);
    workload_ready();
    uint64_t before[count];
    // On a busy machine a thread may wait for seconds until it has had its 20 ms; not where it is known to fail.
    int patience = 3000;
    for (;;) {
        bool last = workload_verify_requested();
        if (workload_break_now()) {
            struct itimerspec none = {0};
            WORKLOAD_CALL(timer_settime(timers[2], 0, &none, NULL));
            patience = 100;
        }
        for (int index = 0; index < count; index++) before[index] = expired[index];
        for (int tries = 0; tries < patience; tries++) {
            if (expired[0] != before[0] && expired[1] != before[1] && expired[2] != before[2]) break;
            workload_pause(5);
        }
        for (int index = 0; index < 3; index++)
            WORKLOAD_CHECK(expired[index] != before[index], "timer %d does not expire any more", index);
        settings();
        workload_progress();
        if (last) workload_verified();
    }
}
