// descriptors on their way through UNIX sockets: pipes, files, epoll, sockets with messages, a loop
// needs: unix-sockets, epoll
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "workload.h"

static void post(int through, const char *text, size_t count, const int *descriptors, int number) {
    struct iovec vector = {(void *)text, count};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(8 * sizeof(int))];
    } control = {0};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (number > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE((size_t)number * sizeof(int));
        control.header = (struct cmsghdr){
            .cmsg_len = CMSG_LEN((size_t)number * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        for (int index = 0; index < number; index++) ((int *)CMSG_DATA(&control.header))[index] = descriptors[index];
    }
    WORKLOAD_CHECK(sendmsg(through, &message, 0) == (ssize_t)count, "sendmsg: errno %d", errno);
}

static void expect(int through, const char *text, size_t count, int *descriptors, int number, const char *what) {
    char bytes[64];
    struct iovec vector = {bytes, count};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(8 * sizeof(int))];
    } control = {0};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t answer = recvmsg(through, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    WORKLOAD_CHECK(answer == (ssize_t)count, "%s: %zd of %zu bytes, errno %d", what, answer, count, errno);
    for (size_t index = 0; index < count; index++) WORKLOAD_CHECK(bytes[index] == text[index], "%s: the text", what);
    int came = message.msg_controllen >= sizeof control.header && control.header.cmsg_type == SCM_RIGHTS
        ? (int)((control.header.cmsg_len - CMSG_LEN(0)) / sizeof(int)) : 0;
    WORKLOAD_CHECK(came == number, "%s: %d descriptors instead of %d", what, came, number);
    for (int index = 0; index < number; index++) descriptors[index] = ((int *)CMSG_DATA(&control.header))[index];
}

int main(void) {
    workload_begin();
    int stream[2], packet[2];
    WORKLOAD_CALL(socketpair(AF_UNIX, SOCK_STREAM, 0, stream));
    WORKLOAD_CALL(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packet));
    int kept = WORKLOAD_CALL(open("file", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    WORKLOAD_CALL(write(kept, "0123456789", 10));
    for (bool ready = false; !workload_verify_requested();) {
        int ends[2], inner[2], event = WORKLOAD_CALL(eventfd(3, 0)), epoll = WORKLOAD_CALL(epoll_create1(0));
        WORKLOAD_CALL(pipe(ends));
        WORKLOAD_CALL(write(ends[1], "in the pipe", 11));
        WORKLOAD_CALL(lseek(kept, 4, SEEK_SET));
        struct epoll_event wanted = {.events = EPOLLIN, .data.u64 = 77};
        WORKLOAD_CALL(epoll_ctl(epoll, EPOLL_CTL_ADD, event, &wanted));
        WORKLOAD_CALL(socketpair(AF_UNIX, SOCK_DGRAM, 0, inner));
        // A socket in a socket, which holds an end of the pipe and the socket that it travels through itself.
        post(inner[0], "inner", 5, (int[]){ends[0], packet[1]}, 2);
        post(stream[0], "plain", 5, NULL, 0);
        post(stream[0], "ab", 2, (int[]){ends[1], kept, kept}, 3);
        post(stream[0], "cd", 2, (int[]){epoll, event}, 2);
        post(stream[0], "rest", 4, NULL, 0);
        post(packet[0], "", 0, NULL, 0);
        post(packet[0], "socket", 6, (int[]){inner[1]}, 1);
        for (int *each[] = {ends, ends + 1, inner, inner + 1, &event, &epoll}, **one = each; one < each + 6; one++)
            close(**one);
        if (!ready) workload_ready();
        ready = true;
        workload_pause(20);
        int file[3], watch[2], loop[2], socket;
        if (workload_break_now()) {
            char bytes[9];
            WORKLOAD_CALL(read(stream[1], bytes, 9));
        }
        expect(stream[1], "plain", 5, NULL, 0, "what has none");
        expect(stream[1], "ab", 2, file, 3, "a pipe and a file");
        expect(stream[1], "cd", 2, watch, 2, "an epoll instance");
        expect(stream[1], "rest", 4, NULL, 0, "the rest");
        expect(packet[1], "", 0, NULL, 0, "nothing");
        expect(packet[1], "socket", 6, &socket, 1, "a socket");
        expect(socket, "inner", 5, loop, 2, "the socket in it");
        char text[16];
        WORKLOAD_CHECK(read(loop[0], text, 16) == 11 && text[0] == 'i', "the pipe: errno %d", errno);
        WORKLOAD_CHECK(write(file[0], "z", 1) == 1 && read(loop[0], text, 1) == 1, "the pipe's ends: errno %d", errno);
        WORKLOAD_CHECK(lseek(file[1], 0, SEEK_CUR) == 4, "the file's offset");
        WORKLOAD_CALL(lseek(file[1], 6, SEEK_SET));
        WORKLOAD_CHECK(
            lseek(kept, 0, SEEK_CUR) == 6 && lseek(file[2], 0, SEEK_CUR) == 6, "the file is not shared any more");
        struct epoll_event event_now;
        WORKLOAD_CHECK(epoll_wait(watch[0], &event_now, 1, 0) == 1 && event_now.data.u64 == 77, "epoll: %d", errno);
        uint64_t count;
        WORKLOAD_CHECK(read(watch[1], &count, 8) == 8 && count == 3, "the eventfd");
        WORKLOAD_CHECK(epoll_wait(watch[0], &event_now, 1, 0) == 0, "epoll does not watch that eventfd");
        WORKLOAD_CHECK(write(packet[0], "me", 2) == 2 && read(loop[1], text, 16) == 2, "the loop: errno %d", errno);
        for (int *each[] = {file, file + 1, file + 2, watch, watch + 1, loop, loop + 1, &socket}, **one = each;
             one < each + 8; one++)
            close(**one);
        workload_progress();
    }
    workload_verified();
}
