// SPDX-License-Identifier: Apache-2.0
//
// The steps of the public calls that compute something: check, plan, start. Failures are recorded
// in the session, under the name of the call.

#ifndef TSI_RUNTIME_COMPUTE_H
#define TSI_RUNTIME_COMPUTE_H

#include "engine/runtime/backend.h"

// Records a failure with the place of the call; returns `status`.
tess_status tsi_compute_fail(struct tess_session *session, tess_status status, const char *call,
                             const char *text);

// A sound array of a usable session, or why not. The message of a failed array becomes the
// session's.
tess_status tsi_compute_check(const char *call, const struct tess_array *x);

// A future with the plan of the targets, without outputs and not started.
tess_status tsi_compute_plan(const char *call, const struct tsi_plan_target *targets, int count,
                             struct tess_future **future);
void tsi_compute_start(struct tess_future *future);

#endif
