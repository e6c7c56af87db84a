// SPDX-License-Identifier: Apache-2.0
//
// Equal nodes are one node, and running out of memory at any allocation leaves a session as it was.

#include <fcntl.h>
#include <unistd.h>

#include "tests/support/graph.h"

static struct tess_session session;

static void
set_up(void)
{
    cr_assert(tsi_session_init(&session, NULL));
}

static void
tear_down(void)
{
    tsi_session_fini(&session);
}

TestSuite(graph_node, .init = set_up, .fini = tear_down);

static tess_array *
arange(int64_t count, int64_t step)
{
    return tess_arange(&session, 0, (double)count, 1, TESS_CHUNKS(step), TESS_F64);
}

Test(graph_node, equal_nodes_are_one)
{
    const int64_t sizes[] = {4, 1, 5};
    const tess_chunks listed = tess_chunks_list(TESS_CHUNKS(1), 0, sizes, 3);
    tess_array *x = arange(10, 3);
    tess_array *y = arange(10, 4);
    cr_assert(x != y, "another cut");
    cr_assert(x == arange(10, 3));
    cr_assert(tess_add(x, y) == tess_add(x, y));
    cr_assert(tess_add(x, y) != tess_add(y, x));
    cr_assert(tess_add(x, y) != tess_subtract(x, y));
    cr_assert(tess_cast(x, TESS_F32) == tess_cast(x, TESS_F32));
    cr_assert(tess_cast(x, TESS_F32) != tess_cast(x, TESS_I32));
    cr_assert(tess_mean(x, TESS_AXIS(0)) == tess_mean(x, TESS_AXIS(-1)));
    cr_assert(tess_mean(x, TESS_AXIS(0)) != tess_mean(x, TESS_AXIS(0) | TESS_KEEPDIMS));
    cr_assert(tess_var(x, TESS_AXIS(0), 0) != tess_var(x, TESS_AXIS(0), 1));
    cr_assert(tess_var(x, TESS_AXIS(0), 0) != tess_std(x, TESS_AXIS(0), 0));
    cr_assert(tess_rechunk(x, listed) == tess_rechunk(x, listed));
    cr_assert(tess_rechunk(x, TESS_CHUNKS(4)) == y, "a source that is cut otherwise is a source");
    cr_assert(tess_slice(x, TESS_INDEX(TESS_RANGE(0, 5, 5))) ==
              tess_slice(x, TESS_INDEX(TESS_RANGE(0, 1, 1))));
    cr_assert(tess_matmul(x, y) == tess_matmul(x, y));
    cr_assert(tess_scalar(&session, 1) == tess_scalar(&session, 1));
    cr_assert(tess_scalar(&session, 0.0) != tess_scalar(&session, -0.0));
    cr_assert(tess_scalar(&session, 1) !=
                  tess_full(&session, TESS_SCALAR_SHAPE, TESS_CHUNKS_NONE, TESS_F64, 1),
              "weak and not weak");
    const double memory[] = {1, 2, 3, 4, 5, 6};
    const int64_t strides[] = {16};
    tess_array *m =
        tess_from_memory(&session, memory, TESS_F64, TESS_SHAPE(3), NULL, TESS_CHUNKS(2));
    cr_assert(m ==
              tess_from_memory(&session, memory, TESS_F64, TESS_SHAPE(3), NULL, TESS_CHUNKS(2)));
    cr_assert(m !=
              tess_from_memory(&session, memory, TESS_F64, TESS_SHAPE(3), strides, TESS_CHUNKS(2)));
    cr_assert(
        m != tess_from_memory(&session, memory + 1, TESS_F64, TESS_SHAPE(3), NULL, TESS_CHUNKS(2)));
    cr_assert(m !=
              tess_from_memory(&session, memory, TESS_I64, TESS_SHAPE(3), NULL, TESS_CHUNKS(2)));
    expect_rules(&session);
}

Test(graph_node, the_first_name_and_place_stay)
{
    tess_array *x = tess_zeros(&session, TESS_SHAPE(3), TESS_CHUNKS_NONE, TESS_F64);
    const char *site = x->site;
    cr_assert(strstr(site, __FILE__) != NULL);
    cr_assert_str_eq(x->name, "zeros");
    cr_assert(x == tess_full(&session, TESS_SHAPE(3), TESS_CHUNKS_NONE, TESS_F64, 0));
    cr_assert_str_eq(x->name, "zeros");
    cr_assert(x->site == site);
    expect_rules(&session);
}

Test(graph_node, calls_without_the_macro_have_no_place)
{
    tess_array *x = (tess_zeros)(&session, TESS_SHAPE(3), TESS_CHUNKS_NONE, TESS_F64);
    cr_assert_str_eq(x->site, "");
    tess_array *bad = (tess_zeros)(&session, TESS_SHAPE(-3), TESS_CHUNKS_NONE, TESS_F64);
    cr_assert_str_eq(tess_array_error(bad), "zeros: (-3,): axis 0 has the negative size -3");
    expect_rules(&session);
}

