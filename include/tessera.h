// SPDX-License-Identifier: Apache-2.0
//
// Tessera: chunked lazy arrays.
//
//     tess_session *session = tess_session_open(NULL);
//     tess_array *x = tess_random_normal(session, TESS_SHAPE(10000, 10000),
//                                        TESS_CHUNKS(1000, 1000), 0.0, 1.0);
//     tess_array *y = tess_mean(x, TESS_AXIS(0));
//     static double mean[10000];
//
//     if (tess_compute(y, mean, sizeof mean) != TESS_OK) {
//         fprintf(stderr, "%s\n", tess_session_error(session));
//     }
//     tess_session_close(session);
//
// A program builds expressions; nothing runs until it asks for a result. Then one task a chunk runs
// on the threads of this process, or on the workers of a scheduler that was named when the session
// was opened. The result has the same bits either way.
//
// Calls that build expressions never return NULL and never crash on a wrong argument: they return a
// failed array, which every later call hands on, and tess_compute() reports what went wrong first.
// status.h states the rule in full.
//
// This one header is all that a program includes. The parts, in reading order:

#ifndef TESSERA_H
#define TESSERA_H

// clang-format off
#include "tessera/export.h"
#include "tessera/version.h"
#include "tessera/status.h"
#include "tessera/dtype.h"
#include "tessera/geometry.h"
#include "tessera/session.h"
#include "tessera/array.h"
#include "tessera/create.h"
#include "tessera/random.h"
#include "tessera/elementwise.h"
#include "tessera/reduce.h"
#include "tessera/shape.h"
#include "tessera/linalg.h"
#include "tessera/compute.h"
// clang-format on

#endif
