// threads in cgroups of their own, below the one of their process
// needs: threads
// latches: libc-ifunc
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "workload.h"

enum { threads = 2 };

static char mount_point[128], before[256];
static char expected[threads][256];
static volatile pid_t tids[threads];
static volatile bool stop;

static bool put(const char *folder, const char *file, const char *text) {
    char path[400];
    snprintf(path, sizeof path, "%s%s/%s", mount_point, folder, file);
    int descriptor = open(path, O_WRONLY | O_CLOEXEC);
    bool done = descriptor >= 0 && write(descriptor, text, strlen(text)) == (ssize_t)strlen(text);
    if (descriptor >= 0) close(descriptor);
    return done;
}

/// The cgroup of version 2 of a task.
static void cgroup_of(pid_t tid, char *into) {
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/cgroup", tid);
    FILE *file = fopen(path, "re");
    WORKLOAD_CHECK(file != NULL, "%s: errno %d", path, errno);
    into[0] = 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "0::%255s", into) == 1) break;
    fclose(file);
}

static void *work(void *argument) {
    tids[(intptr_t)argument] = (pid_t)syscall(SYS_gettid);
    while (!stop) workload_pause(2);
    return NULL;
}

static bool find_mount(void) {
    FILE *file = fopen("/proc/self/mounts", "re");
    char line[1024], type[64];
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "%*s %127s %63s", mount_point, type) == 2 && strcmp(type, "cgroup2") == 0) {
            fclose(file);
            return true;
        }
    if (file) fclose(file);
    return false;
}

/// A machine that gives no such cgroup leaves all threads where they are.
static bool part(char *home) {
    char child[256], text[32], path[400];
    if (!find_mount()) return false;
    snprintf(home, 64, "/crlab-threads-%d", getpid());
    snprintf(path, sizeof path, "%s%s", mount_point, home);
    snprintf(text, sizeof text, "%d", getpid());
    if (mkdir(path, 0755) != 0) return false;
    if (!put(home, "cgroup.procs", text)) return rmdir(path), false;
    for (int index = 0; index < threads; index++) {
        snprintf(child, sizeof child, "%s/%d", home, index);
        snprintf(path, sizeof path, "%s%s", mount_point, child);
        WORKLOAD_CALL(mkdir(path, 0755));
        snprintf(text, sizeof text, "%d", tids[index]);
        WORKLOAD_CHECK(put(child, "cgroup.type", "threaded"), "cgroup.type: errno %d", errno);
        WORKLOAD_CHECK(put(child, "cgroup.threads", text), "cgroup.threads: errno %d", errno);
    }
    return true;
}

/// Takes everybody back and the cgroups away.
static void leave(const char *home) {
    char text[32], path[400];
    snprintf(text, sizeof text, "%d", getpid());
    if (!put(before, "cgroup.procs", text)) return;
    for (int index = 0; index <= threads; index++) {
        if (index < threads) snprintf(path, sizeof path, "%s%s/%d", mount_point, home, index);
        if (index == threads) snprintf(path, sizeof path, "%s%s", mount_point, home);
        for (int tries = 0; rmdir(path) != 0 && errno == EBUSY && tries < 100; tries++) workload_pause(2);
    }
}

int main(void) {
    workload_begin();
    pthread_t thread[threads];
    cgroup_of(getpid(), before);
    for (intptr_t index = 0; index < threads; index++) {
        WORKLOAD_CHECK(pthread_create(&thread[index], NULL, work, (void *)index) == 0, "no thread");
        while (!tids[index]) workload_pause(1);
    }
    char home[64] = "", own[256];
    bool parted = part(home);
    cgroup_of(getpid(), own);
    for (int index = 0; index < threads; index++) cgroup_of(tids[index], expected[index]);
    if (parted) WORKLOAD_CHECK(strcmp(expected[0], expected[1]) != 0, "both threads are in %s", expected[0]);
    workload_ready();
    for (;;) {
        bool last = workload_verify_requested();
        if (workload_break_now()) {
            if (parted) leave(home);
            expected[1][0]++;
        }
        char now[256];
        cgroup_of(getpid(), now);
        WORKLOAD_CHECK(strcmp(now, own) == 0, "the process is in %s, not in %s", now, own);
        for (int index = 0; index < threads; index++) {
            cgroup_of(tids[index], now);
            WORKLOAD_CHECK(strcmp(now, expected[index]) == 0, "thread %d is in %s, not in %s", index, now, expected[index]);
        }
        workload_progress();
        if (last) break;
        workload_pause(5);
    }
    if (parted) leave(home);
    stop = true;
    workload_verified();
}
