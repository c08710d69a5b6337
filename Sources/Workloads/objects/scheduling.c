// threads with policy, niceness, CPUs, I/O priority and timer slack of their own
// needs: threads
#include <linux/ioprio.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "workload.h"

enum { threads = 4 };

struct Place {
    int policy, priority, nice, input, slack;
    cpu_set_t cpus;
};

static struct Place expected[threads];
static volatile int prepared, broken = -1;
static volatile bool stop;

static void ask(struct Place *place) {
    struct sched_param parameters;
    CPU_ZERO(&place->cpus);
    place->policy = (int)syscall(SYS_sched_getscheduler, 0);
    syscall(SYS_sched_getparam, 0, &parameters);
    place->priority = parameters.sched_priority;
    place->nice = (int)syscall(SYS_getpriority, PRIO_PROCESS, 0);
    place->input = (int)syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0);
    // Nothing chosen: kernels before 5.15 say level 4 then, and later ones level 0.
    if (IOPRIO_PRIO_CLASS(place->input) == IOPRIO_CLASS_NONE) place->input = 0;
    place->slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
    syscall(SYS_sched_getaffinity, 0, sizeof place->cpus, &place->cpus);
}

static void check(int index) {
    struct Place found, *wanted = &expected[index];
    ask(&found);
    WORKLOAD_CHECK(found.policy == wanted->policy, "thread %d: policy %d, not %d", index, found.policy, wanted->policy);
    WORKLOAD_CHECK(found.priority == wanted->priority, "thread %d: priority %d", index, found.priority);
    WORKLOAD_CHECK(found.nice == wanted->nice, "thread %d: nice %d, not %d", index, found.nice, wanted->nice);
    WORKLOAD_CHECK(found.input == wanted->input, "thread %d: I/O priority %d, not %d", index, found.input, wanted->input);
    // Newer kernels say 0 for real-time threads, whose timers have none, and older ones what would count for others.
    if (wanted->policy != SCHED_FIFO && wanted->policy != SCHED_RR)
        WORKLOAD_CHECK(found.slack == wanted->slack, "thread %d: slack %d, not %d", index, found.slack, wanted->slack);
    // A thread that was bound stays so. Free ones may find another number of CPUs.
    if (index == 1) WORKLOAD_CHECK(CPU_EQUAL(&found.cpus, &wanted->cpus), "thread %d runs elsewhere", index);
}

static void *work(void *argument) {
    int index = (int)(intptr_t)argument;
    if (index == 1) {
        cpu_set_t cpus;
        CPU_ZERO(&cpus);
        CPU_SET(0, &cpus);
        // A machine without CPU 0 for us keeps the thread free.
        syscall(SYS_sched_setaffinity, 0, sizeof cpus, &cpus);
        WORKLOAD_CALL(prctl(PR_SET_TIMERSLACK, 123456, 0, 0, 0));
    }
    if (index == 2) {
        struct sched_param parameters = {0};
        WORKLOAD_CALL(syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &parameters));
        WORKLOAD_CALL(syscall(SYS_setpriority, PRIO_PROCESS, 0, 7));
        WORKLOAD_CALL(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6)));
    }
    if (index == 3) {
        // Root alone may have these.
        struct sched_param parameters = {.sched_priority = 3};
        syscall(SYS_sched_setscheduler, 0, SCHED_RR, &parameters);
        syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
    }
    ask(&expected[index]);
    __sync_fetch_and_add(&prepared, 1);
    while (!stop) {
        if (broken == index) syscall(SYS_setpriority, PRIO_PROCESS, 0, 11);
        check(index);
        workload_pause(3);
    }
    return NULL;
}

int main(void) {
    workload_begin();
    pthread_t thread[threads];
    for (intptr_t index = 0; index < threads; index++)
        WORKLOAD_CHECK(pthread_create(&thread[index], NULL, work, (void *)index) == 0, "no thread");
    while (prepared < threads) workload_pause(1);
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
