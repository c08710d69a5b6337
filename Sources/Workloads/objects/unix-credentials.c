// what UNIX sockets tell about the other side: SO_PEERCRED, queued SCM_CREDENTIALS of several processes
// needs: unix-sockets, root
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "workload.h"

static struct ucred peer(int descriptor) {
    struct ucred credentials = {0};
    socklen_t length = sizeof credentials;
    WORKLOAD_CALL(getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length));
    return credentials;
}

static void expect(int from, const char *text, struct ucred expected) {
    char byte;
    struct iovec vector = {&byte, 1};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(struct ucred))];
    } control = {0};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    WORKLOAD_CHECK(recvmsg(from, &message, MSG_DONTWAIT) == 1 && byte == *text, "%s: errno %d", text, errno);
    WORKLOAD_CHECK(control.header.cmsg_type == SCM_CREDENTIALS, "%s: no credentials", text);
    struct ucred *now = (struct ucred *)CMSG_DATA(&control.header);
    WORKLOAD_CHECK(
        now->pid == expected.pid && now->uid == expected.uid && now->gid == expected.gid,
        "%s: PID %d UID %u GID %u instead of %d %u %u", text, now->pid, now->uid, now->gid, expected.pid, expected.uid,
        expected.gid);
}

int main(void) {
    workload_begin();
    int channel[2], stream[2], made[2], gate[2], answers[2];
    WORKLOAD_CALL(socketpair(AF_UNIX, SOCK_DGRAM, 0, channel));
    WORKLOAD_CALL(socketpair(AF_UNIX, SOCK_STREAM, 0, stream));
    WORKLOAD_CALL(setsockopt(channel[1], SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)));
    WORKLOAD_CALL(setsockopt(stream[1], SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)));
    WORKLOAD_CALL(pipe(gate));
    WORKLOAD_CALL(pipe(answers));
    pid_t child = WORKLOAD_CALL(fork());
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        WORKLOAD_CALL(setresgid(1234, 1234, 1234));
        WORKLOAD_CALL(setresuid(2345, 2345, 2345));
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        WORKLOAD_CALL(socketpair(AF_UNIX, SOCK_STREAM, 0, made));
        char byte;
        while (read(gate[0], &byte, 1) == 1) {
            struct ucred mine = peer(made[0]);
            if (mine.pid != getpid() || mine.uid != 2345 || mine.gid != 1234) byte = 'n';
            WORKLOAD_CALL(write(channel[0], &byte, 1));
            WORKLOAD_CALL(write(stream[0], &byte, 1));
            WORKLOAD_CALL(write(answers[1], &byte, 1));
        }
        _exit(0);
    }
    struct ucred own = {getpid(), getuid(), getgid()}, other = {child, 2345, 1234};
    for (bool ready = false; !workload_verify_requested();) {
        char byte = 'c';
        WORKLOAD_CALL(write(channel[0], "p", 1));
        WORKLOAD_CALL(write(stream[0], "p", 1));
        WORKLOAD_CALL(write(gate[1], &byte, 1));
        WORKLOAD_CALL(read(answers[0], &byte, 1));
        WORKLOAD_CHECK(byte == 'c', "the child's own pair shows somebody else");
        if (!ready) workload_ready();
        ready = true;
        workload_pause(20);
        if (workload_break_now()) other.uid = 1;
        expect(channel[1], "p", own);
        expect(channel[1], "c", other);
        expect(stream[1], "p", own);
        expect(stream[1], "c", other);
        struct ucred seen = peer(channel[0]);
        WORKLOAD_CHECK(seen.pid == own.pid && seen.uid == own.uid && seen.gid == own.gid, "the pair: PID %d", seen.pid);
        workload_progress();
    }
    workload_verified();
}
