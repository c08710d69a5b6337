// a program whose file was removed while it runs, in two processes; a file whose folder's name is a file's by now
// needs: files
// latches: libc-ifunc
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "workload.h"

static const char copied[] = "program-copy";

/// Runs a copy of this program, which can be removed.
static void run_copy(char **arguments) {
    int from = WORKLOAD_CALL(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    int to = WORKLOAD_CALL(open(copied, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755));
    char buffer[65536];
    for (ssize_t length; (length = WORKLOAD_CALL(read(from, buffer, sizeof buffer))) > 0;)
        WORKLOAD_CHECK(write(to, buffer, (size_t)length) == length, "write: errno %d", errno);
    // Nobody may have it open for writing.
    WORKLOAD_CALL(close(to));
    WORKLOAD_CALL(setenv("CRLAB_COPIED", "1", 1));
    execv(copied, arguments);
    workload_fail("execv: errno %d", errno);
}

/// A sum over the program's file, as `/proc` leads to it.
static uint64_t content(pid_t process) {
    char path[64], link[PATH_MAX], buffer[4096];
    snprintf(path, sizeof path, "/proc/%d/exe", process);
    ssize_t length = WORKLOAD_CALL(readlink(path, link, sizeof link - 1));
    link[length] = 0;
    WORKLOAD_CHECK(strstr(link, "/program-copy (deleted)") != NULL, "%s leads to %s", path, link);
    int file = WORKLOAD_CALL(open(path, O_RDONLY | O_CLOEXEC));
    uint64_t sum = 0;
    for (; (length = WORKLOAD_CALL(read(file, buffer, sizeof buffer))) > 0;)
        for (ssize_t index = 0; index < length; index++) sum = sum * 31 + (unsigned char)buffer[index];
    WORKLOAD_CALL(close(file));
    return sum;
}

int main(int count, char **arguments) {
    (void)count;
    bool is_copy = getenv("CRLAB_COPIED") != NULL;
    if (!is_copy) {
        // workload_begin() is for the program that stays.
        run_copy(arguments);
    }
    workload_begin();
    WORKLOAD_CALL(unlink(copied));
    pid_t child = WORKLOAD_CALL(fork());
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) workload_pause(1000);
    }
    // Where the folder was there is a file now.
    WORKLOAD_CALL(mkdir("replaced-folder", 0700));
    int lost = WORKLOAD_CALL(open("replaced-folder/lost", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    WORKLOAD_CALL(pwrite(lost, "lost", 4, 0));
    WORKLOAD_CALL(unlink("replaced-folder/lost"));
    WORKLOAD_CALL(rmdir("replaced-folder"));
    WORKLOAD_CALL(close(WORKLOAD_CALL(open("replaced-folder", O_WRONLY | O_CREAT | O_CLOEXEC, 0600))));
    uint64_t expected = content(getpid());
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) expected++;
        WORKLOAD_CHECK(content(getpid()) == expected, "the program's file has another content");
        WORKLOAD_CHECK(content(child) == expected, "the child's program has another content");
        char text[4];
        WORKLOAD_CHECK(pread(lost, text, 4, 0) == 4 && text[3] == 't', "the removed file has lost its content");
        struct stat status;
        WORKLOAD_CHECK(stat("replaced-folder", &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0,
                       "the file in place of the folder is gone");
        workload_progress();
        workload_pause(5);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    workload_verified();
}
