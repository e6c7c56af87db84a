// SPDX-License-Identifier: Apache-2.0
//
// Threads that begin and end networks of their own, as sessions in several threads do: whatever the
// transport keeps for the whole process, none of them takes it from another.

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/net/net.h"

enum { THREADS = 4, TIMES = 200 };

static atomic_int failures;

static void *
come_and_go(void *argument)
{
    const struct tsi_connection connection = {.address = "ipc:///tmp/nobody"};
    (void)argument;
    for (int i = 0; i < TIMES; i++) {
        struct tsi_error error = {.status = TESS_OK};
        struct tsi_net *net = tsi_net_new(&connection, NULL, &error);
        if (net == NULL) {
            atomic_fetch_add(&failures, 1);
            fprintf(stderr, "%s\n", error.text);
        }
        tsi_net_free(net);
    }
    return NULL;
}

int
main(void)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, come_and_go, NULL) != 0) {
            perror("pthread_create");
            return EXIT_FAILURE;
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("%d networks, %d failed\n", THREADS * TIMES, atomic_load(&failures));
    return atomic_load(&failures) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
