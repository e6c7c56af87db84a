// SPDX-License-Identifier: Apache-2.0
//
// Sources: constants, numbers that follow from their index, memory and files.

#include "tessera/create.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/limits.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/graph/cast.h"
#include "engine/graph/chunks.h"
#include "engine/graph/create.h"

struct tess_array *
tsi_create_bad(struct tess_session *session, const char *name, tess_dtype dtype)
{
    struct tess_array *bad = tsi_node_bad_session(session, name);
    if (bad == NULL && !tsi_dtype_is_valid((int)dtype)) {
        bad = tsi_node_fail(session, TESS_EDTYPE, name, "%d is no dtype", (int)dtype);
    }
    return bad;
}

struct tess_array *
tsi_create_cut(struct tess_session *session, const struct tess_shape *shape,
               const struct tess_chunks *chunks, enum tsi_chunks_way way, struct tsi_arena *scratch,
               struct tess_array *draft)
{
    struct tsi_error error;
    const tess_status status =
        tsi_chunks_grid(scratch, shape, chunks, draft->dtype, way, &draft->grid, &error);
    return status == TESS_OK ? NULL : tsi_node_fail(session, status, draft->name, "%s", error.text);
}

void
tsi_create_steps(const struct tsi_grid *grid, int64_t unit, int64_t step[TESS_NDIM_MAX])
{
    memset(step, 0, TESS_NDIM_MAX * sizeof step[0]);
    for (int i = grid->ndim - 1; i >= 0; i--) {
        if (grid->axis[i].size > 1) {
            step[i] = unit;
            unit *= grid->axis[i].size;
        }
    }
}

struct tess_array *
tsi_create_node(struct tess_session *session, const struct tess_shape *shape,
                const struct tess_chunks *chunks, struct tess_array *draft)
{
    struct tsi_arena scratch;
    tsi_arena_init(&scratch);
    const enum tsi_chunks_way way = draft->kind != TSI_NODE_FILE       ? TSI_CHUNKS_EVEN
                                    : draft->file.header.fortran_order ? TSI_CHUNKS_FORTRAN_RUNS
                                                                       : TSI_CHUNKS_C_RUNS;
    struct tess_array *array = tsi_create_cut(session, shape, chunks, way, &scratch, draft);
    if (array == NULL) {
        if (draft->kind == TSI_NODE_SOURCE) {
            tsi_create_steps(&draft->grid, 1, draft->source.step);
        }
        array = tsi_node_make(session, draft);
    }
    tsi_arena_fini(&scratch);
    return array;
}

static struct tess_array *
constant(struct tess_session *session, const char *name, const struct tess_shape *shape,
         const struct tess_chunks *chunks, tess_dtype dtype, struct tsi_scalar value)
{
    struct tess_array draft = {
        .name = name,
        .kind = TSI_NODE_CONST,
        .dtype = dtype,
        .constant = value,
    };
    return tsi_create_node(session, shape, chunks, &draft);
}

static struct tess_array *
constant_int(struct tess_session *session, const char *name, const struct tess_shape *shape,
             const struct tess_chunks *chunks, tess_dtype dtype, int64_t value)
{
    struct tess_array *bad = tsi_create_bad(session, name, dtype);
    return bad != NULL
               ? bad
               : constant(session, name, shape, chunks, dtype, tsi_scalar_from_i64(dtype, value));
}

tess_array *(tess_zeros)(tess_session *session, tess_shape shape, tess_chunks chunks,
                         tess_dtype dtype)
{
    return constant_int(session, "zeros", &shape, &chunks, dtype, 0);
}

tess_array *(tess_ones)(tess_session *session, tess_shape shape, tess_chunks chunks,
                        tess_dtype dtype)
{
    return constant_int(session, "ones", &shape, &chunks, dtype, 1);
}

tess_array *(tess_full)(tess_session *session, tess_shape shape, tess_chunks chunks,
                        tess_dtype dtype, double value)
{
    struct tess_array *bad = tsi_create_bad(session, "full", dtype);
    return bad != NULL ? bad
                       : constant(session, "full", &shape, &chunks, dtype,
                                  tsi_scalar_from_f64(dtype, value));
}

tess_array *(tess_full_int)(tess_session *session, tess_shape shape, tess_chunks chunks,
                            tess_dtype dtype, int64_t value)
{
    return constant_int(session, "full_int", &shape, &chunks, dtype, value);
}

static struct tess_array *
weak_scalar(struct tess_session *session, const char *name, tess_dtype dtype,
            struct tsi_scalar value)
{
    struct tess_array *bad = tsi_node_bad_session(session, name);
    const struct tess_array draft = {
        .name = name,
        .kind = TSI_NODE_CONST,
        .dtype = dtype,
        .weak = true,
        .constant = value,
    };
    return bad != NULL ? bad : tsi_node_make(session, &draft);
}

