// what prctl(2) and its kin set for a task or process: names, death signal, dumpability, machine checks, TSC, barriers
// needs: threads
#include <linux/membarrier.h>
#include <pthread.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "workload.h"

enum { threads = 3, values = 10 };

static long expected[threads][values];
static volatile int prepared, broken = -1;
static volatile bool stop;

static void ask(long *found) {
    int value = 0;
    char name[16] = "";
    for (int index = 0; index < values; index++) found[index] = 0;
    prctl(PR_GET_NAME, name, 0, 0, 0);
    for (int index = 0; index < 16 && name[index]; index++) found[0] = found[0] * 31 + name[index];
    prctl(PR_GET_PDEATHSIG, &value, 0, 0, 0);
    found[1] = value;
    found[2] = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
    found[3] = prctl(PR_MCE_KILL_GET, 0, 0, 0, 0);
    prctl(PR_GET_TSC, &value, 0, 0, 0);
    found[4] = value;
    found[5] = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
    found[6] = personality(0xffffffff);
    found[7] = prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0);
    prctl(PR_GET_CHILD_SUBREAPER, &value, 0, 0, 0);
    found[8] = value;
    // Fails with EPERM unless registered.
    found[9] = syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

static void check(int index) {
    long found[values];
    ask(found);
    for (int value = 0; value < values; value++)
        WORKLOAD_CHECK(found[value] == expected[index][value], "thread %d: value %d is %ld, not %ld", index, value,
                       found[value], expected[index][value]);
}

static void *work(void *argument) {
    int index = (int)(intptr_t)argument;
    char name[16];
    snprintf(name, sizeof name, "number (%d) of", index);
    WORKLOAD_CALL(prctl(PR_SET_NAME, name, 0, 0, 0));
    WORKLOAD_CALL(prctl(PR_SET_TIMERSLACK, 70000 + index, 0, 0, 0));
    if (index == 1) {
        WORKLOAD_CALL(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0));
        WORKLOAD_CALL(prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0));
        WORKLOAD_CALL(personality(ADDR_NO_RANDOMIZE | STICKY_TIMEOUTS));
    }
    if (index == 2) {
        WORKLOAD_CALL(prctl(PR_SET_PDEATHSIG, SIGURG, 0, 0, 0));
        WORKLOAD_CALL(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE, 0, 0));
    }
    __sync_fetch_and_add(&prepared, 1);
    while (prepared < threads + 1) syscall(SYS_sched_yield);
    ask(expected[index]);
    __sync_fetch_and_add(&prepared, 1);
    while (!stop) {
        if (broken == index) prctl(PR_SET_NAME, "somebody else", 0, 0, 0);
        check(index);
        // No clock: thread 1 may not read the time stamp counter, and the vDSO would.
        struct timespec time = {0, 3000000};
        syscall(SYS_nanosleep, &time, NULL);
    }
    return NULL;
}

int main(void) {
    workload_begin();
    pthread_t thread[threads];
    for (intptr_t index = 0; index < threads; index++)
        WORKLOAD_CHECK(pthread_create(&thread[index], NULL, work, (void *)index) == 0, "no thread");
    WORKLOAD_CALL(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
    WORKLOAD_CALL(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
    WORKLOAD_CALL(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
    __sync_fetch_and_add(&prepared, 1);
    while (prepared < 2 * threads + 1) workload_pause(1);
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) broken = 0;
        workload_progress();
        workload_pause(5);
    }
    stop = true;
    for (int index = 0; index < threads; index++) pthread_join(thread[index], NULL);
    workload_verified();
}
