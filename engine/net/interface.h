// SPDX-License-Identifier: Apache-2.0
//
// Network interfaces by name.

#ifndef TSI_NET_INTERFACE_H
#define TSI_NET_INTERFACE_H

#include <stddef.h>

#include "engine/base/error.h"

// The address of network interface `name`, IPv4 if it has one, as text.
tess_status tsi_interface_address(const char *name, char *out, size_t bytes,
                                  struct tsi_error *error);

// The host of "tcp://host:port" without brackets, "" for other addresses.
void tsi_address_host(const char *address, char *out, size_t bytes);

// The address from which this machine would reach "tcp://host:port", as text: where others on the
// way can answer. "127.0.0.1" where that is unknown.
void tsi_address_towards(const char *address, char *out, size_t bytes);

#endif
