// SPDX-License-Identifier: Apache-2.0
//
// A program whose sockets would let everybody in, as a mistake in it or in libzmq could make them.
// The environment variable TESSERA_TEST_DOOR names the mistake:
//
//   answer   the authenticator lets everybody in
//   domain   libzmq forgets the domain, and so never asks the authenticator
//   socket   what is listened at gets no keys, although the test at the start had some
//
// It stands before libzmq and tsi_net_bind() by the linker's --wrap (tests/cluster.cmake).

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "engine/net/net.h"

int __real_zmq_setsockopt(void *socket, int option, const void *value, size_t bytes);
int __wrap_zmq_setsockopt(void *socket, int option, const void *value, size_t bytes);
int __real_zmq_send(void *socket, const void *bytes, size_t count, int flags);
int __wrap_zmq_send(void *socket, const void *bytes, size_t count, int flags);
void *__real_tsi_net_bind(struct tsi_net *net, enum tsi_net_use use, const char *address,
                          char *bound, size_t bound_bytes, struct tsi_error *error);
void *__wrap_tsi_net_bind(struct tsi_net *net, enum tsi_net_use use, const char *address,
                          char *bound, size_t bound_bytes, struct tsi_error *error);

static _Thread_local bool binds;

static bool
has_mistake(const char *name)
{
    const char *wanted = getenv("TESSERA_TEST_DOOR");
    return wanted != NULL && strcmp(wanted, name) == 0;
}

int
__wrap_zmq_setsockopt(void *socket, int option, const void *value, size_t bytes)
{
    const bool is_key = option == ZMQ_CURVE_SERVER || option == ZMQ_CURVE_SECRETKEY;
    if ((option == ZMQ_ZAP_DOMAIN && has_mistake("domain")) ||
        (is_key && binds && has_mistake("socket"))) {
        return 0;
    }
    return __real_zmq_setsockopt(socket, option, value, bytes);
}

int
__wrap_zmq_send(void *socket, const void *bytes, size_t count, int flags)
{
    const bool refuses = count == 3 && memcmp(bytes, "400", 3) == 0;
    return __real_zmq_send(socket, refuses && has_mistake("answer") ? "200" : bytes, count, flags);
}

void *
__wrap_tsi_net_bind(struct tsi_net *net, enum tsi_net_use use, const char *address, char *bound,
                    size_t bound_bytes, struct tsi_error *error)
{
    binds = true;
    void *socket = __real_tsi_net_bind(net, use, address, bound, bound_bytes, error);
    binds = false;
    return socket;
}
