// file locks of all kinds, of two processes, on ranges
// needs: files, locks
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>

#include "workload.h"

static struct flock probe(int descriptor, int command, short type, off_t start, off_t length) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    WORKLOAD_CALL(fcntl(descriptor, command, &lock));
    return lock;
}

static void expect(const char *what, struct flock lock, short type, off_t start, off_t length, pid_t pid) {
    WORKLOAD_CHECK(
        lock.l_type == type && lock.l_start == start && lock.l_len == length && lock.l_pid == pid,
        "%s: type %d start %ld length %ld PID %d", what, lock.l_type, (long)lock.l_start, (long)lock.l_len, lock.l_pid);
}

int main(void) {
    workload_begin();
    int ranges = WORKLOAD_CALL(open("ranges", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    int whole = WORKLOAD_CALL(open("whole", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    int shared = WORKLOAD_CALL(open("shared", O_RDONLY | O_CREAT | O_CLOEXEC, 0644));
    int own = WORKLOAD_CALL(open("own", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    int gate[2];
    WORKLOAD_CALL(pipe(gate));
    // The child has the flocks too, through the descriptors that it inherits.
    WORKLOAD_CALL(flock(whole, LOCK_EX));
    WORKLOAD_CALL(flock(shared, LOCK_SH));
    pid_t child = WORKLOAD_CALL(fork());
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        probe(ranges, F_SETLK, F_WRLCK, 0, 10);
        WORKLOAD_CALL(write(gate[1], "x", 1));
        for (;;) workload_pause(1000);
    }
    char byte;
    WORKLOAD_CALL(read(gate[0], &byte, 1));
    probe(ranges, F_SETLK, F_RDLCK, 100, 0);
    probe(own, F_OFD_SETLK, F_WRLCK, 20, 5);
    // Looking at its own locks takes open files of its own; closing one would end all POSIX locks, so they stay open.
    int other_ranges = WORKLOAD_CALL(open("ranges", O_RDWR | O_CLOEXEC));
    int other_whole = WORKLOAD_CALL(open("whole", O_RDWR | O_CLOEXEC));
    int other_shared = WORKLOAD_CALL(open("shared", O_RDWR | O_CLOEXEC));
    int other_own = WORKLOAD_CALL(open("own", O_RDWR | O_CLOEXEC));
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) probe(ranges, F_SETLK, F_UNLCK, 0, 0);
        expect("the child's range", probe(ranges, F_GETLK, F_WRLCK, 0, 50), F_WRLCK, 0, 10, child);
        expect("the own range", probe(other_ranges, F_OFD_GETLK, F_WRLCK, 50, 0), F_RDLCK, 100, 0, getpid());
        expect("the open file's range", probe(other_own, F_OFD_GETLK, F_RDLCK, 0, 0), F_WRLCK, 20, 5, -1);
        struct flock between = probe(other_own, F_OFD_GETLK, F_WRLCK, 0, 20);
        WORKLOAD_CHECK(between.l_type == F_UNLCK, "bytes 0 to 19 are locked: %d", between.l_type);
        WORKLOAD_CHECK(flock(other_whole, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK, "flock whole: %d", errno);
        WORKLOAD_CHECK(flock(other_shared, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK, "flock shared: %d", errno);
        WORKLOAD_CALL(flock(other_shared, LOCK_SH | LOCK_NB));
        WORKLOAD_CALL(flock(other_shared, LOCK_UN));
        workload_progress();
        workload_pause(5);
    }
    workload_verified();
}
