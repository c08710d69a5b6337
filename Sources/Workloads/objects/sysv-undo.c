// System V semaphores with operations to undo (SEM_UNDO), of a process with threads and of its child, in an IPC namespace
// needs: namespaces root
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/wait.h>

#include "workload.h"

enum { count = 6 };

static int set;
static volatile bool stop;

static void operate(unsigned short number, short change) {
    struct sembuf operation = {number, change, SEM_UNDO};
    while (semop(set, &operation, 1) < 0) WORKLOAD_CHECK(errno == EINTR, "semop: errno %d", errno);
}

static void check(const char *when, const int *values) {
    for (int index = 0; index < count; index++) {
        int now = WORKLOAD_CALL(semctl(set, index, GETVAL));
        WORKLOAD_CHECK(now == values[index], "%s semaphore %d is %d, not %d", when, index, now, values[index]);
    }
}

/// Threads have a common list of what is to be undone.
static void *work(void *unused) {
    operate(4, 5);
    while (!stop) workload_pause(5);
    return unused;
}

int main(void) {
    workload_begin();
    WORKLOAD_CALL(unshare(CLONE_NEWIPC));
    set = WORKLOAD_CALL(semget(IPC_PRIVATE, count, 0600));
    unsigned short start[count] = {1, 1, 9, 30000, 0, 7};
    WORKLOAD_CALL(semctl(set, 0, SETALL, start));
    int ready[2];
    WORKLOAD_CALL(pipe(ready));
    pid_t child = WORKLOAD_CALL(fork());
    if (child == 0) {
        WORKLOAD_CALL(prctl(PR_SET_PDEATHSIG, SIGKILL));
        operate(1, -1);
        operate(2, 4);
        operate(3, -30000);
        // Its value says nothing of what is to be undone: others have used it since.
        operate(5, -7);
        WORKLOAD_CHECK(write(ready[1], "", 1) == 1, "the pipe: errno %d", errno);
        for (;;) workload_pause(1000);
    }
    char byte;
    WORKLOAD_CHECK(read(ready[0], &byte, 1) == 1, "the pipe: errno %d", errno);
    struct sembuf others = {5, 6, 0};
    WORKLOAD_CALL(semop(set, &others, 1));
    operate(0, -1);
    pthread_t thread;
    WORKLOAD_CHECK(pthread_create(&thread, NULL, work, NULL) == 0, "no thread");
    while (WORKLOAD_CALL(semctl(set, 4, GETVAL)) != 5) workload_pause(1);
    static const int held[count] = {0, 0, 13, 0, 5, 6}, given[count] = {0, 1, 9, 30000, 5, 13};
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) operate(0, 3);
        check("while all hold them", held);
        workload_progress();
        workload_pause(5);
    }
    WORKLOAD_CALL(kill(child, SIGKILL));
    WORKLOAD_CALL(waitpid(child, NULL, 0));
    check("after the child's end", given);
    stop = true;
    pthread_join(thread, NULL);
    // Leaving the list does what the end would do.
    WORKLOAD_CALL(unshare(CLONE_SYSVSEM));
    static const int left[count] = {1, 1, 9, 30000, 0, 13};
    check("after the process left its list,", left);
    WORKLOAD_CALL(semctl(set, 0, IPC_RMID));
    workload_verified();
}
