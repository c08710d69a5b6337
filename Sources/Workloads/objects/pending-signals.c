// blocked signals that wait for single threads and for the process, with their siginfo and order
// needs: signals, threads
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

#include "workload.h"

enum { threads = 3, signals = 4 };

static volatile pid_t tids[threads];
/// How many rounds may be checked, and how many checks there have been. Neither ever goes back: a thread that gets no time
/// for a while, as in a dump, must not miss anything.
static volatile int rounds, checked;

static void send(int index, int round) {
    // SI_TKILL, and one of each kind for a real-time signal with a value.
    WORKLOAD_CALL((int)syscall(SYS_tgkill, getpid(), tids[index], SIGUSR1));
    for (int number = 0; number < signals; number++) {
        siginfo_t info = {0};
        info.si_signo = SIGRTMIN + 1;
        info.si_code = SI_QUEUE;
        info.si_pid = getpid();
        info.si_value.sival_int = round * 100 + index * 10 + number;
        WORKLOAD_CALL((int)syscall(SYS_rt_tgsigqueueinfo, getpid(), tids[index], info.si_signo, &info));
    }
}

static void take(int index, sigset_t *set, int signal, int code, int value) {
    struct timespec none = {0, 0};
    siginfo_t info;
    // Not libc's: it reports SI_TKILL as SI_USER.
    int found = (int)syscall(SYS_rt_sigtimedwait, set, &info, &none, 8);
    WORKLOAD_CHECK(found == signal, "thread %d: signal %d instead of %d", index, found, signal);
    WORKLOAD_CHECK(info.si_code == code, "thread %d: code %d instead of %d", index, info.si_code, code);
    WORKLOAD_CHECK(info.si_pid == getpid(), "thread %d: sender %d", index, info.si_pid);
    WORKLOAD_CHECK(code == SI_TKILL || info.si_value.sival_int == value, "thread %d: value %d instead of %d", index,
                   info.si_value.sival_int, value);
}

static void *work(void *argument) {
    int index = (int)(intptr_t)argument;
    tids[index] = (pid_t)syscall(SYS_gettid);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN + 1);
    for (int round = 0;; round++) {
        while (rounds <= round || checked != threads * round + index) workload_pause(1);
        take(index, &set, SIGUSR1, SI_TKILL, 0);
        for (int number = 0; number < signals; number++)
            take(index, &set, SIGRTMIN + 1, SI_QUEUE, round * 100 + index * 10 + number);
        checked++;
    }
    return NULL;
}

int main(void) {
    workload_begin();
    sigset_t set;
    sigfillset(&set);
    WORKLOAD_CALL(sigprocmask(SIG_BLOCK, &set, NULL));
    pthread_t thread;
    for (intptr_t index = 0; index < threads; index++)
        WORKLOAD_CHECK(pthread_create(&thread, NULL, work, (void *)index) == 0, "no thread");
    for (int index = 0; index < threads; index++)
        while (!tids[index]) workload_pause(1);
    for (int round = 0;; round++) {
        for (int index = 0; index < threads; index++) send(index, round);
        WORKLOAD_CALL(kill(getpid(), SIGUSR2));
        if (round == 0) workload_ready();
        bool last = workload_verify_requested();
        workload_pause(60);
        if (workload_break_now()) send(1, round + 7);
        rounds = round + 1;
        while (checked < threads * (round + 1)) workload_pause(1);
        sigset_t mine;
        sigemptyset(&mine);
        sigaddset(&mine, SIGUSR2);
        take(-1, &mine, SIGUSR2, SI_USER, 0);
        workload_progress();
        if (last) workload_verified();
    }
}
