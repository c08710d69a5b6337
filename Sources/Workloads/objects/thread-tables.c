// threads with descriptors, a working directory and a umask of their own
// needs: threads, files
#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>

#include "workload.h"

static _Atomic int turn, failures;
static int number;

/// What a task sees under `number` and as its umask.
static int sees(char wanted, mode_t mask) {
    char byte = 0;
    mode_t now = umask(mask);
    return pread(number, &byte, 1, 0) == 1 && byte == wanted && now == mask;
}

static void *run(void *argument) {
    (void)argument;
    WORKLOAD_CALL(unshare(CLONE_FILES | CLONE_FS));
    int own = WORKLOAD_CALL(open("two", O_RDWR | O_CREAT, 0644));
    WORKLOAD_CALL(pwrite(own, "2", 1, 0));
    WORKLOAD_CALL(dup2(own, number));
    WORKLOAD_CALL(close(own));
    WORKLOAD_CALL(mkdir("inner", 0755) < 0 && errno != EEXIST ? -1 : 0);
    WORKLOAD_CALL(chdir("inner"));
    umask(0027);
    turn = 1;
    for (;;) {
        while (turn != 2) workload_pause(1);
        if (!sees('2', 0027) || access("../two", F_OK) < 0) failures++;
        turn = 1;
    }
    return NULL;
}

int main(void) {
    workload_begin();
    umask(0022);
    number = WORKLOAD_CALL(open("one", O_RDWR | O_CREAT, 0644));
    WORKLOAD_CALL(pwrite(number, "1", 1, 0));
    pthread_t thread;
    WORKLOAD_CHECK(pthread_create(&thread, NULL, run, NULL) == 0, "pthread_create");
    while (turn != 1) workload_pause(1);
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) umask(0077);
        WORKLOAD_CHECK(sees('1', 0022), "the first thread's descriptor %d or umask is another", number);
        WORKLOAD_CALL(access("one", F_OK));
        turn = 2;
        while (turn != 1) workload_pause(1);
        WORKLOAD_CHECK(failures == 0, "the second thread's descriptor, folder or umask is another");
        workload_progress();
        workload_pause(5);
    }
    workload_verified();
}
