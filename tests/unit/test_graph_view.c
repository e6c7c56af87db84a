// SPDX-License-Identifier: Apache-2.0
//
// Slices, transposes, repeats and new cuts against an oracle that carries a dense copy along, and
// the cuts of the results against the chunks that their elements came from.

#include "tests/support/graph.h"

enum { ELEMENTS_MAX = 4096, STEPS = 4 };

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

TestSuite(graph_view, .init = set_up, .fini = tear_down);

// A dense array, and for each element its chunk on each axis of the array that was cut last.
struct model {
    int ndim;
    int64_t size[TESS_NDIM_MAX];
    int64_t count;
    int64_t value[ELEMENTS_MAX];
};

static uint64_t state;

static int64_t
below(int64_t limit)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int64_t)((state >> 33) % (uint64_t)limit);
}

static void
place_of(const struct model *model, int64_t at, int64_t place[TESS_NDIM_MAX])
{
    for (int i = model->ndim - 1; i >= 0; i--) {
        place[i] = at % model->size[i];
        at /= model->size[i];
    }
}

static int64_t
offset_of(const struct model *model, const int64_t place[TESS_NDIM_MAX])
{
    int64_t at = 0;
    for (int i = 0; i < model->ndim; i++) {
        at = at * model->size[i] + place[i];
    }
    return at;
}

static void
set_count(struct model *model)
{
    model->count = 1;
    for (int i = 0; i < model->ndim; i++) {
        model->count *= model->size[i];
    }
    cr_assert(model->count <= ELEMENTS_MAX);
}

static void
expect_same(tess_array *x, const struct model *model, uint64_t seed)
{
    static int64_t got[ELEMENTS_MAX];
    tess_shape shape = {.ndim = model->ndim};
    memcpy(shape.size, model->size, sizeof shape.size);
    expect_sound(x, TESS_I64, shape);
    cr_assert(test_eval(x, got));
    for (int64_t i = 0; i < model->count; i++) {
        cr_assert_eq(got[i], model->value[i],
                     "seed %" PRIu64 ": element %" PRId64 " is %" PRId64 ", not %" PRId64, seed, i,
                     got[i], model->value[i]);
    }
}

// Python's slice of one axis, one element at a time: the places it takes, in order.
static int64_t
take_range(int64_t size, const struct tess_index *index, int64_t *taken)
{
    int64_t count = 0;
    int64_t at = index->start;
    int64_t stop = index->stop;
    if (at == TESS_OPEN) {
        at = index->step > 0 ? 0 : size - 1;
    } else if (at < 0) {
        at += size;
        at = at < 0 ? (index->step > 0 ? 0 : -1) : at;
    } else if (at >= size) {
        at = index->step > 0 ? size : size - 1;
    }
    if (stop == TESS_OPEN) {
        stop = index->step > 0 ? size : -1;
    } else if (stop < 0) {
        stop = stop + size < 0 ? -1 : stop + size;
    }
    while (at >= 0 && at < size && (index->step > 0 ? at < stop : at > stop)) {
        taken[count++] = at;
        at += index->step;
    }
    return count;
}

static struct tess_index
random_index(int64_t size)
{
    const int64_t kind = below(10);
    if (kind == 0) {
        return TESS_NEWAXIS;
    }
    if (kind == 1 && size > 0) {
        return TESS_AT(below(2 * size) - size);
    }
    if (kind == 2) {
        return TESS_WHOLE;
    }
    const int64_t step = (below(4) == 0 ? below(9) : below(3)) + 1;
    const int64_t start = below(4) == 0 ? TESS_OPEN : below(2 * size + 5) - size - 2;
    const int64_t stop = below(4) == 0 ? TESS_OPEN : below(2 * size + 5) - size - 2;
    return TESS_RANGE(start, stop, below(2) == 0 ? step : -step);
}

// Which elements of an axis make the chunks of a slice: a new one begins where the operand's chunk
// changes.
static void
expect_cut(tess_array *x, int axis, tess_array *from, int from_axis, const int64_t *taken,
           int64_t count)
{
    int64_t sizes[ELEMENTS_MAX] = {0};
    int64_t chunks = 0;
    int64_t last = -1;
    for (int64_t i = 0; i < count; i++) {
        const int64_t chunk = tsi_axis_find(&from->grid.axis[from_axis], taken[i]);
        chunks += chunk != last;
        sizes[chunks - 1]++;
        last = chunk;
    }
    expect_chunks(x, axis, count == 0 ? 1 : chunks, sizes);
}

