// system calls that a thread gets back as SIGSYS, with the selector in its memory
// needs: threads
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "workload.h"

// linux/prctl.h since 5.11
#define DISPATCH 59
#define DISPATCH_ON 1

static volatile char selector;
static volatile uint64_t caught, rounds;
static volatile bool isPossible, stop, damaged;

static void on_call(int signal, siginfo_t *info, void *context) {
    (void)signal;
    ucontext_t *machine = context;
    selector = 0;
    if (info->si_syscall == SYS_getpgid) caught++;
    machine->uc_mcontext.gregs[REG_RAX] = 4711;
}

static void *work(void *unused) {
    // Only the calls of this thread; libc's code lies outside the range of length 0.
    isPossible = prctl(DISPATCH, DISPATCH_ON, 0L, 0L, &selector) == 0;
    while (!stop) {
        if (isPossible) {
            if (damaged) selector = 0; else selector = 1;
            uint64_t before = caught;
            long answer = syscall(SYS_getpgid, 0);
            selector = 0;
            WORKLOAD_CHECK(caught == before + 1 && answer == 4711, "the call was not dispatched: %ld", answer);
        }
        rounds++;
        workload_pause(2);
    }
    return unused;
}

int main(void) {
    workload_begin();
    struct sigaction action = {.sa_sigaction = on_call, .sa_flags = SA_SIGINFO};
    WORKLOAD_CALL(sigaction(SIGSYS, &action, NULL));
    pthread_t thread;
    WORKLOAD_CHECK(pthread_create(&thread, NULL, work, NULL) == 0, "no thread");
    while (!rounds) workload_pause(1);
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) {
            damaged = true;
            if (!isPossible) workload_fail("told to break");
        }
        workload_progress();
        workload_pause(5);
    }
    uint64_t before = rounds;
    for (int tries = 0; rounds < before + 3 && tries < 400; tries++) workload_pause(5);
    WORKLOAD_CHECK(rounds >= before + 3, "the thread does not run any more");
    stop = true;
    pthread_join(thread, NULL);
    workload_verified();
}
