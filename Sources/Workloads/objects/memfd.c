// memfds: seals, name, several opens with offsets of their own, a mapping whose descriptor is closed, execution
// needs: files
// latches: libc-ifunc
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "workload.h"

enum { bytes = 5 * 4096 + 100 };

static int reopen(int descriptor, int flags) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return WORKLOAD_CALL(open(path, flags | O_CLOEXEC));
}

static int make(const char *name, unsigned flags, unsigned stream) {
    int descriptor = WORKLOAD_CALL(memfd_create(name, flags));
    for (int index = 0; index < bytes; index++) {
        char byte = (char)workload_number(stream, index);
        WORKLOAD_CHECK(pwrite(descriptor, &byte, 1, index) == 1, "pwrite: errno %d", errno);
    }
    return descriptor;
}

static void check(int descriptor, unsigned stream) {
    char content[bytes + 1];
    WORKLOAD_CHECK(pread(descriptor, content, sizeof content, 0) == bytes, "memfd %u has another size", stream);
    for (int index = 0; index < bytes; index++)
        WORKLOAD_CHECK(content[index] == (char)workload_number(stream, index), "memfd %u differs at %d", stream, index);
}

int main(void) {
    workload_begin();
    int sealed = make("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING, 1);
    // A shared mapping for reading, of a file that nobody can write.
    int all = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    int reader = reopen(sealed, O_RDONLY);
    WORKLOAD_CALL(fcntl(sealed, F_ADD_SEALS, all));
    char *seen = mmap(NULL, bytes, PROT_READ, MAP_SHARED, reader, 0);
    WORKLOAD_CHECK(seen != MAP_FAILED, "mmap: errno %d", errno);
    // Written by a mapping that was there before the seal, and by nothing else.
    int future = make("future write", MFD_CLOEXEC | MFD_ALLOW_SEALING, 2);
    char *writer = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, future, 0);
    WORKLOAD_CHECK(writer != MAP_FAILED, "mmap: errno %d", errno);
    int promised = F_SEAL_SHRINK | (fcntl(future, F_ADD_SEALS, 0x10) == 0 ? 0x10 : 0);
    WORKLOAD_CALL(fcntl(future, F_ADD_SEALS, F_SEAL_SHRINK));
    // Only a private and a shared mapping lead to this one.
    int gone = make("gone", MFD_CLOEXEC, 3);
    char *kept = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, gone, 0);
    char *own = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, gone, 0);
    WORKLOAD_CHECK(kept != MAP_FAILED && own != MAP_FAILED, "mmap: errno %d", errno);
    close(gone);
    own[4096] = 'p';
    // Two opens of one file, each at its own place.
    int open_one = make("offsets", MFD_CLOEXEC, 4);
    int open_two = reopen(open_one, O_RDWR | O_APPEND);
    WORKLOAD_CALL(lseek(open_one, 1000, SEEK_SET));
    WORKLOAD_CALL(lseek(open_two, 2000, SEEK_SET));
    // A program.
    int program = WORKLOAD_CALL(memfd_create("program", 0));
    WORKLOAD_CHECK(write(program, "#!/bin/true\n", 12) == 12, "write: errno %d", errno);
    bool runs = true;
    workload_ready();
    unsigned step = 0;
    while (!workload_verify_requested()) {
        if (workload_break_now()) writer[9]++;
        check(sealed, 1);
        WORKLOAD_CHECK(fcntl(sealed, F_GET_SEALS) == all, "seals are %d", fcntl(sealed, F_GET_SEALS));
        WORKLOAD_CHECK(write(reader, "x", 1) < 0 && ftruncate(sealed, 1) < 0, "it can be written or cut");
        WORKLOAD_CHECK(seen[4096] == (char)workload_number(1, 4096), "its mapping differs");
        check(future, 2);
        WORKLOAD_CHECK(fcntl(future, F_GET_SEALS) == promised, "seals are %d", fcntl(future, F_GET_SEALS));
        writer[4097] = (char)workload_number(2, 4097);
        if (promised & 0x10) WORKLOAD_CHECK(pwrite(future, "x", 1, 0) < 0 && errno == EPERM, "it can be written");
        kept[5000] = (char)++step;
        WORKLOAD_CHECK(own[4096] == 'p' && own[8192] == (char)workload_number(3, 8192), "the private mapping differs");
        WORKLOAD_CHECK(kept[4096] == (char)workload_number(3, 4096), "the shared mapping differs");
        check(open_one, 4);
        WORKLOAD_CHECK(lseek(open_one, 0, SEEK_CUR) == 1000 && lseek(open_two, 0, SEEK_CUR) == 2000, "offsets moved");
        WORKLOAD_CHECK(fcntl(open_two, F_GETFL) & O_APPEND, "O_APPEND is gone");
        char link[64], path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", future);
        ssize_t length = readlink(path, link, sizeof link - 1);
        link[length < 0 ? 0 : length] = 0;
        WORKLOAD_CHECK(strcmp(link, "/memfd:future write (deleted)") == 0, "its name is %s", link);
        if (runs) {
            pid_t child = WORKLOAD_CALL(fork());
            if (child == 0) {
                char *arguments[] = {"true", NULL}, *environment[] = {NULL};
                execveat(program, "", arguments, environment, AT_EMPTY_PATH);
                _exit(errno == ETXTBSY ? 26 : 0);
            }
            int status = 0;
            WORKLOAD_CALL(waitpid(child, &status, 0));
            WORKLOAD_CHECK(WIFEXITED(status) && WEXITSTATUS(status) != 26, "it is busy and cannot be executed");
        }
        workload_progress();
        workload_pause(5);
    }
    workload_verified();
}
