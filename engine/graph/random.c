// SPDX-License-Identifier: Apache-2.0
//
// Random arrays. Each sound call takes the next stream of the session; a call that fails takes
// none, so that correcting a wrong call elsewhere does not change the arrays made after it.

#include "tessera/random.h"

#include <inttypes.h>
#include <math.h>

#include "engine/base/text.h"
#include "engine/graph/cast.h"
#include "engine/graph/create.h"

static struct tess_array *
random_array(struct tess_session *session, const struct tess_shape *shape,
             const struct tess_chunks *chunks, const char *name, tess_dtype dtype,
             enum tsi_source source, struct tsi_source_params params)
{
    if (session->next_stream == UINT32_MAX) {
        return tsi_node_fail(session, TESS_ELIMIT, name,
                             "the session has made %" PRIu32 " random arrays", UINT32_MAX);
    }
    struct tess_array draft = {
        .name = name,
        .kind = TSI_NODE_SOURCE,
        .dtype = dtype,
        .source = {.source = source, .params = params},
    };
    draft.source.params.seed = session->options.seed;
    draft.source.params.stream = session->next_stream;
    struct tess_array *array = tsi_create_node(session, shape, chunks, &draft);
    if (array->status == TESS_OK) {
        session->next_stream++;
    }
    return array;
}

// The shape as text for messages; shapes that are none have their own message later.
static const char *
text_of(char out[TSI_SHAPE_TEXT_MAX], const struct tess_shape *shape)
{
    const int ndim = shape->ndim < 0 || shape->ndim > TESS_NDIM_MAX ? 0 : shape->ndim;
    return tsi_text_shape(out, ndim, shape->size);
}

tess_array *(tess_random_normal)(tess_session *session, tess_shape shape, tess_chunks chunks,
                                 double mean, double deviation)
{
    static const char name[] = "random_normal";
    char text[TSI_SHAPE_TEXT_MAX];
    struct tess_array *bad = tsi_node_bad_session(session, name);
    if (bad != NULL) {
        return bad;
    }
    if (!isfinite(mean) || !isfinite(deviation) || deviation < 0) {
        return tsi_node_fail(session, TESS_EINVAL, name, "%s: mean %g and deviation %g",
                             text_of(text, &shape), mean, deviation);
    }
    return random_array(session, &shape, &chunks, name, TESS_F64, TSI_SOURCE_NORMAL,
                        (struct tsi_source_params){.a = mean, .b = deviation});
}

tess_array *(tess_random_standard_normal)(tess_session *session, tess_shape shape,
                                          tess_chunks chunks, tess_dtype dtype)
{
    static const char name[] = "random_standard_normal";
    char text[TSI_SHAPE_TEXT_MAX];
    struct tess_array *bad = tsi_create_bad(session, name, dtype);
    if (bad != NULL) {
        return bad;
    }
    if (tsi_dtype_kind(dtype) != TSI_KIND_FLOAT) {
        return tsi_node_fail(session, TESS_EDTYPE, name, "%s: not defined for %s",
                             text_of(text, &shape), tess_dtype_name(dtype));
    }
    return random_array(session, &shape, &chunks, name, dtype, TSI_SOURCE_NORMAL,
                        (struct tsi_source_params){.a = 0.0, .b = 1.0});
}

tess_array *(tess_random_uniform)(tess_session *session, tess_shape shape, tess_chunks chunks,
                                  double low, double high)
{
    static const char name[] = "random_uniform";
    char text[TSI_SHAPE_TEXT_MAX];
    struct tess_array *bad = tsi_node_bad_session(session, name);
    if (bad != NULL) {
        return bad;
    }
    if (!isfinite(low) || !isfinite(high) || high < low) {
        return tsi_node_fail(session, TESS_EINVAL, name, "%s: from %g to %g", text_of(text, &shape),
                             low, high);
    }
    return random_array(session, &shape, &chunks, name, TESS_F64, TSI_SOURCE_UNIFORM,
                        (struct tsi_source_params){.a = low, .b = high});
}

// Whether every integer in [low, high) is one of `dtype`.
static bool
holds_range(tess_dtype dtype, int64_t low, int64_t high)
{
    const int bits = (int)(8 * tess_dtype_bytes(dtype));
    if (tsi_dtype_kind(dtype) == TSI_KIND_UNSIGNED) {
        return low >= 0 && (bits == 64 || high <= INT64_C(1) << bits);
    }
    const int64_t top = bits == 64 ? INT64_MAX : INT64_C(1) << (bits - 1);
    return bits == 64 || (low >= -top && high <= top);
}

tess_array *(tess_random_integers)(tess_session *session, tess_shape shape, tess_chunks chunks,
                                   tess_dtype dtype, int64_t low, int64_t high)
{
    static const char name[] = "random_integers";
    char text[TSI_SHAPE_TEXT_MAX];
    struct tess_array *bad = tsi_create_bad(session, name, dtype);
    if (bad != NULL) {
        return bad;
    }
    const enum tsi_dtype_kind kind = tsi_dtype_kind(dtype);
    if (kind != TSI_KIND_SIGNED && kind != TSI_KIND_UNSIGNED) {
        return tsi_node_fail(session, TESS_EDTYPE, name, "%s: %s is no integer type",
                             text_of(text, &shape), tess_dtype_name(dtype));
    }
    if (high <= low) {
        return tsi_node_fail(session, TESS_EINVAL, name,
                             "%s: no integers from %" PRId64 " to below %" PRId64,
                             text_of(text, &shape), low, high);
    }
    if (!holds_range(dtype, low, high)) {
        return tsi_node_fail(session, TESS_EDTYPE, name,
                             "%s: %s does not hold %" PRId64 " to below %" PRId64,
                             text_of(text, &shape), tess_dtype_name(dtype), low, high);
    }
    const int64_t length = (int64_t)((uint64_t)high - (uint64_t)low);
    return random_array(session, &shape, &chunks, name, dtype, TSI_SOURCE_INTEGERS,
                        (struct tsi_source_params){.ia = low, .ib = length});
}
