// SPDX-License-Identifier: Apache-2.0
//
// Interfaces and the local end of routes, by the system's own tables; nothing is sent.

#include "engine/net/interface.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool
write_address(const struct sockaddr *address, char *out, size_t bytes)
{
    const socklen_t length =
        address->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    return getnameinfo(address, length, out, (socklen_t)bytes, NULL, 0, NI_NUMERICHOST) == 0;
}

tess_status
tsi_interface_address(const char *name, char *out, size_t bytes, struct tsi_error *error)
{
    struct ifaddrs *all = NULL;
    bool found = false;
    if (getifaddrs(&all) != 0) {
        return tsi_error_set(error, TESS_EIO, "the network interfaces cannot be listed");
    }
    const int families[] = {AF_INET, AF_INET6};
    for (int f = 0; f < 2 && !found; f++) {
        for (const struct ifaddrs *one = all; one != NULL && !found; one = one->ifa_next) {
            found = one->ifa_addr != NULL && one->ifa_addr->sa_family == families[f] &&
                    strcmp(one->ifa_name, name) == 0 && write_address(one->ifa_addr, out, bytes);
        }
    }
    freeifaddrs(all);
    return found
               ? TESS_OK
               : tsi_error_set(error, TESS_EINVAL, "no network interface %s with an address", name);
}

// Splits "tcp://host:port"; false for anything else.
static bool
split(const char *address, char *host, size_t host_bytes, char *port, size_t port_bytes)
{
    if (strncmp(address, "tcp://", 6) != 0) {
        return false;
    }
    const char *start = address + 6;
    const char *colon = strrchr(start, ':');
    if (colon == NULL) {
        return false;
    }
    size_t length = (size_t)(colon - start);
    if (length >= 2 && start[0] == '[' && start[length - 1] == ']') {
        start++;
        length -= 2;
    }
    return snprintf(host, host_bytes, "%.*s", (int)length, start) < (int)host_bytes &&
           snprintf(port, port_bytes, "%s", colon + 1) < (int)port_bytes;
}

void
tsi_address_host(const char *address, char *out, size_t bytes)
{
    char port[16];
    if (!split(address, out, bytes, port, sizeof port)) {
        out[0] = '\0';
    }
}

void
tsi_address_towards(const char *address, char *out, size_t bytes)
{
    char host[256];
    char port[16];
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    struct addrinfo *results = NULL;
    bool found = false;
    if (split(address, host, sizeof host, port, sizeof port) &&
        getaddrinfo(host, port, &hints, &results) == 0) {
        for (const struct addrinfo *one = results; one != NULL && !found; one = one->ai_next) {
            struct sockaddr_storage local = {0};
            socklen_t length = sizeof local;
            const int probe = socket(one->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
            // Connecting a datagram socket only looks the route up.
            found = probe >= 0 && connect(probe, one->ai_addr, one->ai_addrlen) == 0 &&
                    getsockname(probe, (struct sockaddr *)&local, &length) == 0 &&
                    write_address((struct sockaddr *)&local, out, bytes);
            if (probe >= 0) {
                close(probe);
            }
        }
        freeaddrinfo(results);
    }
    if (!found) {
        snprintf(out, bytes, "127.0.0.1");
    }
}
