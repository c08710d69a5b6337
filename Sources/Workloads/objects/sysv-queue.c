// a System V message queue with messages of several types and lengths, and a child that waits for one
// needs: ipc
#include <signal.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "workload.h"

enum { count = 6, longest = 3000, request = 1000, answer = 1001 };

struct message {
    long type;
    unsigned char text[longest];
};

static size_t length(unsigned index) { return index == 3 ? 0 : index == 4 ? longest : 10 + index; }

static void send(int queue, unsigned index) {
    struct message message = {.type = 1 + index % 3};
    for (size_t offset = 0; offset < length(index); offset++) message.text[offset] = (unsigned char)workload_number(index, offset);
    WORKLOAD_CALL(msgsnd(queue, &message, length(index), 0));
}

static ssize_t take(int queue, struct message *message, long type) {
    ssize_t got;
    while ((got = msgrcv(queue, message, longest, type, 0)) < 0) WORKLOAD_CHECK(errno == EINTR, "msgrcv: errno %d", errno);
    return got;
}

int main(void) {
    workload_begin();
    key_t key = (key_t)(0x43540000 + getpid() % 0xffff);
    int queue;
    while ((queue = msgget(key, IPC_CREAT | IPC_EXCL | 0620)) < 0) {
        WORKLOAD_CHECK(errno == EEXIST, "msgget: errno %d", errno);
        key++;
    }
    struct msqid_ds status;
    WORKLOAD_CALL(msgctl(queue, IPC_STAT, &status));
    status.msg_qbytes = 9000;
    WORKLOAD_CALL(msgctl(queue, IPC_SET, &status));
    for (unsigned index = 0; index < count; index++) send(queue, index);
    pid_t child = WORKLOAD_CALL(fork());
    if (child == 0) {
        WORKLOAD_CALL(prctl(PR_SET_PDEATHSIG, SIGKILL));
        for (;;) {
            struct message message;
            take(queue, &message, request);
            message.type = answer;
            WORKLOAD_CALL(msgsnd(queue, &message, 8, 0));
        }
    }
    workload_ready();
    uint64_t step = 0;
    while (!workload_verify_requested()) {
        if (workload_break_now()) {
            struct message message;
            take(queue, &message, 2);
        }
        // Take all in order of each type, and put them back in the order in which they came.
        for (long type = 1; type <= 3; type++)
            for (unsigned index = (unsigned)type - 1; index < count; index += 3) {
                struct message message;
                ssize_t got = msgrcv(queue, &message, longest, type, IPC_NOWAIT);
                WORKLOAD_CHECK(got == (ssize_t)length(index), "message %u has %zd bytes", index, got);
                for (ssize_t offset = 0; offset < got; offset++)
                    WORKLOAD_CHECK(
                        message.text[offset] == (unsigned char)workload_number(index, offset), "message %u differs", index);
            }
        for (unsigned index = 0; index < count; index++) send(queue, index);
        WORKLOAD_CALL(msgctl(queue, IPC_STAT, &status));
        WORKLOAD_CHECK(status.msg_qbytes == 9000 && status.msg_perm.mode == 0620, "its limit or mode differs");
        WORKLOAD_CHECK(msgget(key, 0) == queue, "the key leads elsewhere");
        struct message message = {.type = request};
        *(uint64_t *)(void *)message.text = ++step;
        WORKLOAD_CALL(msgsnd(queue, &message, 8, 0));
        WORKLOAD_CHECK(take(queue, &message, answer) == 8, "the answer has another length");
        WORKLOAD_CHECK(*(uint64_t *)(void *)message.text == step, "another answer");
        workload_progress();
        workload_pause(5);
    }
    WORKLOAD_CALL(kill(child, SIGKILL));
    WORKLOAD_CALL(waitpid(child, NULL, 0));
    WORKLOAD_CALL(msgctl(queue, IPC_RMID, NULL));
    workload_verified();
}