// Slices model and array alike.
static tess_array *
slice_both(struct model *model, tess_array *x)
{
    static struct model old;
    static int64_t taken[TESS_NDIM_MAX][ELEMENTS_MAX];
    tess_indices indices = {.count = 0};
    int from_axis[TESS_NDIM_MAX]; // of each new axis, −1 for one that is new
    int new_axis[TESS_NDIM_MAX];
    old = *model;
    model->ndim = 0;
    for (int axis = 0; axis < old.ndim;) {
        struct tess_index index = random_index(old.size[axis]);
        const bool is_last = axis == old.ndim - 1 && below(4) == 0;
        index = is_last || (index.kind == TESS_INDEX_NEWAXIS && model->ndim + old.ndim > 8)
                    ? TESS_WHOLE
                    : index;
        if (!is_last) {
            indices.index[indices.count++] = index;
        }
        if (index.kind == TESS_INDEX_NEWAXIS) {
            from_axis[model->ndim] = -1;
            model->size[model->ndim++] = 1;
            continue;
        }
        if (index.kind == TESS_INDEX_AT) {
            taken[axis][0] = index.start < 0 ? index.start + old.size[axis] : index.start;
            new_axis[axis++] = -1;
            continue;
        }
        from_axis[model->ndim] = axis;
        new_axis[axis] = model->ndim;
        model->size[model->ndim++] = take_range(old.size[axis], &index, taken[axis]);
        axis++;
    }
    set_count(model);
    for (int64_t at = 0; at < model->count; at++) {
        int64_t place[TESS_NDIM_MAX];
        int64_t read[TESS_NDIM_MAX];
        place_of(model, at, place);
        for (int a = 0; a < old.ndim; a++) {
            read[a] = taken[a][new_axis[a] < 0 ? 0 : place[new_axis[a]]];
        }
        model->value[at] = old.value[offset_of(&old, read)];
    }
    tess_array *sliced = tess_slice(x, indices);
    for (int i = 0; i < model->ndim; i++) {
        const int from = from_axis[i];
        if (from >= 0 && model->size[i] != old.size[from]) {
            expect_cut(sliced, i, x, from, taken[from], model->size[i]);
        }
    }
    return sliced;
}

static tess_array *
transpose_both(struct model *model, tess_array *x)
{
    static struct model old;
    tess_order order = {.ndim = model->ndim};
    old = *model;
    for (int i = 0; i < old.ndim; i++) {
        order.axis[i] = i;
    }
    for (int i = old.ndim - 1; i > 0; i--) {
        const int64_t other = below(i + 1);
        const int axis = order.axis[i];
        order.axis[i] = order.axis[other];
        order.axis[other] = axis;
    }
    for (int i = 0; i < old.ndim; i++) {
        model->size[i] = old.size[order.axis[i]];
    }
    for (int64_t at = 0; at < model->count; at++) {
        int64_t place[TESS_NDIM_MAX];
        int64_t read[TESS_NDIM_MAX];
        place_of(model, at, place);
        for (int i = 0; i < old.ndim; i++) {
            read[order.axis[i]] = place[i];
        }
        model->value[at] = old.value[offset_of(&old, read)];
    }
    for (int i = 0; i < old.ndim; i++) {
        order.axis[i] -= below(2) == 0 ? old.ndim : 0;
    }
    return tess_transpose(x, order);
}

static tess_array *
repeat_both(struct model *model, tess_array *x)
{
    static struct model old;
    old = *model;
    tess_shape shape = {.ndim = old.ndim + (old.ndim < 6 ? (int)below(2) : 0)};
    const int missing = shape.ndim - old.ndim;
    int64_t count = old.count;
    for (int i = 0; i < shape.ndim; i++) {
        const bool is_free = i < missing || old.size[i - missing] == 1;
        shape.size[i] = i < missing ? 1 : old.size[i - missing];
        if (is_free && count < ELEMENTS_MAX / 4) {
            shape.size[i] = below(4);
            count *= shape.size[i];
        }
    }
    model->ndim = shape.ndim;
    memcpy(model->size, shape.size, sizeof shape.size);
    set_count(model);
    for (int64_t at = 0; at < model->count; at++) {
        int64_t place[TESS_NDIM_MAX];
        int64_t read[TESS_NDIM_MAX];
        place_of(model, at, place);
        for (int a = 0; a < old.ndim; a++) {
            read[a] = old.size[a] == 1 ? 0 : place[a + missing];
        }
        model->value[at] = old.value[offset_of(&old, read)];
    }
    return tess_broadcast_to(x, shape);
}

