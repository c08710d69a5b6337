// POSIX message queues of an IPC namespace: open twice, without a name, open nowhere; messages of several priorities
// needs: namespaces root
#include <mqueue.h>
#include <sched.h>
#include <sys/stat.h>

#include "workload.h"

enum { ROOM = 8, SIZE = 64, WAITING = 4 };

/// What waits in a queue, in the order in which it is received.
static const struct waiting {
    unsigned priority;
    char letter;
} expected[WAITING] = {{31, 'c'}, {7, 'a'}, {7, 'd'}, {0, 'b'}};

static mqd_t make(const char *name) {
    struct mq_attr attributes = {.mq_maxmsg = ROOM, .mq_msgsize = SIZE};
    mqd_t queue = WORKLOAD_CALL(mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0640, &attributes));
    // Sent in another order than received.
    static const int order[WAITING] = {1, 3, 0, 2};
    for (int i = 0; i < WAITING; i++) {
        const struct waiting *each = &expected[order[i]];
        char text[SIZE] = {each->letter};
        WORKLOAD_CALL(mq_send(queue, text, 1 + each->priority, each->priority));
    }
    return queue;
}

static void check(const char *what, mqd_t queue, long flags) {
    struct mq_attr attributes;
    WORKLOAD_CALL(mq_getattr(queue, &attributes));
    WORKLOAD_CHECK(attributes.mq_maxmsg == ROOM && attributes.mq_msgsize == SIZE, "%s has room for %ld messages of %ld",
                   what, attributes.mq_maxmsg, attributes.mq_msgsize);
    WORKLOAD_CHECK(attributes.mq_flags == flags, "%s has flags 0%lo, not 0%lo", what, attributes.mq_flags, flags);
    WORKLOAD_CHECK(attributes.mq_curmsgs == WAITING, "%s holds %ld messages", what, attributes.mq_curmsgs);
    struct stat status;
    WORKLOAD_CALL(fstat(queue, &status));
    WORKLOAD_CHECK((status.st_mode & 0777) == 0640, "%s has mode 0%o", what, status.st_mode & 0777);
}

/// Receives everything in its order and sends it again.
static void turn(const char *what, mqd_t queue) {
    char text[WAITING][SIZE];
    for (int i = 0; i < WAITING; i++) {
        unsigned priority;
        ssize_t length = WORKLOAD_CALL(mq_receive(queue, text[i], SIZE, &priority));
        WORKLOAD_CHECK(priority == expected[i].priority && text[i][0] == expected[i].letter &&
                           length == 1 + (ssize_t)priority,
                       "%s: message %d is '%c' of priority %u", what, i, text[i][0], priority);
    }
    for (int i = 0; i < WAITING; i++) {
        WORKLOAD_CALL(mq_send(queue, text[i], 1 + expected[i].priority, expected[i].priority));
    }
}

int main(void) {
    workload_begin();
    WORKLOAD_CALL(unshare(CLONE_NEWIPC));
    mqd_t removed = make("/crlab-removed");
    WORKLOAD_CALL(mq_unlink("/crlab-removed"));
    mqd_t named = make("/crlab-named");
    // Nobody has this one open.
    WORKLOAD_CALL(mq_close(make("/crlab-closed")));
    mqd_t waiting = WORKLOAD_CALL(mq_open("/crlab-named", O_RDONLY));
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) WORKLOAD_CALL(mq_send(named, "x", 1, 5));
        check("the removed queue", removed, O_NONBLOCK);
        check("the named queue", named, O_NONBLOCK);
        check("the named queue, opened again", waiting, 0);
        turn("the removed queue", removed);
        turn("the named queue", named);
        mqd_t closed = WORKLOAD_CALL(mq_open("/crlab-closed", O_RDWR | O_NONBLOCK));
        check("the queue that nobody has open", closed, O_NONBLOCK);
        turn("the queue that nobody has open", closed);
        WORKLOAD_CALL(mq_close(closed));
        workload_progress();
        workload_pause(5);
    }
    WORKLOAD_CHECK(mq_open("/crlab-removed", O_RDONLY) < 0 && errno == ENOENT, "the removed queue has a name again");
    WORKLOAD_CALL(mq_unlink("/crlab-named"));
    WORKLOAD_CALL(mq_unlink("/crlab-closed"));
    workload_verified();
}