Test(graph_node, many_nodes_stay_apart)
{
    enum { COUNT = 5000 };
    static tess_array *nodes[COUNT];
    for (int i = 0; i < COUNT; i++) {
        nodes[i] = tess_full_int(&session, TESS_SHAPE(3), TESS_CHUNKS(1), TESS_I64, i);
        cr_assert_eq(nodes[i]->id, (uint64_t)i);
    }
    for (int i = 0; i < COUNT; i++) {
        tess_array *again = tess_full_int(&session, TESS_SHAPE(3), TESS_CHUNKS(1), TESS_I64, i);
        cr_assert(again == nodes[i]);
    }
    expect_rules(&session);
}

// Irregular cuts of a long expression are kept once.
Test(graph_node, shares_boundaries)
{
    enum { CHUNKS = 100000, DEPTH = 200 };
    int64_t *sizes = malloc(CHUNKS * sizeof *sizes);
    int64_t total = 0;
    for (int i = 0; i < CHUNKS; i++) {
        sizes[i] = 1 + i % 3;
        total += sizes[i];
    }
    tess_array *x = tess_arange(&session, 0, (double)total, 1,
                                tess_chunks_list(TESS_CHUNKS(1), 0, sizes, CHUNKS), TESS_F64);
    free(sizes);
    const size_t bytes = session.arena.bytes;
    for (int i = 0; i < DEPTH; i++) {
        x = tess_sqrt(x);
    }
    cr_assert_eq(tess_array_chunk_count(x, 0), CHUNKS);
    cr_assert(session.arena.bytes - bytes < 1 << 20, "%zu bytes", session.arena.bytes - bytes);
    expect_rules(&session);
}

static char npy_path[] = "/tmp/tess-test-XXXXXX";

static void
write_npy(void)
{
    static const char header[] = "\x93NUMPY\x01\x00\x37\x00"
                                 "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}";
    const double data[] = {1.5, 2.5};
    const int file = mkstemp(npy_path);
    cr_assert(file >= 0);
    cr_assert_eq(write(file, header, sizeof header - 1), (ssize_t)sizeof header - 1);
    cr_assert_eq(write(file, data, sizeof data), (ssize_t)sizeof data);
    close(file);
}

// One call of each constructor, on operands that are there already.
struct operands {
    tess_array *x; // (4, 6) memory, irregular
    tess_array *y; // (6,) source
    tess_array *r; // (6,) random
    double memory[24];
    int64_t sizes[3];
};

#define BUILD(name, expression)                                                                    \
    static tess_array *build_##name(struct tess_session *s, struct operands *o)                    \
    {                                                                                              \
        (void)s;                                                                                   \
        (void)o;                                                                                   \
        return expression;                                                                         \
    }
BUILD(zeros, tess_zeros(s, TESS_SHAPE(3, 4), TESS_CHUNKS(2, 2), TESS_F32))
BUILD(listed,
      tess_ones(s, TESS_SHAPE(6), tess_chunks_list(TESS_CHUNKS(1), 0, o->sizes, 3), TESS_I8))
BUILD(full, tess_full(s, TESS_SHAPE(3, 4), TESS_CHUNKS(2, 2), TESS_F32, 1.5))
BUILD(full_int, tess_full_int(s, TESS_SHAPE(3, 4), TESS_CHUNKS(2, 2), TESS_F32, 3))
BUILD(scalar, tess_scalar(s, 2.5))
BUILD(scalar_int, tess_scalar_int(s, 2))
BUILD(arange, tess_arange(s, 0, 100, 1, TESS_CHUNKS(30), TESS_I32))
BUILD(linspace, tess_linspace(s, 0, 100, 7, TESS_CHUNKS(30), TESS_F32))
BUILD(eye, tess_eye(s, 3, 4, 1, TESS_CHUNKS_EACH(2), TESS_F32))
BUILD(from_memory,
      tess_from_memory(s, o->memory, TESS_F64, TESS_SHAPE(3, 2), NULL, TESS_CHUNKS(2, 2)))
