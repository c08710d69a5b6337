// System V semaphores: values, key, owner, and a child that waits for one
// needs: ipc
#include <signal.h>
#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/wait.h>

#include "workload.h"

enum { count = 7, request = 5, answer = 6 };

static void operate(int set, unsigned short number, short change) {
    struct sembuf operation = {number, change, 0};
    // A signal (or a dump) may cut the wait short.
    while (semop(set, &operation, 1) < 0) WORKLOAD_CHECK(errno == EINTR, "semop: errno %d", errno);
}

int main(void) {
    workload_begin();
    key_t key = (key_t)(0x43530000 + getpid() % 0xffff);
    int set;
    while ((set = semget(key, count, IPC_CREAT | IPC_EXCL | 0604)) < 0) {
        WORKLOAD_CHECK(errno == EEXIST, "semget: errno %d", errno);
        key++;
    }
    unsigned short values[count];
    for (int index = 0; index < count; index++)
        values[index] = index < request ? (unsigned short)(workload_number(1, index) % 32768) : 0;
    WORKLOAD_CALL(semctl(set, 0, SETALL, values));
    pid_t child = WORKLOAD_CALL(fork());
    if (child == 0) {
        WORKLOAD_CALL(prctl(PR_SET_PDEATHSIG, SIGKILL));
        for (;;) {
            operate(set, request, -1);
            operate(set, answer, 1);
        }
    }
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) WORKLOAD_CALL(semctl(set, 2, SETVAL, 1));
        unsigned short now[count];
        WORKLOAD_CALL(semctl(set, 0, GETALL, now));
        for (int index = 0; index < request; index++)
            WORKLOAD_CHECK(now[index] == values[index], "semaphore %d is %u, not %u", index, now[index], values[index]);
        WORKLOAD_CHECK(semget(key, count, 0) == set, "the key leads elsewhere");
        struct semid_ds status;
        WORKLOAD_CALL(semctl(set, 0, IPC_STAT, &status));
        WORKLOAD_CHECK(status.sem_perm.mode == 0604 && status.sem_nsems == count, "mode %o", status.sem_perm.mode);
        operate(set, request, 1);
        operate(set, answer, -1);
        workload_progress();
        workload_pause(5);
    }
    WORKLOAD_CALL(kill(child, SIGKILL));
    WORKLOAD_CALL(waitpid(child, NULL, 0));
    WORKLOAD_CALL(semctl(set, 0, IPC_RMID));
    workload_verified();
}
