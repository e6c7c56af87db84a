// SPDX-License-Identifier: Apache-2.0
//
// Expressions of very many chunks: what is submitted does not grow with them, planning them takes
// no time, and a hundred thousand of them run to the end.

#include "tests/support/api.h"

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/plan/plan.h"
#include "engine/program/codec.h"

// Plans `x` in milliseconds; the bytes of the program in `*bytes`.
static uint64_t
plan(tess_array *x, size_t *bytes, uint32_t *tasks)
{
    struct tsi_plan plan = {0};
    struct tsi_error error = {.status = TESS_OK};
    const struct tsi_plan_target target = {.array = x, .mode = TSI_TARGET_DELIVER};
    unsigned char *encoded = NULL;
    const uint64_t start = tsi_clock_ns();
    cr_assert_eq(tsi_plan_make(&target, 1, &plan, &error), TESS_OK, "%s", error.text);
    cr_assert_eq(tsi_program_encode(plan.program, &encoded, bytes, &error), TESS_OK, "%s",
                 error.text);
    const uint64_t elapsed = (tsi_clock_ns() - start) / TSI_MILLISECOND;
    *tasks = plan.program->task_count;
    tsi_free(encoded);
    tsi_plan_fini(&plan);
    return elapsed;
}

Test(api_scale, ten_million_chunks_are_a_small_program)
{
    tess_session *s = open_embedded(1);
    size_t bytes = 0;
    uint32_t tasks = 0;
    tess_array *x = tess_random_normal(s, TESS_SHAPE(10000000, 1000), TESS_CHUNKS(1, 1000), 0, 1);
    tess_array *centred = tess_subtract(x, tess_mean(x, TESS_AXIS(0)));
    tess_array *result = tess_std(tess_exp(centred), TESS_AXIS(0), 1);
    const uint64_t elapsed = plan(result, &bytes, &tasks);
    cr_assert(tasks > 20000000, "%" PRIu32, tasks);
    cr_assert(bytes <= 65536, "%zu bytes", bytes);
    cr_assert(elapsed < 500, "%" PRIu64 " ms", elapsed);

    tess_array *square = tess_random_normal(s, TESS_SHAPE(32000, 32000), TESS_CHUNKS(10, 10), 0, 1);
    tess_array *moved = tess_add(square, tess_transpose(square, TESS_REVERSED));
    cr_assert(plan(moved, &bytes, &tasks) < 500);
    cr_assert(tasks >= 10240000 && bytes <= 65536);
    cr_assert(plan(tess_matmul(x, tess_transpose(tess_slice(x, TESS_INDEX(TESS_RANGE(0, 1, 1))),
                                                 TESS_REVERSED)),
                   &bytes, &tasks) < 500);
    cr_assert(bytes <= 65536);
    tess_session_close(s);
}

Test(api_scale, too_many_chunks_are_refused)
{
    tess_session *s = open_embedded(1);
    double out = 0;
    tess_array *x = tess_zeros(s, TESS_SHAPE(100000, 100000), TESS_CHUNKS_EACH(1), TESS_F64);
    cr_assert_eq(tess_compute(tess_sum(x, TESS_AXES_ALL), &out, sizeof out), TESS_ELIMIT, "%s",
                 tess_session_error(s));
    cr_assert(strstr(tess_session_error(s), "test_scale.c:") != NULL, "%s", tess_session_error(s));
    tess_session_close(s);
}

Test(api_scale, a_hundred_thousand_chunks_run_to_the_end)
{
    tess_session *s = open_embedded(2);
    tess_array *x = tess_arange(s, 0, 1000000, 1, TESS_CHUNKS(10), TESS_I64);
    int64_t sum = 0;
    cr_assert_eq(tess_compute(tess_sum(x, TESS_AXES_ALL), &sum, sizeof sum), TESS_OK, "%s",
                 tess_session_error(s));
    cr_assert_eq(sum, INT64_C(499999500000));
    const tess_report report = tess_session_report(s);
    cr_assert(report.tasks >= 106000 && report.program_bytes < 4096);
    tess_array *turned = tess_rechunk(tess_multiply(x, tess_scalar_int(s, 3)), TESS_CHUNKS(7777));
    cr_assert_eq(tess_compute(tess_max(turned, TESS_AXES_ALL), &sum, sizeof sum), TESS_OK, "%s",
                 tess_session_error(s));
    cr_assert_eq(sum, 2999997);
    tess_session_close(s);
}

// One long chain of calls, and many arrays at once.
Test(api_scale, a_hundred_thousand_nodes)
{
    tess_session *s = open_embedded(2);
    tess_array *x = tess_arange(s, 0, 10, 1, TESS_CHUNKS(4), TESS_I64);
    for (int i = 0; i < 100000; i++) {
        x = tess_add(x, tess_scalar_int(s, i % 2));
    }
    int64_t *out = compute(x);
    cr_assert_eq(out[9], 50009);
    free(out);
    tess_session_close(s);
}
