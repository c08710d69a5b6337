// a child in seccomp strict mode, between two pipes
// needs: pipes
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "workload.h"

int main(void) {
    workload_begin();
    int ask[2], answer[2];
    WORKLOAD_CALL(pipe(ask));
    WORKLOAD_CALL(pipe(answer));
    pid_t child = WORKLOAD_CALL(fork());
    if (child == 0) {
        close(ask[1]);
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0)) _exit(1);
        for (;;) {
            char byte;
            if (read(ask[0], &byte, 1) != 1) syscall(SYS_exit, 0);
            // Strict mode allows read, write and exit; everything else ends in SIGKILL.
            if (byte == '!') syscall(SYS_getppid);
            byte++;
            if (write(answer[1], &byte, 1) != 1) syscall(SYS_exit, 1);
        }
    }
    close(ask[0]);
    close(answer[1]);
    workload_ready();
    int status;
    while (!workload_verify_requested()) {
        char byte = 'a';
        if (workload_break_now()) byte = '!';
        WORKLOAD_CHECK(write(ask[1], &byte, 1) == 1, "write: errno %d", errno);
        WORKLOAD_CHECK(read(answer[0], &byte, 1) == 1 && byte == 'b', "the child does not answer");
        workload_progress();
        workload_pause(3);
    }
    WORKLOAD_CHECK(write(ask[1], "!", 1) == 1, "write: errno %d", errno);
    WORKLOAD_CHECK(waitpid(child, &status, 0) == child, "wait: errno %d", errno);
    WORKLOAD_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the child may do more: status 0x%x", status);
    workload_verified();
}