tess_array *(tess_scalar)(tess_session *session, double value)
{
    return weak_scalar(session, "scalar", TESS_F64, tsi_scalar_from_f64(TESS_F64, value));
}

tess_array *(tess_scalar_int)(tess_session *session, int64_t value)
{
    return weak_scalar(session, "scalar_int", TESS_I64, tsi_scalar_from_i64(TESS_I64, value));
}

static int64_t
cut_to_whole(double value)
{
    return (int64_t)tsi_scalar_from_f64(TESS_I64, value).bits;
}

// The number of values from `start` in steps of `step` below `stop`, in `*count`; a failed array if
// there is none.
static struct tess_array *
arange_count(struct tess_session *session, double start, double stop, double step, int64_t *count)
{
    if (step == 0 || !isfinite(step) || isnan(start) || isnan(stop)) {
        return tsi_node_fail(session, TESS_EINVAL, "arange", "from %g to %g in steps of %g", start,
                             stop, step);
    }
    const double wanted = ceil((stop - start) / step);
    if (isnan(wanted) || wanted >= 0x1p63) {
        return tsi_node_fail(session, TESS_EOVERFLOW, "arange",
                             "from %g to %g in steps of %g: more elements than fit 64 bits", start,
                             stop, step);
    }
    *count = wanted > 0 ? (int64_t)wanted : 0;
    return NULL;
}

tess_array *(tess_arange)(tess_session *session, double start, double stop, double step,
                          tess_chunks chunks, tess_dtype dtype)
{
    int64_t count = 0;
    struct tess_array *bad = tsi_create_bad(session, "arange", dtype);
    if (bad == NULL) {
        bad = arange_count(session, start, stop, step, &count);
    }
    if (bad != NULL) {
        return bad;
    }
    struct tess_array draft = {
        .name = "arange",
        .kind = TSI_NODE_SOURCE,
        .dtype = dtype,
        .source = {.source = TSI_SOURCE_ARANGE},
    };
    struct tsi_source_params *params = &draft.source.params;
    if (tsi_dtype_kind(dtype) == TSI_KIND_FLOAT || dtype == TESS_BOOL) {
        params->a = start;
        params->b = step;
    } else {
        params->ia = cut_to_whole(start);
        params->ib = cut_to_whole(step);
    }
    const struct tess_shape shape = {1, {count}};
    return tsi_create_node(session, &shape, &chunks, &draft);
}

tess_array *(tess_linspace)(tess_session *session, double start, double stop, int64_t count,
                            tess_chunks chunks, tess_dtype dtype)
{
    struct tess_array *bad = tsi_create_bad(session, "linspace", dtype);
    if (bad != NULL) {
        return bad;
    }
    // The last value is given as it is; a single one is the first.
    struct tess_array draft = {
        .name = "linspace",
        .kind = TSI_NODE_SOURCE,
        .dtype = dtype,
        .source = {.source = TSI_SOURCE_LINSPACE,
                   .params = {.a = start,
                              .b = count > 1 ? stop : start,
                              .c = count > 1 ? (stop - start) / (double)(count - 1) : 0.0,
                              .ia = count > 1 ? count - 1 : 0}},
    };
    const struct tess_shape shape = {1, {count}};
    return tsi_create_node(session, &shape, &chunks, &draft);
}

tess_array *(tess_eye)(tess_session *session, int64_t rows, int64_t columns, int64_t diagonal,
                       tess_chunks chunks, tess_dtype dtype)
{
    struct tess_array *bad = tsi_create_bad(session, "eye", dtype);
    if (bad != NULL) {
        return bad;
    }
    struct tess_array draft = {.name = "eye", .kind = TSI_NODE_SOURCE, .dtype = dtype};
    struct tsi_arena scratch;
    tsi_arena_init(&scratch);
    const struct tess_shape shape = {2, {rows, columns}};
    struct tess_array *array =
        tsi_create_cut(session, &shape, &chunks, TSI_CHUNKS_EVEN, &scratch, &draft);
    if (array == NULL) {
        draft.source.source = TSI_SOURCE_EYE;
        draft.source.step[0] = rows > 1 ? -1 : 0;
        draft.source.step[1] = columns > 1 ? 1 : 0;
        draft.source.params.ia = diagonal;
        array = tsi_node_make(session, &draft);
    }
    tsi_arena_fini(&scratch);
    return array;
}

