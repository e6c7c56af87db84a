// SPDX-License-Identifier: Apache-2.0
//
// Somebody between two peers: whoever connects to the snoop speaks, through it, to the server
// behind it, and a test sees, changes and repeats what they say. Without keys only.

#ifndef TESS_TEST_SNOOP_H
#define TESS_TEST_SNOOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <zmq.h>

enum { TEST_SNOOP_FRAMES_MAX = 4 };

// Called from the snoop's thread with each message that passes, whose frames it may change in
// place. How often the message is sent: 1 as it should be, 0 not at all.
typedef int test_snoop_look(void *context, bool to_server, zmq_msg_t *frames, int count);

struct test_snoop {
    void *context;
    void *front;
    char back[256];
    test_snoop_look *look;
    void *look_context;
    pthread_t thread;
    atomic_bool stop;
};

// Listens at `front` and speaks to the server at `back`; both are addresses. False if it cannot.
bool test_snoop_start(struct test_snoop *snoop, const char *front, const char *back,
                      test_snoop_look *look, void *context);
void test_snoop_stop(struct test_snoop *snoop);

// Takes the place of the server that listens at the ipc socket `path`: the server's file gets
// another name, and the snoop its name.
bool test_snoop_interpose(struct test_snoop *snoop, const char *path, test_snoop_look *look,
                          void *context);

#endif
