// a process whose first thread has ended with a status while others run, with a child of its own
// needs: threads
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "workload.h"

enum { THREADS = 3, STATUS = 7 };

/// In memory that both processes share.
static struct shared {
    volatile pid_t tids[THREADS];
    volatile uint64_t steps[THREADS];
    volatile pid_t grandchild;
    /// Threads with a number below end.
    volatile int ending;
    volatile int lost;
} *shared;

/// Ends one thread and nothing else; pthread_exit(3) would look for who is the last one.
__attribute__((noreturn)) static void leave(int status) {
    for (;;) syscall(SYS_exit, status);
}

static void *run(void *argument) {
    int number = (int)(intptr_t)argument;
    shared->tids[number] = (pid_t)syscall(SYS_gettid);
    if (number == 0) {
        pid_t child = WORKLOAD_CALL(fork());
        if (child == 0) {
            while (getppid() != 1 && kill(getppid(), 0) == 0) workload_pause(20);
            _exit(0);
        }
        shared->grandchild = child;
    }
    while (shared->ending <= number) {
        shared->steps[number]++;
        if (number == 0 && waitpid(shared->grandchild, NULL, WNOHANG) != 0) shared->lost = 1;
        workload_pause(3);
    }
    if (number == 0) {
        kill(shared->grandchild, SIGKILL);
        waitpid(shared->grandchild, NULL, 0);
    }
    leave(STATUS);
}

/// The letter behind the name in /proc/PID/task/TID/stat; 0 when there is no such task.
static char state(pid_t pid, pid_t tid) {
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid, tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0) return 0;
    char *end = text + length;
    while (end > text && *--end != ')') {}
    return end[2];
}

static void check(pid_t child) {
    uint64_t before[THREADS];
    for (int i = 0; i < THREADS; i++) before[i] = shared->steps[i];
    char first = state(child, child);
    WORKLOAD_CHECK(first == 'Z', "the first thread of %d is in state '%c', not a zombie", child, first ? first : '-');
    for (int i = 0; i < THREADS; i++) {
        WORKLOAD_CHECK(state(child, shared->tids[i]), "thread %d of process %d is gone", shared->tids[i], child);
        for (int left = 2000; shared->steps[i] < before[i] + 2; left--) {
            WORKLOAD_CHECK(left > 0, "thread %d of process %d does not run", shared->tids[i], child);
            workload_pause(5);
        }
    }
    WORKLOAD_CHECK(!shared->lost, "the child of the process has ended or is another's");
    int status;
    pid_t ended = waitpid(child, &status, WNOHANG);
    WORKLOAD_CHECK(ended == 0, "process %d has ended (waitpid %d, status 0x%x)", child, ended, status);
}

int main(void) {
    workload_begin();
    shared = WORKLOAD_CALL(mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pid_t child = WORKLOAD_CALL(fork());
    if (child == 0) {
        for (intptr_t i = 0; i < THREADS; i++) {
            pthread_t thread;
            WORKLOAD_CHECK(pthread_create(&thread, NULL, run, (void *)i) == 0, "pthread_create");
        }
        leave(STATUS);
    }
    while (state(child, child) != 'Z' || !shared->grandchild || !shared->tids[THREADS - 1]) workload_pause(1);
    check(child);
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) {
            // The last one; `ending` lets those with a lower number go.
            shared->ending = THREADS;
            workload_pause(50);
        }
        check(child);
        workload_progress();
        workload_pause(5);
    }
    shared->ending = THREADS;
    int status;
    WORKLOAD_CHECK(waitpid(child, &status, 0) == child, "waitpid: errno %d", errno);
    WORKLOAD_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == STATUS,
                   "the process ended with status 0x%x", status);
    workload_verified();
}
