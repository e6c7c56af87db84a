// SPDX-License-Identifier: Apache-2.0
//
// Two schedulers and one connection file. A scheduler does not start while the file belongs to one
// that lives; where it could not see that, the one with the lower epoch ends when it reads the file
// next. It takes in no member that has obeyed a higher epoch, but does not end by its word.
//
// Whether a connection file belongs to a scheduler that lives: Its process number says nothing: it
// may be of another machine that shares the file, or be used again. Somebody who takes connections
// at its address says enough: taking the file away from such a scheduler would part its workers
// from new clients.

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/net/interface.h"
#include "engine/net/ipc.h"
#include "scheduler/daemon/loop.h"

// A scheduler that runs is near or answers fast; nobody should wait long for one that is gone.
#define CONNECT_MS 1000

static bool
connects(const struct addrinfo *to)
{
    const int probe = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int failure = 0;
    socklen_t bytes = sizeof failure;
    if (probe < 0) {
        return false;
    }
    bool ok = connect(probe, to->ai_addr, to->ai_addrlen) == 0;
    if (!ok && errno == EINPROGRESS) {
        struct pollfd item = {.fd = probe, .events = POLLOUT};
        ok = poll(&item, 1, CONNECT_MS) == 1 &&
             getsockopt(probe, SOL_SOCKET, SO_ERROR, &failure, &bytes) == 0 && failure == 0;
    }
    close(probe);
    return ok;
}

static bool
is_live_tcp(const char *address)
{
    char host[TSI_WIRE_ENDPOINT_MAX];
    const char *colon = strrchr(address, ':');
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *results = NULL;
    tsi_address_host(address, host, sizeof host);
    const bool is_live = host[0] != '\0' && colon != NULL &&
                         getaddrinfo(host, colon + 1, &hints, &results) == 0 && connects(results);
    if (results != NULL) {
        freeaddrinfo(results);
    }
    return is_live;
}

bool
tsi_predecessor_has_lost(const struct tsi_loop *loop)
{
    struct tsi_connection now;
    const struct tsi_connection *own = &loop->connection;
    if (tsi_connection_read(loop->connection_path, &now, NULL) != TESS_OK) {
        return false;
    }
    // Two that began in the same second have the same epoch; the file is the second one's.
    const bool is_other =
        now.epoch != own->epoch || now.pid != own->pid || strcmp(now.address, own->address) != 0;
    const bool has_lost = is_other && now.epoch >= own->epoch;
    if (has_lost) {
        tsi_log(TSI_LOG_ERROR, "superseded",
                "file=%s belongs to the scheduler at %s with epoch %u by now; this one, with epoch "
                "%u, ends",
                loop->connection_path, now.address, now.epoch, own->epoch);
    }
    explicit_bzero(&now, sizeof now);
    return has_lost;
}

tess_status
tsi_predecessor_check(const char *path, struct tsi_error *error)
{
    struct tsi_connection other;
    if (tsi_connection_read(path, &other, NULL) != TESS_OK) {
        return TESS_OK;
    }
    const char *socket_path = tsi_ipc_path(other.address);
    const bool is_live =
        socket_path != NULL ? tsi_ipc_is_live(socket_path) : is_live_tcp(other.address);
    if (is_live) {
        tsi_error_set(
            error, TESS_EACCESS,
            "%s: belongs to the scheduler at %s, which runs (process %lld); stop that one or "
            "give another --scheduler-file",
            path, other.address, (long long)other.pid);
    }
    explicit_bzero(&other, sizeof other);
    return is_live ? TESS_EACCESS : TESS_OK;
}