// Chunks of every kind for an array: steps, one chunk, chosen, lists with empty chunks.
static tess_chunks
random_chunks(int ndim, const int64_t *size, int64_t lists[TESS_NDIM_MAX][ELEMENTS_MAX])
{
    tess_chunks chunks = {.ndim = ndim};
    for (int i = 0; i < ndim; i++) {
        chunks.step[i] = below(8) - 1;
        if (below(2) == 0) {
            int64_t left = size[i];
            int64_t count = 0;
            while (left > 0) {
                const int64_t taken = below(left < 6 ? left + 1 : 6);
                lists[i][count++] = taken;
                left -= taken;
            }
            chunks.list[i] = lists[i];
            chunks.list_count[i] = count;
        }
    }
    return chunks;
}

static int64_t chunk_lists[TESS_NDIM_MAX][ELEMENTS_MAX];

static tess_array *
view_both(struct model *model, tess_array *x)
{
    switch (below(5)) {
    case 0:
        return transpose_both(model, x);
    case 1:
        return repeat_both(model, x);
    case 2:
        return tess_rechunk(x, random_chunks(model->ndim, model->size, chunk_lists));
    default:
        return slice_both(model, x);
    }
}

static void
random_shape(struct model *model)
{
    model->ndim = (int)below(5);
    for (int i = 0; i < model->ndim; i++) {
        const int64_t limit = model->ndim == 1 ? 40 : 8;
        model->size[i] = below(12) == 0 ? 0 : 1 + below(limit);
    }
    set_count(model);
}

static int64_t memory[ELEMENTS_MAX];

typedef tess_array *base_call(tess_shape shape, tess_chunks chunks);

static tess_array *
base_memory(tess_shape shape, tess_chunks chunks)
{
    return tess_from_memory(&session, memory, TESS_I64, shape, NULL, chunks);
}

static tess_array *
base_random(tess_shape shape, tess_chunks chunks)
{
    return tess_random_integers(&session, shape, chunks, TESS_I64, 0, 1000000);
}

static tess_array *
base_map(tess_shape shape, tess_chunks chunks)
{
    return tess_add(base_memory(shape, chunks), tess_scalar_int(&session, 7));
}

static tess_array *
base_const(tess_shape shape, tess_chunks chunks)
{
    return tess_full_int(&session, shape, chunks, TESS_I64, 42);
}

// Chains of views of one array, each step against the model.
static void
run(base_call *base, int rounds, uint64_t first_seed)
{
    static struct model model;
    for (uint64_t seed = first_seed; seed < first_seed + (uint64_t)rounds; seed++) {
        state = seed;
        below(1);
        random_shape(&model);
        for (int64_t i = 0; i < ELEMENTS_MAX; i++) {
            memory[i] = i;
        }
        tess_shape shape = {.ndim = model.ndim};
        memcpy(shape.size, model.size, sizeof shape.size);
        tess_array *x = base(shape, random_chunks(model.ndim, model.size, chunk_lists));
        cr_assert_eq(x->status, TESS_OK, "seed %" PRIu64 ": %s", seed, x->error);
        cr_assert(test_eval(x, model.value));
        for (int step = 0; step < STEPS; step++) {
            x = view_both(&model, x);
            cr_assert_eq(x->status, TESS_OK, "seed %" PRIu64 ": %s", seed, x->error);
            expect_same(x, &model, seed);
        }
    }
}

Test(graph_view, random_views_of_memory)
{
    run(base_memory, 2000, 1000);
    expect_rules(&session);
}

Test(graph_view, random_views_of_results)
{
    run(base_map, 500, 20000);
    expect_rules(&session);
}

Test(graph_view, random_views_of_random_arrays)
{
    run(base_random, 1000, 30000);
    expect_rules(&session);
}

