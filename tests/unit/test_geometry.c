// SPDX-License-Identifier: Apache-2.0
//
// Chunks with lists, and the macros for shapes and axes.

#include "tessera/geometry.h"

#include <criterion/criterion.h>

static const int64_t sizes[] = {1, 2, 3};

Test(geometry, a_list_replaces_the_step_of_one_axis)
{
    const tess_chunks chunks = tess_chunks_list(TESS_CHUNKS(5, 6), 1, sizes, 3);

    cr_assert_eq(chunks.ndim, 2);
    cr_assert_eq(chunks.step[0], 5);
    cr_assert(chunks.list[0] == NULL);
    cr_assert(chunks.list[1] == sizes);
    cr_assert_eq(chunks.list_count[1], 3);
}

Test(geometry, a_list_can_go_with_one_step_for_all_axes)
{
    const tess_chunks chunks = tess_chunks_list(TESS_CHUNKS_EACH(5), 3, sizes, 3);

    cr_assert_eq(chunks.ndim, TESS_EVERY_AXIS);
    cr_assert_eq(chunks.step[0], 5);
    cr_assert(chunks.list[3] == sizes);
}

// No array has more than 16 axes, so a call that compares numbers of axes refuses these.
static void
assert_refused(tess_chunks chunks)
{
    cr_assert(chunks.ndim > TESS_NDIM_MAX, "%d axes", chunks.ndim);
}

Test(geometry, an_axis_out_of_range_gives_refused_chunks)
{
    assert_refused(tess_chunks_list(TESS_CHUNKS(5, 6), 2, sizes, 3));
    assert_refused(tess_chunks_list(TESS_CHUNKS(5, 6), -1, sizes, 3));
    assert_refused(tess_chunks_list(TESS_CHUNKS_EACH(5), TESS_NDIM_MAX, sizes, 3));
    assert_refused(tess_chunks_list(TESS_CHUNKS(5, 6), 0, NULL, 3));
    assert_refused(tess_chunks_list(TESS_CHUNKS(5, 6), 0, sizes, -1));
}

Test(geometry, refused_chunks_stay_refused)
{
    const tess_chunks refused = tess_chunks_list(TESS_CHUNKS(5, 6), 2, sizes, 3);

    assert_refused(tess_chunks_list(refused, 0, sizes, 3));
    assert_refused(tess_chunks_list(refused, 16, sizes, 3));
}

Test(geometry, shapes_count_their_sizes)
{
    const tess_shape shape = TESS_SHAPE(2, 3, 4);
    const tess_shape scalar = TESS_SCALAR_SHAPE;

    cr_assert_eq(shape.ndim, 3);
    cr_assert_eq(shape.size[2], 4);
    cr_assert_eq(scalar.ndim, 0);
}

Test(geometry, axes_are_bits)
{
    cr_assert_eq(TESS_AXIS(0), 1);
    cr_assert_eq(TESS_AXIS(15), 1 << 15);
    cr_assert_eq(TESS_AXIS(-1), (tess_axes)1 << 47);
    cr_assert_eq(TESS_AXIS(-16), (tess_axes)1 << 32);
    cr_assert_eq(TESS_AXIS(16), TESS_AXES_BAD);
    cr_assert_eq(TESS_AXIS(-17), TESS_AXES_BAD);
}
