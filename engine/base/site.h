// SPDX-License-Identifier: Apache-2.0
//
// The places of the public calls that this thread is in, behind tess_site_enter() and
// tess_site_leave() of tessera/session.h.

#ifndef TSI_BASE_SITE_H
#define TSI_BASE_SITE_H

// The place of the innermost call as "file:line", NULL outside all. It is the caller's text, which
// lives as long as the program.
const char *tsi_site_now(void);

#endif