Test(graph_view, random_views_of_constants)
{
    run(base_const, 300, 40000);
    expect_rules(&session);
}

static tess_array *
matrix(void)
{
    return tess_from_memory(&session, memory, TESS_I64, TESS_SHAPE(10, 6), NULL, TESS_CHUNKS(4, 4));
}

Test(graph_view, what_changes_nothing_is_the_operand)
{
    tess_array *x = matrix();
    cr_assert(tess_slice(x, TESS_INDEX(TESS_WHOLE, TESS_WHOLE)) == x);
    cr_assert(tess_slice(x, (tess_indices){.count = 0}) == x);
    cr_assert(tess_slice(x, TESS_INDEX(TESS_RANGE(0, 100, 1))) == x);
    cr_assert(tess_transpose(x, TESS_ORDER(0, 1)) == x);
    cr_assert(tess_transpose(tess_transpose(x, TESS_REVERSED), TESS_REVERSED) == x);
    cr_assert(tess_rechunk(x, TESS_CHUNKS(4, 4)) == x);
    cr_assert(tess_rechunk(tess_rechunk(x, TESS_CHUNKS_NONE), TESS_CHUNKS(4, 4)) == x);
    cr_assert(tess_broadcast_to(x, TESS_SHAPE(10, 6)) == x);
    const tess_indices backwards = TESS_INDEX(TESS_RANGE(TESS_OPEN, TESS_OPEN, -1));
    tess_array *reversed = tess_slice(x, backwards);
    cr_assert(reversed != x);
    EXPECT_CHUNKS(reversed, 0, 2, 4, 4);
    cr_assert(tess_slice(reversed, backwards) == x);
    expect_rules(&session);
}

Test(graph_view, kinds_of_results)
{
    tess_array *r = base_random(TESS_SHAPE(8, 5), TESS_CHUNKS(3, 3));
    tess_array *part = tess_slice(r, TESS_INDEX(TESS_RANGE(7, 1, -2), TESS_AT(-1)));
    cr_assert_eq(part->kind, TSI_NODE_SOURCE);
    cr_assert_eq(part->source.first, 7 * 5 + 4);
    cr_assert_eq(part->source.step[0], -10);
    cr_assert_eq(part->source.params.stream, r->source.params.stream);
    cr_assert_eq(tess_rechunk(r, TESS_CHUNKS_NONE)->kind, TSI_NODE_SOURCE);
    tess_array *many = tess_broadcast_to(r, TESS_SHAPE(4, 8, 5));
    cr_assert_eq(many->kind, TSI_NODE_VIEW, "making it four times costs more than keeping it");
    cr_assert(tess_slice(many, TESS_INDEX(TESS_AT(2))) == r);
    cr_assert_eq(tess_broadcast_to(r, TESS_SHAPE(2, 8, 5))->kind, TSI_NODE_VIEW);
    cr_assert_eq(tess_broadcast_to(r, TESS_SHAPE(1, 8, 5))->kind, TSI_NODE_SOURCE);
    tess_array *a = tess_arange(&session, 0, 5, 1, TESS_CHUNKS(2), TESS_I64);
    cr_assert_eq(tess_broadcast_to(a, TESS_SHAPE(4, 5))->kind, TSI_NODE_SOURCE);
    cr_assert_eq(tess_transpose(matrix(), TESS_REVERSED)->kind, TSI_NODE_VIEW);
    tess_array *c = tess_broadcast_to(tess_scalar_int(&session, 3), TESS_SHAPE(2, 2));
    cr_assert_eq(c->kind, TSI_NODE_CONST);
    cr_assert(!c->weak);
    expect_rules(&session);
}