// Fills the strides of `memory`, given ones or those of C order. False if an element would lie
// farther away than addresses reach.
static bool
set_strides(struct tsi_node_memory *memory, const struct tsi_grid *grid, tess_dtype dtype,
            const int64_t *strides)
{
    if (strides == NULL) {
        tsi_create_steps(grid, (int64_t)tess_dtype_bytes(dtype), memory->stride);
        return true;
    }
    int64_t farthest = 0;
    for (int i = 0; i < grid->ndim; i++) {
        if (grid->axis[i].size > 1) {
            int64_t reach = 0;
            const bool fits = strides[i] != INT64_MIN &&
                              tsi_mul_i64(grid->axis[i].size - 1,
                                          strides[i] < 0 ? -strides[i] : strides[i], &reach) &&
                              tsi_add_i64(farthest, reach, &farthest);
            if (!fits) {
                return false;
            }
            memory->stride[i] = strides[i];
        }
    }
    return true;
}

// Fills draft->memory; a failed array if the memory cannot be, else NULL.
static struct tess_array *
set_memory(struct tess_session *session, const void *data, const int64_t *strides,
           struct tess_array *draft)
{
    char text[TSI_SHAPE_TEXT_MAX];
    const struct tess_shape shape = tsi_grid_shape(&draft->grid);
    if (tsi_grid_element_count(&draft->grid) == 0) {
        return NULL;
    }
    if (data == NULL) {
        return tsi_node_fail(session, TESS_EINVAL, draft->name, "%s: the data is NULL",
                             tsi_text_shape(text, shape.ndim, shape.size));
    }
    draft->memory.data = data;
    if (!set_strides(&draft->memory, &draft->grid, draft->dtype, strides)) {
        return tsi_node_fail(session, TESS_EOVERFLOW, draft->name,
                             "%s: the strides do not fit 64 bits",
                             tsi_text_shape(text, shape.ndim, shape.size));
    }
    return NULL;
}

// The order of the axes by how far apart neighbours are; axes that repeat have no say. The shape
// may still be wrong: then there may be fewer strides than it has axes.
static enum tsi_chunks_way
way_of(const struct tess_shape *shape, const int64_t *strides)
{
    bool is_c = true;
    bool is_fortran = true;
    int64_t outer = 0;
    if (strides == NULL || shape->ndim < 0 || shape->ndim > TESS_NDIM_MAX) {
        return TSI_CHUNKS_C_RUNS;
    }
    for (int i = 0; i < shape->ndim; i++) {
        const int64_t stride = strides[i] < 0 && strides[i] != INT64_MIN ? -strides[i] : strides[i];
        if (shape->size[i] <= 1 || stride == 0) {
            continue;
        }
        is_c = is_c && (outer == 0 || stride <= outer);
        is_fortran = is_fortran && stride >= outer;
        outer = stride;
    }
    return is_c ? TSI_CHUNKS_C_RUNS : is_fortran ? TSI_CHUNKS_FORTRAN_RUNS : TSI_CHUNKS_EVEN;
}

tess_array *(tess_from_memory)(tess_session *session, const void *data, tess_dtype dtype,
                               tess_shape shape, const int64_t *strides, tess_chunks chunks)
{
    struct tess_array *bad = tsi_create_bad(session, "from_memory", dtype);
    if (bad != NULL) {
        return bad;
    }
    struct tess_array draft = {.name = "from_memory", .kind = TSI_NODE_MEMORY, .dtype = dtype};
    struct tsi_arena scratch;
    tsi_arena_init(&scratch);
    struct tess_array *array =
        tsi_create_cut(session, &shape, &chunks, way_of(&shape, strides), &scratch, &draft);
    if (array == NULL) {
        array = set_memory(session, data, strides, &draft);
    }
    if (array == NULL) {
        array = tsi_node_make(session, &draft);
    }
    tsi_arena_fini(&scratch);
    return array;
}

// The absolute path, since workers run in other directories, and the header behind it.
static tess_status
read_header(const char *path, char resolved[TSI_PATH_MAX], struct tsi_npy_header *header,
            struct tsi_error *error)
{
    if (path == NULL) {
        return tsi_error_set(error, TESS_EINVAL, "the path is NULL");
    }
    if (realpath(path, resolved) == NULL) {
        return tsi_error_set(error, errno == ENOMEM ? TESS_ENOMEM : TESS_EIO, "%s: %s", path,
                             strerror(errno));
    }
    return tsi_npy_read_header(resolved, header, error);
}

tess_array *(tess_load_npy)(tess_session *session, const char *path, tess_chunks chunks)
{
    struct tess_array *bad = tsi_node_bad_session(session, "load_npy");
    if (bad != NULL) {
        return bad;
    }
    char resolved[TSI_PATH_MAX];
    struct tsi_npy_header header = {.dtype = TESS_NONE};
    struct tsi_error error;
    const tess_status status = read_header(path, resolved, &header, &error);
    if (status != TESS_OK) {
        return tsi_node_fail(session, status, "load_npy", "%s", error.text);
    }
    struct tess_array draft = {
        .name = "load_npy",
        .kind = TSI_NODE_FILE,
        .dtype = header.dtype,
        .file = {.path = resolved, .header = header},
    };
    return tsi_create_node(session, &header.shape, &chunks, &draft);
}
