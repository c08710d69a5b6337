// files below /proc of the process, of a child and of a task that has ended; handles of namespaces
// needs: files, proc
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "workload.h"

/// The number at the start of a `stat` file.
static long first_number(int descriptor, const char *what) {
    char text[32];
    ssize_t length = pread(descriptor, text, sizeof text, 0);
    WORKLOAD_CHECK(length > 0, "%s: errno %d", what, errno);
    long value = 0;
    for (ssize_t index = 0; index < length && text[index] >= '0' && text[index] <= '9'; index++)
        value = value * 10 + text[index] - '0';
    return value;
}

static int open_of(pid_t pid, const char *name, int flags) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    return WORKLOAD_CALL(open(path, flags | O_CLOEXEC));
}

int main(void) {
    workload_begin();
    pid_t child = WORKLOAD_CALL(fork());
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) workload_pause(1000);
    }
    pid_t ended = WORKLOAD_CALL(fork());
    if (ended == 0) for (;;) workload_pause(1000);
    int own = open_of(getpid(), "stat", O_RDONLY), of_child = open_of(child, "stat", O_RDONLY);
    int of_ended = open_of(ended, "stat", O_RDONLY), folder_of_ended = open_of(ended, "", O_RDONLY | O_DIRECTORY);
    int folder = open_of(child, "", O_PATH | O_DIRECTORY), memory = open_of(getpid(), "mem", O_RDWR);
    int namespace = open_of(getpid(), "ns/uts", O_RDONLY);
    WORKLOAD_CALL(kill(ended, SIGKILL));
    WORKLOAD_CALL(waitpid(ended, NULL, 0));
    volatile uint64_t secret = 0;
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) WORKLOAD_CALL(dup2(of_child, own));
        WORKLOAD_CHECK(first_number(own, "own stat") == getpid(), "own stat is of %ld", first_number(own, ""));
        WORKLOAD_CHECK(first_number(of_child, "child's stat") == child, "child's stat is of another");
        int inner = WORKLOAD_CALL(openat(folder, "stat", O_RDONLY | O_CLOEXEC));
        WORKLOAD_CHECK(first_number(inner, "stat in the child's folder") == child, "the folder is of another");
        WORKLOAD_CALL(close(inner));
        char byte;
        WORKLOAD_CHECK(pread(of_ended, &byte, 1, 0) < 0 && errno == ESRCH, "ended task's stat: errno %d", errno);
        WORKLOAD_CHECK(openat(folder_of_ended, "stat", O_RDONLY) < 0, "the folder of an ended task has files");
        uint64_t value = secret + 1;
        WORKLOAD_CHECK(
            pwrite(memory, &value, sizeof value, (off_t)(uintptr_t)&secret) == sizeof value && secret == value,
            "own memory through /proc: errno %d", errno);
        struct stat here, there;
        WORKLOAD_CALL(fstat(namespace, &here));
        WORKLOAD_CALL(stat("/proc/self/ns/uts", &there));
        WORKLOAD_CHECK(here.st_ino == there.st_ino, "the handle names another namespace");
        workload_progress();
        workload_pause(5);
    }
    WORKLOAD_CALL(kill(child, SIGKILL));
    workload_verified();
}
