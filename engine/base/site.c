// SPDX-License-Identifier: Apache-2.0
//
// A stack of places for each thread. The macros of the public headers enter a place, make the call
// and leave it, and calls nest in the arguments of calls. Places beyond the bound are counted, not
// kept: the innermost kept one then stands for them, and enter and leave still pair up.

#include "engine/base/site.h"

#include <stddef.h>

#include "tessera/session.h"

enum { DEPTH_MAX = 64 };

static _Thread_local const char *sites[DEPTH_MAX];
static _Thread_local size_t depth; // more than DEPTH_MAX where places were not kept

const char *
tsi_site_now(void)
{
    if (depth == 0) {
        return NULL;
    }
    return sites[(depth < DEPTH_MAX ? depth : DEPTH_MAX) - 1];
}

void
tess_site_enter(const char *site)
{
    if (depth < DEPTH_MAX) {
        sites[depth] = site;
    }
    depth++;
}

static void
leave(void)
{
    if (depth > 0) {
        depth--;
    }
}

void *
tess_site_leave(void *result)
{
    leave();
    return result;
}

tess_status
tess_site_leave_status(tess_status status)
{
    leave();
    return status;
}
