// SPDX-License-Identifier: Apache-2.0
//
// A packet that is not one record ends the connection, as does a second descriptor.

#include "engine/net/lease.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/checksum.h"

enum { FILES_MAX = 4 };

bool
tsi_lease_path(const char *endpoint, const char *member_public, char *out, size_t bytes)
{
    char directory[TSI_WIRE_ENDPOINT_MAX];
    char name[TSI_WIRE_ENDPOINT_MAX + TSI_KEY_TEXT + 1];
    if (tsi_connection_directory(directory, sizeof directory, NULL) != TESS_OK) {
        return false;
    }
    const int name_bytes = snprintf(name, sizeof name, "%s %s", endpoint, member_public);
    const int count =
        snprintf(out, bytes, "%s/m%016llx", directory,
                 (unsigned long long)tsi_checksum(name, name_bytes > 0 ? (size_t)name_bytes : 0));
    return count > 0 && (size_t)count < bytes;
}

bool
tsi_lease_send(int socket, struct tsi_lease_record record, int file)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = &record, .iov_len = sizeof record};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    record.magic = TSI_LEASE_MAGIC;
    if (file >= 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(sizeof file);
        memcpy(CMSG_DATA(&control.head), &file, sizeof file);
    }
    ssize_t sent;
    do {
        sent = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)sizeof record;
}

// Takes the descriptors out of a message: the first is the caller's, others are closed.
static int
take_files(struct msghdr *message)
{
    int first = -1;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head != NULL;
         head = CMSG_NXTHDR(message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        const size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int file;
            memcpy(&file, CMSG_DATA(head) + i * sizeof file, sizeof file);
            if (first < 0) {
                first = file;
            } else {
                close(file);
            }
        }
    }
    return first;
}

enum tsi_lease_received
tsi_lease_receive(int socket, struct tsi_lease_record *record, int *file)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(FILES_MAX * sizeof(int))];
    } control;
    struct iovec part = {.iov_base = record, .iov_len = sizeof *record};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t count;
    do {
        count = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (count < 0 && errno == EINTR);
    *file = -1;
    if (count < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK ? TSI_LEASE_NOTHING : TSI_LEASE_END;
    }
    *file = take_files(&message);
    if (count != (ssize_t)sizeof *record || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
        record->magic != TSI_LEASE_MAGIC) {
        if (*file >= 0) {
            close(*file);
            *file = -1;
        }
        return TSI_LEASE_END;
    }
    return TSI_LEASE_GOT;
}

bool
tsi_lease_is_own_user(int socket)
{
    struct ucred other;
    socklen_t bytes = sizeof other;
    return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &other, &bytes) == 0 &&
           other.uid == geteuid();
}