BUILD(load_npy, tess_load_npy(s, npy_path, TESS_CHUNKS(1)))
BUILD(random_normal, tess_random_normal(s, TESS_SHAPE(3), TESS_CHUNKS(2), 0, 1))
BUILD(random_uniform, tess_random_uniform(s, TESS_SHAPE(3), TESS_CHUNKS(2), 0, 1))
BUILD(random_integers, tess_random_integers(s, TESS_SHAPE(3), TESS_CHUNKS(2), TESS_I8, 0, 9))
BUILD(standard_normal, tess_random_standard_normal(s, TESS_SHAPE(3), TESS_CHUNKS(2), TESS_F32))
BUILD(negative, tess_negative(o->x))
BUILD(add, tess_add(o->x, o->y))
BUILD(add_random, tess_add(o->x, o->r))
BUILD(add_weak, tess_add(o->x, tess_scalar_int(s, 3)))
BUILD(add_cast, tess_add(o->x, tess_cast(o->y, TESS_F32)))
BUILD(where, tess_where(o->y, o->x, o->y))
BUILD(cast, tess_cast(o->x, TESS_I16))
BUILD(sum, tess_sum(o->x, TESS_AXIS(0)))
BUILD(var, tess_var(o->x, TESS_AXES_ALL, 1))
BUILD(slice, tess_slice(o->x, TESS_INDEX(TESS_RANGE(0, 4, 3), TESS_RANGE(5, TESS_OPEN, -2))))
BUILD(slice_source, tess_slice(o->y, TESS_INDEX(TESS_RANGE(1, 5, 2))))
BUILD(transpose, tess_transpose(o->x, TESS_REVERSED))
BUILD(broadcast_to, tess_broadcast_to(o->x, TESS_SHAPE(3, 4, 6)))
BUILD(rechunk, tess_rechunk(o->x, tess_chunks_list(TESS_CHUNKS(1, 1), 1, o->sizes, 3)))
BUILD(matmul, tess_matmul(o->x, o->y))
BUILD(matmul_cast, tess_matmul(tess_cast(o->y, TESS_I8), tess_transpose(o->x, TESS_REVERSED)))
BUILD(failing, tess_add(o->x, tess_zeros(s, TESS_SHAPE(5), TESS_CHUNKS(5), TESS_F32)))

typedef tess_array *build_call(struct tess_session *s, struct operands *o);
static build_call *const builds[] = {
    build_zeros,
    build_listed,
    build_full,
    build_full_int,
    build_scalar,
    build_scalar_int,
    build_arange,
    build_linspace,
    build_eye,
    build_from_memory,
    build_load_npy,
    build_random_normal,
    build_random_uniform,
    build_random_integers,
    build_standard_normal,
    build_negative,
    build_add,
    build_add_random,
    build_add_weak,
    build_add_cast,
    build_where,
    build_cast,
    build_sum,
    build_var,
    build_slice,
    build_slice_source,
    build_transpose,
    build_broadcast_to,
    build_rechunk,
    build_matmul,
    build_matmul_cast,
    build_failing,
};
enum { BUILDS = sizeof builds / sizeof builds[0], BLOCK_BYTES = 4096, PIECE_BYTES = 256 };

// A session whose newest arena block has `fill` bytes taken, so that another allocation is the
// first that needs a new one.
static void
open_filled(struct tess_session *s, struct operands *o, size_t fill)
{
    *o = (struct operands){.sizes = {1, 4, 1}};
    cr_assert(tsi_session_init(s, NULL));
    o->x = tess_from_memory(s, o->memory, TESS_F64, TESS_SHAPE(4, 6), NULL,
                            tess_chunks_list(TESS_CHUNKS(2, 1), 1, o->sizes, 3));
    o->y = tess_arange(s, 0, 6, 1, TESS_CHUNKS(4), TESS_I32);
    o->r = tess_random_normal(s, TESS_SHAPE(6), TESS_CHUNKS(4), 0, 1);
    for (size_t taken = 0; taken < fill; taken += PIECE_BYTES) {
        tsi_arena_alloc(&s->arena, PIECE_BYTES);
    }
}

// Lets allocation number `successes` of the call fail. False if the call does not need so many.
static bool
fail_once(build_call *build, size_t fill, int64_t successes)
{
    struct tess_session s;
    struct operands o;
    open_filled(&s, &o, fill);
    const uint32_t streams = s.next_stream;
    tsi_memory_fail_after(successes);
    tess_array *array = build(&s, &o);
    tsi_memory_fail_after(-1);
    cr_assert(array != NULL);
    const bool failed = array->status == TESS_ENOMEM;
    if (failed) {
        cr_assert_eq(tess_array_count(array), 0);
        cr_assert(tess_array_error(array)[0] != '\0');
        cr_assert(tess_session_error(&s)[0] != '\0');
        cr_assert_eq(s.next_stream, streams, "a call that failed took a stream");
        cr_assert(tess_add(array, o.x) == array);
    }
    cr_assert_eq(tess_session_status(&s), TESS_OK);
    tess_array *again = build(&s, &o);
    cr_assert(again->status == TESS_OK || build == build_failing, "%s", again->error);
    cr_assert_neq(again->status, TESS_ENOMEM);
    expect_rules(&s);
    tsi_session_fini(&s);
    return failed;
}

Test(graph_node, every_allocation_may_fail)
{
    write_npy();
    int failures = 0;
    for (int i = 0; i < BUILDS; i++) {
        int most = 0;
        for (size_t fill = 0; fill < 2 * BLOCK_BYTES; fill += PIECE_BYTES) {
            int64_t successes = 0;
            while (fail_once(builds[i], fill, successes)) {
                successes++;
            }
            most = successes > most ? (int)successes : most;
            failures += (int)successes;
        }
        cr_assert(most > 0 || builds[i] == build_failing, "build %d never allocated", i);
    }
    unlink(npy_path);
    cr_assert(failures > BUILDS, "%d failures", failures);
    expect_rules(&session);
}
