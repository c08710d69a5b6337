// a handler that waits in sigsuspend on the alternate stack, with nested masks, and threads with stacks of their own
// needs: signals, threads
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

#include "workload.h"

enum { threads = 2, bytes = 65536 };

static char stacks[threads][bytes] __attribute__((aligned(64)));
static volatile sig_atomic_t inner[threads], inside[threads];
static volatile pid_t tids[threads];
static volatile bool damaged;

static int self(void) {
    pid_t tid = (pid_t)syscall(SYS_gettid);
    for (int index = 0; index < threads; index++)
        if (tids[index] == tid) return index;
    workload_fail("a handler runs in another thread");
}

static void check_stack(int index, bool isOnIt) {
    stack_t stack;
    WORKLOAD_CALL(sigaltstack(NULL, &stack));
    WORKLOAD_CHECK(stack.ss_sp == stacks[index] && stack.ss_size == bytes, "thread %d has another stack", index);
    WORKLOAD_CHECK(stack.ss_flags == (isOnIt ? SS_ONSTACK : 0), "thread %d: stack flags %d", index, stack.ss_flags);
}

static void on_inner(int signal) {
    (void)signal;
    inner[self()]++;
}

/// Runs on the alternate stack for as long as the workload runs.
static void on_outer(int signal) {
    int index = self();
    volatile uint64_t local = workload_number(5, (uint64_t)index);
    char *here = (char *)&local;
    WORKLOAD_CHECK(here >= stacks[index] && here < stacks[index] + bytes, "thread %d is on another stack", index);
    sigset_t wait, now;
    sigfillset(&wait);
    sigdelset(&wait, SIGUSR2);
    inside[index] = 1;
    for (;;) {
        if (sigsuspend(&wait) != -1 || errno != EINTR) workload_fail("sigsuspend: errno %d", errno);
        WORKLOAD_CHECK(local == workload_number(5, (uint64_t)index), "thread %d: its stack was overwritten", index);
        check_stack(index, true);
        // The mask that sigsuspend gives back: the signal itself is blocked, the other one too.
        WORKLOAD_CHECK(pthread_sigmask(SIG_BLOCK, NULL, &now) == 0, "no mask");
        WORKLOAD_CHECK(sigismember(&now, signal) == 1 && sigismember(&now, SIGUSR2) == 1 && !sigismember(&now, SIGURG),
                       "thread %d: sigsuspend left another mask", index);
    }
}

static void *work(void *argument) {
    int index = (int)(intptr_t)argument;
    tids[index] = (pid_t)syscall(SYS_gettid);
    stack_t stack = {.ss_sp = stacks[index], .ss_size = bytes};
    WORKLOAD_CALL(sigaltstack(&stack, NULL));
    check_stack(index, false);
    WORKLOAD_CALL((int)syscall(SYS_tgkill, getpid(), tids[index], SIGUSR1));
    workload_fail("the handler has returned");
}

int main(void) {
    workload_begin();
    struct sigaction outer = {.sa_handler = on_outer, .sa_flags = SA_ONSTACK};
    sigaddset(&outer.sa_mask, SIGUSR2);
    WORKLOAD_CALL(sigaction(SIGUSR1, &outer, NULL));
    struct sigaction nested = {.sa_handler = on_inner};
    WORKLOAD_CALL(sigaction(SIGUSR2, &nested, NULL));
    pthread_t thread[threads];
    for (intptr_t index = 0; index < threads; index++)
        WORKLOAD_CHECK(pthread_create(&thread[index], NULL, work, (void *)index) == 0, "no thread");
    for (int index = 0; index < threads; index++)
        while (!inside[index]) workload_pause(1);
    workload_ready();
    for (int round = 1;; round++) {
        bool last = workload_verify_requested();
        if (workload_break_now()) inner[0] += 2;
        for (int index = 0; index < threads; index++) {
            WORKLOAD_CHECK(pthread_kill(thread[index], SIGUSR2) == 0, "no signal");
            for (int tries = 0; inner[index] < round && tries < 800; tries++) workload_pause(2);
            WORKLOAD_CHECK(inner[index] == round, "thread %d took %d signals of %d", index, inner[index], round);
        }
        workload_progress();
        if (last) workload_verified();
        workload_pause(20);
    }
}
