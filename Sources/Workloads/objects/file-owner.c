// who gets the signals of a pipe, set by a user without rights; owner and mode of memory files
// needs: signals, pipes, files
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "workload.h"

int main(void) {
    workload_begin();
    int ends[2];
    WORKLOAD_CALL(pipe2(ends, O_CLOEXEC | O_NONBLOCK));
    struct f_owner_ex owner = {F_OWNER_PID, getpid()}, now;
    int is_root = geteuid() == 0;
    if (is_root) WORKLOAD_CALL(seteuid(12345));
    WORKLOAD_CALL(fcntl(ends[0], F_SETOWN_EX, &owner));
    if (is_root) WORKLOAD_CALL(seteuid(0));
    WORKLOAD_CALL(fcntl(ends[0], F_SETSIG, SIGRTMIN + 1));
    int memory = WORKLOAD_CALL(memfd_create("owned", MFD_CLOEXEC));
    WORKLOAD_CALL(pwrite(memory, "kept", 4, 0));
    WORKLOAD_CALL(fchmod(memory, 0640));
    if (is_root) WORKLOAD_CALL(fchown(memory, 12345, 23456));
    struct stat before, after;
    WORKLOAD_CALL(fstat(memory, &before));
    uid_t users[2], wanted[2] = {getuid(), is_root ? 12345 : geteuid()};
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) WORKLOAD_CALL(fcntl(ends[0], F_SETSIG, 0));
        WORKLOAD_CALL(fcntl(ends[0], F_GETOWN_EX, &now));
        WORKLOAD_CHECK(now.type == F_OWNER_PID && now.pid == getpid(), "the owner became %d", now.pid);
        WORKLOAD_CHECK(fcntl(ends[0], F_GETSIG) == SIGRTMIN + 1, "the signal became %d", fcntl(ends[0], F_GETSIG));
        // F_GETOWNER_UIDS; kernels without checkpoint support do not tell.
        if (fcntl(ends[0], 17, users) == 0)
            WORKLOAD_CHECK(
                users[0] == wanted[0] && users[1] == wanted[1], "set by users %u and %u", users[0], users[1]);
        WORKLOAD_CALL(fstat(memory, &after));
        WORKLOAD_CHECK(
            after.st_mode == before.st_mode && after.st_uid == before.st_uid && after.st_gid == before.st_gid,
            "the memory file became 0%o of %u:%u", after.st_mode, after.st_uid, after.st_gid);
        workload_progress();
        workload_pause(5);
    }
    workload_verified();
}
