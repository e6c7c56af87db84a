// SPDX-License-Identifier: Apache-2.0
//
// Which variances fold x instead of x − mean(x), and that the plan then makes x once.

#include "engine/base/text.h"
#include "engine/plan/explain.h"
#include "engine/plan/plan_build.h"
#include "tests/support/graph.h"

static struct tess_session session;
static tess_array *x;

static void
set_up(void)
{
    cr_assert(tsi_session_init(&session, NULL));
    x = tess_random_normal(&session, TESS_SHAPE(20, 20), TESS_CHUNKS(7, 6), 1, 2);
}

static void
tear_down(void)
{
    tsi_session_fini(&session);
}

TestSuite(plan_simplify, .init = set_up, .fini = tear_down);

static bool
folds(tess_array *array, const tess_array *operand)
{
    struct tess_array simpler;
    cr_assert_eq(tess_array_status(array), TESS_OK, "%s", tess_array_error(array));
    return tsi_plan_simplify(array, &simpler) && simpler.operand[0] == operand &&
           simpler.reduce.axes == array->reduce.axes && simpler.reduce.ddof == array->reduce.ddof &&
           simpler.reduce.keepdims == array->reduce.keepdims && simpler.dtype == array->dtype;
}

static bool
is_kept(tess_array *array)
{
    struct tess_array simpler;
    cr_assert_eq(tess_array_status(array), TESS_OK, "%s", tess_array_error(array));
    return !tsi_plan_simplify(array, &simpler);
}

static tess_array *
centred(tess_array *y, tess_axes axes)
{
    return tess_subtract(y, tess_mean(y, axes));
}

Test(plan_simplify, a_variance_of_what_is_centred_folds_the_elements_themselves)
{
    const tess_axes rows = TESS_AXIS(0);
    cr_assert(folds(tess_var(centred(x, rows), rows, 1), x));
    cr_assert(folds(tess_std(centred(x, rows | TESS_KEEPDIMS), rows, 0), x));
    cr_assert(folds(tess_std(centred(x, rows), rows | TESS_KEEPDIMS, 0), x));
    cr_assert(folds(tess_std(centred(x, TESS_AXIS(1) | TESS_KEEPDIMS), TESS_AXIS(-1), 0.5), x));
    cr_assert(folds(tess_var(centred(x, TESS_AXES_ALL), TESS_AXES_ALL, 0), x));
    cr_assert(folds(tess_var(tess_subtract(tess_mean(x, rows), x), rows, 0), x), "m - x");
    tess_array *single = tess_cast(x, TESS_F32);
    cr_assert(folds(tess_var(centred(single, rows), rows, 0), single));
    tess_array *column = tess_slice(x, TESS_INDEX(TESS_RANGE(0, 20, 1), TESS_RANGE(3, 4, 1)));
    cr_assert(folds(tess_var(centred(column, rows), rows, 0), column), "an axis of one element");
    tess_array *mean = tess_mean(column, TESS_AXIS(1) | TESS_KEEPDIMS);
    cr_assert(folds(tess_var(tess_subtract(column, mean), TESS_AXIS(1), 0), column), "no view");
}

Test(plan_simplify, other_variances_stay)
{
    const tess_axes rows = TESS_AXIS(0);
    tess_array *y = tess_random_normal(&session, TESS_SHAPE(20, 20), TESS_CHUNKS(7, 6), 1, 2);
    tess_array *mean = tess_mean(x, rows);
    cr_assert(is_kept(tess_var(x, rows, 0)));
    cr_assert(is_kept(tess_mean(centred(x, rows), rows)), "not a variance");
    cr_assert(is_kept(tess_var(tess_subtract(y, mean), rows, 0)), "the mean of others");
    cr_assert(is_kept(tess_var(tess_add(x, mean), rows, 0)), "added");
    cr_assert(is_kept(tess_var(tess_subtract(x, tess_max(x, rows)), rows, 0)), "the largest");
    cr_assert(is_kept(tess_var(centred(x, rows), TESS_AXIS(1), 0)), "another axis");
    cr_assert(is_kept(tess_var(centred(x, rows), TESS_AXES_ALL, 0)), "more axes");
    cr_assert(is_kept(tess_var(centred(x, TESS_AXES_ALL), rows, 0)), "fewer axes");
    cr_assert(is_kept(tess_var(centred(x, TESS_AXIS(1)), TESS_AXIS(1), 0)),
              "a square: the mean of row j meets column j");
    tess_array *turned = tess_slice(mean, TESS_INDEX(TESS_RANGE(TESS_OPEN, TESS_OPEN, -1)));
    cr_assert(is_kept(tess_var(tess_subtract(x, turned), rows, 0)), "the mean of another column");
    tess_array *whole =
        tess_random_integers(&session, TESS_SHAPE(9, 9), TESS_CHUNKS(4, 4), TESS_I32, 0, 9);
    cr_assert(is_kept(tess_var(centred(whole, rows), rows, 0)), "integers");
}

Test(plan_simplify, the_program_makes_the_elements_once_and_says_so)
{
    struct tsi_plan plan;
    struct tsi_error error;
    struct tsi_text text = {0};
    tess_array *array = tess_std(centred(x, TESS_AXIS(0)), TESS_AXIS(0), 0);
    const struct tsi_plan_target targets[] = {{.array = array, .mode = TSI_TARGET_DELIVER},
                                              {.array = array, .mode = TSI_TARGET_DELIVER}};
    cr_assert_eq(tsi_plan_make(targets, 2, &plan, &error), TESS_OK, "%s", error.text);
    tsi_explain(plan.program, 2, 0, &text);
    const char *said = tsi_text_chars(&text);
    const char *source = strstr(said, "random_normal");
    cr_assert(source != NULL && strstr(source + 1, "random_normal") == NULL, "%s", said);
    cr_assert(strstr(said, "centring left out") != NULL, "%s", said);
    cr_assert_eq(plan.target_ops[0], plan.target_ops[1]);
    tsi_text_fini(&text);
    tsi_plan_fini(&plan);
}