Test(graph_view, closed_forms)
{
    const double large = 1e15;
    tess_array *x = tess_arange(&session, 0, large, 1, TESS_CHUNKS(1000), TESS_F64);
    const int64_t size = (int64_t)large;
    const struct {
        tess_index index;
        int64_t count, first, second, last;
    } cases[] = {
        {TESS_RANGE(1, TESS_OPEN, 1), size / 1000, 999, 1000, 1000},
        {TESS_RANGE(1500, -1500, 1), size / 1000 - 2, 500, 1000, 500},
        {TESS_RANGE(TESS_OPEN, TESS_OPEN, -1), size / 1000, 1000, 1000, 1000},
        {TESS_RANGE(-2, TESS_OPEN, -1), size / 1000, 999, 1000, 1000},
        {TESS_RANGE(3, TESS_OPEN, 10), size / 1000, 100, 100, 100},
        {TESS_RANGE(999, TESS_OPEN, 10), size / 1000, 1, 100, 100},
        {TESS_RANGE(-7, TESS_OPEN, -500), size / 1000, 2, 2, 2},
        {TESS_RANGE(0, TESS_OPEN, 5000), size / 5000, 1, 1, 1},
        {TESS_RANGE(TESS_OPEN, TESS_OPEN, -1000), size / 1000, 1, 1, 1},
        // Too many uneven chunks to list: the cut is near that of the operand.
        {TESS_RANGE(0, TESS_OPEN, 7), 999000999001, 143, 143, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tess_array *y = tess_slice(x, TESS_INDEX(cases[i].index));
        cr_assert_eq(y->status, TESS_OK, "%s", y->error);
        const int64_t count = tess_array_chunk_count(y, 0);
        cr_assert(y->grid.axis[0].bounds == NULL, "case %zu", i);
        if (cases[i].last == 0) {
            cr_assert(count > size / 1100 && count <= size / 1000, "%" PRId64, count);
            continue;
        }
        cr_assert_eq(count, cases[i].count, "case %zu: %" PRId64, i, count);
        cr_assert_eq(tess_array_chunk_size(y, 0, 0), cases[i].first, "case %zu", i);
        cr_assert_eq(tess_array_chunk_size(y, 0, 1), cases[i].second, "case %zu", i);
        cr_assert_eq(tess_array_chunk_size(y, 0, count - 1), cases[i].last, "case %zu", i);
    }
    expect_rules(&session);
}

Test(graph_view, extreme_indices)
{
    tess_array *x = tess_zeros(&session, TESS_SHAPE(INT64_MAX), TESS_CHUNKS_NONE, TESS_BOOL);
    const int64_t most = INT64_MAX;
    expect_sound(tess_slice(x, TESS_INDEX(TESS_RANGE(TESS_OPEN, TESS_OPEN, INT64_MIN))), TESS_BOOL,
                 TESS_SHAPE(1));
    expect_sound(tess_slice(x, TESS_INDEX(TESS_RANGE(TESS_OPEN, TESS_OPEN, INT64_MAX))), TESS_BOOL,
                 TESS_SHAPE(1));
    expect_sound(tess_slice(x, TESS_INDEX(TESS_RANGE(-most, most, 2))), TESS_BOOL,
                 TESS_SHAPE(most / 2 + 1));
    expect_sound(tess_slice(x, TESS_INDEX(TESS_RANGE(most, INT64_MIN + 1, -1))), TESS_BOOL,
                 TESS_SHAPE(most - 1));
    expect_sound(tess_slice(x, TESS_INDEX(TESS_AT(-most))), TESS_BOOL, TESS_SCALAR_SHAPE);
    EXPECT_FAILED(tess_slice(x, TESS_INDEX(TESS_AT(INT64_MIN))), TESS_EINDEX, "slice: (");
    expect_rules(&session);
}

Test(graph_view, broadcast_cuts)
{
    const int64_t sizes[] = {1, 3, 1};
    tess_array *x = tess_zeros(&session, TESS_SHAPE(5, 1),
                               tess_chunks_list(TESS_CHUNKS(1, 1), 0, sizes, 3), TESS_F64);
    tess_array *y = tess_broadcast_to(x, TESS_SHAPE(2, 5, 3000000));
    EXPECT_CHUNKS(y, 1, 1, 3, 1);
    cr_assert_eq(tess_array_chunk_count(y, 0), 1);
    cr_assert_eq(tess_array_chunk_size(y, 2, 0), 349525);
    expect_rules(&session);
}

Test(graph_view, wrong_slices)
{
    tess_array *x = matrix();
    EXPECT_FAILED(tess_slice(x, TESS_INDEX(TESS_AT(10))), TESS_EINDEX, "slice: (10, 6)", "index 10",
                  "axis 0 of size 10");
    EXPECT_FAILED(tess_slice(x, TESS_INDEX(TESS_WHOLE, TESS_AT(-7))), TESS_EINDEX, "index -7",
                  "axis 1");
    EXPECT_FAILED(tess_slice(x, TESS_INDEX(TESS_RANGE(0, 5, 0))), TESS_EINDEX, "slice: (10, 6)",
                  "step of 0");
    EXPECT_FAILED(tess_slice(x, TESS_INDEX(TESS_AT(0), TESS_AT(0), TESS_AT(0))), TESS_EAXIS,
                  "slice: (10, 6)", "2 axes");
    EXPECT_FAILED(tess_slice(x, TESS_INDEX(((tess_index){7, 0, 0, 0}))), TESS_EINVAL,
                  "slice: (10, 6)", "7 is no kind");
    tess_indices indices = {.count = -1};
    EXPECT_FAILED(tess_slice(x, indices), TESS_EINVAL, "slice: (10, 6)", "-1 indices");
    indices.count = 2 * TESS_NDIM_MAX + 1;
    EXPECT_FAILED(tess_slice(x, indices), TESS_EINVAL, "33 indices");
    for (int i = 0; i < 15; i++) {
        indices.index[i] = TESS_NEWAXIS;
    }
    indices.count = 15;
    EXPECT_FAILED(tess_slice(x, indices), TESS_ESHAPE, "slice: (10, 6)", "more than 16");
    indices.count = 14;
    cr_assert_eq(tess_array_shape(tess_slice(x, indices)).ndim, 16);
    indices.index[14] = TESS_AT(0);
    indices.count = 15;
    cr_assert_eq(tess_array_shape(tess_slice(x, indices)).ndim, 15);
    tess_array *empty = tess_zeros(&session, TESS_SHAPE(0), TESS_CHUNKS(1), TESS_F32);
    EXPECT_FAILED(tess_slice(empty, TESS_INDEX(TESS_AT(0))), TESS_EINDEX, "slice: (0,)");
    expect_rules(&session);
}

Test(graph_view, wrong_transposes)
{
    tess_array *x = matrix();
    EXPECT_FAILED(tess_transpose(x, TESS_ORDER(0)), TESS_EAXIS, "transpose: (10, 6)", "1 axes");
    EXPECT_FAILED(tess_transpose(x, TESS_ORDER(0, 2)), TESS_EAXIS, "transpose: (10, 6)", "axis 2");
    EXPECT_FAILED(tess_transpose(x, TESS_ORDER(0, -3)), TESS_EAXIS, "axis -3");
    EXPECT_FAILED(tess_transpose(x, TESS_ORDER(1, -1)), TESS_EAXIS, "axis -1 is named twice");
    EXPECT_FAILED(tess_transpose(x, (tess_order){.ndim = -5}), TESS_EAXIS, "-5 axes");
    expect_rules(&session);
}

Test(graph_view, wrong_broadcasts_and_cuts)
{
    tess_array *x = matrix();
    EXPECT_FAILED(tess_broadcast_to(x, TESS_SHAPE(10, 7)), TESS_ESHAPE,
                  "broadcast_to: (10, 6) does not fit (10, 7)");
    EXPECT_FAILED(tess_broadcast_to(x, TESS_SHAPE(6)), TESS_ESHAPE,
                  "broadcast_to: (10, 6) does not fit (6,)");
    EXPECT_FAILED(tess_broadcast_to(x, TESS_SHAPE(-1, 10, 6)), TESS_ESHAPE, "broadcast_to: (10, 6)",
                  "(-1, 10, 6)");
    EXPECT_FAILED(tess_broadcast_to(x, TESS_SHAPE(INT64_MAX, 10, 6)), TESS_EOVERFLOW,
                  "broadcast_to: (10, 6)");
    tess_shape many = {.ndim = 17};
    EXPECT_FAILED(tess_broadcast_to(x, many), TESS_ESHAPE, "17 axes");
    EXPECT_FAILED(tess_rechunk(x, TESS_CHUNKS(3)), TESS_ECHUNKS,
                  "rechunk: (10, 6) in chunks of (3,)");
    EXPECT_FAILED(tess_rechunk(x, TESS_CHUNKS(3, -4)), TESS_ECHUNKS, "rechunk: (10, 6)");
    expect_rules(&session);
}
