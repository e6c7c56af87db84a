// SPDX-License-Identifier: Apache-2.0
//
// Sums and means of sums of multiples or squares, and chains over rows with a step: operands that
// are dense, slices, transposes, broadcasts and the caller's memory with awkward strides, in shapes
// around the sizes of tiles and of short rows, against the oracle. Elements are small whole
// numbers, so that sums are exact in any order.

#include "tests/support/api.h"

#define SIDE 400

// Numbers of float32 and of float64: dense, and in rows of SIDE with a byte between them.
struct memory {
    char *plain[2];
    char *odd[2];
};

struct dice {
    uint64_t state;
};

static int64_t
roll(struct dice *dice, int64_t bound)
{
    dice->state = dice->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int64_t)((dice->state >> 33) % (uint64_t)bound);
}

// A side × side operand that is all but plain, cut by `chunks`.
static tess_array *
operand(struct dice *dice, tess_session *session, const struct memory *memory, tess_dtype dtype,
        int64_t rows, int64_t columns, tess_chunks chunks)
{
    const int64_t bytes = (int64_t)tess_dtype_bytes(dtype);
    const char *from = memory->plain[dtype == TESS_F64];
    const int64_t wide[2] = {SIDE * 2 * bytes, bytes};
    const int64_t odd[2] = {SIDE * bytes + 1, bytes};
    const int64_t backward[2] = {-SIDE * 2 * bytes, bytes};
    const int64_t second[2] = {SIDE * 2 * bytes, 2 * bytes};
    const int64_t turned[2] = {bytes, SIDE * 2 * bytes};
    const tess_shape shape = TESS_SHAPE(rows, columns);
    switch (roll(dice, 7)) {
    case 0:
        return tess_from_memory(session, from, dtype, shape, NULL, chunks);
    case 1:
        return tess_from_memory(session, memory->odd[dtype == TESS_F64], dtype, shape, odd, chunks);
    case 2:
        from += (rows > 0 ? rows - 1 : 0) * SIDE * 2 * bytes;
        return tess_from_memory(session, from, dtype, shape, backward, chunks);
    case 3:
        return tess_from_memory(session, from, dtype, shape, second, chunks);
    case 4:
        return tess_from_memory(session, from, dtype, shape, turned, chunks);
    case 5:
        return tess_broadcast_to(
            tess_from_memory(session, from, dtype, TESS_SHAPE(columns), NULL, TESS_CHUNKS_AUTO),
            shape);
    default:
        return tess_from_memory(session, from, dtype, shape, wide, chunks);
    }
}

static tess_array *
chain(struct dice *dice, tess_session *session, tess_dtype dtype, tess_array *a, tess_array *b)
{
    tess_array *two = tess_cast(tess_scalar(session, 2.0), dtype);
    tess_array *three = tess_cast(tess_scalar(session, -3.0), dtype);
    switch (roll(dice, 12)) {
    case 0:
        return a;
    case 1:
        return tess_add(a, b);
    case 2:
        return tess_subtract(a, b);
    case 3:
        return tess_multiply(two, a);
    case 4:
        return tess_subtract(tess_multiply(two, a), tess_multiply(b, three));
    case 5:
        return tess_add(tess_multiply(a, b), tess_multiply(two, b));
    case 6:
        return tess_add(tess_abs(a), b);
    case 7:
        return tess_multiply(a, a);
    case 8:
        return tess_add(tess_multiply(a, a), tess_multiply(b, b));
    case 9: {
        tess_array *c = tess_abs(a);
        return tess_add(tess_multiply(c, c), tess_multiply(b, b));
    }
    case 10:
        return tess_add(tess_multiply(a, a), tess_multiply(tess_multiply(a, a), b));
    default:
        return tess_add(tess_add(a, b), tess_multiply(a, two));
    }
}

static void
check_case(tess_session *session, const struct memory *memory, tess_dtype dtype, uint64_t seed)
{
    static const int64_t sizes[] = {0, 1, 3, 15, 16, 33, 64, 100, 130, SIDE};
    struct dice dice = {seed};
    char what[96];
    const int64_t rows = sizes[roll(&dice, 10)];
    const int64_t columns = sizes[roll(&dice, 10)];
    const tess_chunks chunks = TESS_CHUNKS(1 + roll(&dice, SIDE), 1 + roll(&dice, SIDE));
    tess_array *a = operand(&dice, session, memory, dtype, rows, columns, chunks);
    tess_array *b = operand(&dice, session, memory, dtype, rows, columns, chunks);
    tess_array *x = chain(&dice, session, dtype, a, b);
    snprintf(what, sizeof what, "seed %" PRIu64 " %s %" PRId64 "x%" PRId64, seed,
             tess_dtype_name(dtype), rows, columns);
    expect_oracle(what, x);
    expect_oracle(what, tess_sum(x, TESS_AXIS(0)));
    expect_oracle(what, tess_sum(x, TESS_AXIS(1)));
    expect_oracle(what, tess_sum(x, TESS_AXES_ALL));
    expect_near_oracle(what, tess_mean(x, TESS_AXIS(1)), (struct tolerance){2, 0, 0});
    expect_oracle(what, tess_sum(tess_transpose(x, TESS_REVERSED), TESS_AXIS(1)));
}

static void
fill_memory(struct memory *memory)
{
    const int64_t count = SIDE * SIDE * 4;
    for (int k = 0; k < 2; k++) {
        const size_t bytes = k == 0 ? sizeof(float) : sizeof(double);
        memory->plain[k] = malloc((size_t)count * bytes);
        memory->odd[k] = malloc(SIDE * (SIDE * bytes + 1));
        cr_assert(memory->plain[k] != NULL && memory->odd[k] != NULL);
        for (int64_t i = 0; i < count; i++) {
            const double wide = (double)(i * 7 % 61 - 30);
            const float narrow = (float)(i * 5 % 41 - 20);
            memcpy(memory->plain[k] + (size_t)i * bytes,
                   k == 0 ? (const void *)&narrow : (const void *)&wide, bytes);
        }
        for (size_t i = 0; i < SIDE; i++) {
            memcpy(memory->odd[k] + i * (SIDE * bytes + 1), memory->plain[k] + i * SIDE * bytes,
                   SIDE * bytes);
        }
    }
}

Test(linear, chains_over_any_operands_sum_as_the_oracle_does)
{
    struct memory memory;
    fill_memory(&memory);
    for (uint64_t seed = 1; seed <= 40; seed++) {
        tess_session *session = open_embedded(2);
        check_case(session, &memory, TESS_F64, seed);
        check_case(session, &memory, TESS_F32, seed);
        tess_session_close(session);
    }
    for (int k = 0; k < 2; k++) {
        free(memory.plain[k]);
        free(memory.odd[k]);
    }
}
