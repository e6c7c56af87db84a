// SPDX-License-Identifier: Apache-2.0
//
// What a session records, and arrays that could not be made.

#include <signal.h>

#include "tests/support/graph.h"

static struct tess_session session;
static struct tess_session other;

static void
set_up(void)
{
    cr_assert(tsi_session_init(&session, NULL));
    cr_assert(tsi_session_init(&other, NULL));
}

static void
tear_down(void)
{
    tsi_session_fini(&session);
    tsi_session_fini(&other);
}

TestSuite(graph_session, .init = set_up, .fini = tear_down);

static tess_array *
ones(int64_t rows, int64_t columns)
{
    return tess_ones(&session, TESS_SHAPE(rows, columns), TESS_CHUNKS_NONE, TESS_F64);
}

Test(graph_session, is_empty_at_first)
{
    cr_assert_eq(tess_session_status(&session), TESS_OK);
    cr_assert_str_eq(tess_session_error(&session), "");
    cr_assert_eq(tess_session_report(&session).tasks, 0);
    cr_assert_eq(session.options.struct_bytes, sizeof session.options);
    cr_assert_eq(session.options.seed, TESS_SEED_DEFAULT);
    expect_rules(&session);
}

Test(graph_session, null_has_answers)
{
    cr_assert_eq(tess_session_status(NULL), TESS_EINVAL);
    cr_assert(strstr(tess_session_error(NULL), "NULL") != NULL);
    cr_assert_eq(tess_session_report(NULL).elapsed_ns, 0);
    cr_assert_eq(tess_array_status(NULL), TESS_EINVAL);
    cr_assert(strstr(tess_array_error(NULL), "NULL") != NULL);
    cr_assert(tess_array_session(NULL) == NULL);
    cr_assert_eq(tess_array_dtype(NULL), TESS_NONE);
    cr_assert_eq(tess_array_shape(NULL).ndim, 0);
    cr_assert_eq(tess_array_count(NULL), 0);
    cr_assert_eq(tess_array_bytes(NULL), 0);
    cr_assert_eq(tess_array_chunk_count(NULL, 0), 0);
    cr_assert_eq(tess_array_chunks_total(NULL), 0);
    cr_assert_eq(tess_array_chunk_size(NULL, 0, 0), 0);
    expect_rules(&session);
}

Test(graph_session, takes_the_options_that_the_program_knows)
{
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.seed = 42;
    options.worker_timeout_ms = 7;
    options.threads = 3;
    options.struct_bytes = offsetof(tess_session_options, connect_timeout_ms);
    struct tess_session old;
    cr_assert(tsi_session_init(&old, &options));
    cr_assert_eq(old.options.seed, 42);
    cr_assert_eq(old.options.threads, 3);
    cr_assert_eq(old.options.worker_timeout_ms, 0, "a field beyond struct_bytes was read");
    tsi_session_fini(&old);

    options.struct_bytes = sizeof options + 1000;
    cr_assert(tsi_session_init(&old, &options));
    cr_assert_eq(old.options.worker_timeout_ms, 7);
    cr_assert_eq(old.options.struct_bytes, sizeof options);
    tsi_session_fini(&old);

    options.struct_bytes = 0;
    cr_assert(tsi_session_init(&old, &options));
    cr_assert_eq(old.options.seed, TESS_SEED_DEFAULT);
    tsi_session_fini(&old);
    expect_rules(&session);
}

Test(graph_session, keeps_the_last_message)
{
    tess_array *first = tess_add(ones(2, 3), ones(2, 4));
    EXPECT_FAILED(first, TESS_ESHAPE, "add: (2, 3) and (2, 4)", "3 and 4");
    cr_assert_str_eq(tess_session_error(&session), tess_array_error(first));
    char text[TSI_ERROR_TEXT_MAX];
    strcpy(text, tess_array_error(first));
    tess_array *second = tess_sum(ones(2, 3), TESS_AXIS(5));
    EXPECT_FAILED(second, TESS_EAXIS, "sum: (2, 3)", "axis 5");
    cr_assert_str_eq(tess_session_error(&session), tess_array_error(second));
    cr_assert_str_eq(tess_array_error(first), text);
    cr_assert(tess_array_session(first) == &session);
    cr_assert_eq(tess_session_status(&session), TESS_OK, "the session stays usable");
    cr_assert_eq(tess_array_status(ones(2, 3)), TESS_OK);
    expect_rules(&session);
}

struct heard {
    int count;
    tess_status status;
    char text[TSI_ERROR_TEXT_MAX];
};

static void
hear(void *user, tess_status status, const char *text)
{
    struct heard *heard = user;
    heard->count++;
    heard->status = status;
    strcpy(heard->text, text);
}

Test(graph_session, calls_back_once_for_each_mistake)
{
    struct heard heard = {0};
    session.options.on_error = hear;
    session.options.on_error_user = &heard;
    tess_array *bad = tess_add(ones(2, 3), ones(2, 4));
    cr_assert_eq(heard.count, 1);
    cr_assert_eq(heard.status, TESS_ESHAPE);
    cr_assert_str_eq(heard.text, tess_array_error(bad));
    tess_mean(tess_sqrt(bad), TESS_AXES_ALL);
    cr_assert_eq(heard.count, 1, "a failed operand is no new mistake");
    tess_add(NULL, ones(2, 3));
    cr_assert_eq(heard.count, 2);
    cr_assert_eq(heard.status, TESS_EINVAL);
    expect_rules(&session);
}

Test(graph_session, traps_if_asked, .signal = SIGTRAP)
{
    setenv("TESSERA_ERROR", "trap", 1);
    tess_add(ones(2, 3), ones(2, 4));
}

Test(graph_session, does_not_trap_otherwise)
{
    setenv("TESSERA_ERROR", "report", 1);
    cr_assert_eq(tess_array_status(tess_add(ones(2, 3), ones(2, 4))), TESS_ESHAPE);
    expect_rules(&session);
}

// Every public call that takes arrays, with the operand under test at each place.
typedef tess_array *operand_call(tess_array *x, tess_array *y);

#define CALL(name, expression)                                                                     \
    static tess_array *name(tess_array *x, tess_array *y)                                          \
    {                                                                                              \
        (void)y;                                                                                   \
        return expression;                                                                         \
    }
#define UNARY(name) CALL(call_##name, tess_##name(x))
#define BINARY(name) CALL(call_##name, tess_##name(x, y)) CALL(swap_##name, tess_##name(y, x))
#define FOLD(name) CALL(call_##name, tess_##name(x, TESS_AXIS(0)))
UNARY(negative)
UNARY(abs)
UNARY(sqrt)
UNARY(exp)
UNARY(log)
UNARY(sin)
UNARY(cos)
BINARY(add)
BINARY(subtract)
BINARY(multiply)
BINARY(divide)
BINARY(power)
BINARY(minimum)
BINARY(maximum)
BINARY(equal)
BINARY(not_equal)
BINARY(less)
BINARY(less_equal)
BINARY(greater)
BINARY(greater_equal)
BINARY(matmul)
CALL(call_where_0, tess_where(x, y, y))
CALL(call_where_1, tess_where(y, x, y))
CALL(call_where_2, tess_where(y, y, x))
CALL(call_cast, tess_cast(x, TESS_I8))
FOLD(sum)
FOLD(prod)
FOLD(mean)
CALL(call_var, tess_var(x, TESS_AXIS(0), 0))
CALL(call_std, tess_std(x, TESS_AXIS(0), 0))
FOLD(min)
FOLD(max)
FOLD(any)
FOLD(all)
FOLD(argmin)
FOLD(argmax)
CALL(call_slice, tess_slice(x, TESS_INDEX(TESS_AT(0))))
CALL(call_transpose, tess_transpose(x, TESS_REVERSED))
CALL(call_broadcast_to, tess_broadcast_to(x, TESS_SHAPE(2, 2, 2)))
CALL(call_rechunk, tess_rechunk(x, TESS_CHUNKS(1, 1)))

#define ONE(name)                                                                                  \
    {                                                                                              \
        "tess_" #name, call_##name, false                                                          \
    }
#define TWO(name)                                                                                  \
    {"tess_" #name, call_##name, true},                                                            \
    {                                                                                              \
        "tess_" #name " (second)", swap_##name, true                                               \
    }
static const struct {
    const char *name;
    operand_call *call;
    bool is_binary;
} calls[] = {
    ONE(negative),  ONE(abs),     ONE(sqrt),       ONE(exp),          ONE(log),
    ONE(sin),       ONE(cos),     TWO(add),        TWO(subtract),     TWO(multiply),
    TWO(divide),    TWO(power),   TWO(minimum),    TWO(maximum),      TWO(equal),
    TWO(not_equal), TWO(less),    TWO(less_equal), TWO(greater),      TWO(greater_equal),
    TWO(matmul),    ONE(where_0), ONE(where_1),    ONE(where_2),      ONE(cast),
    ONE(sum),       ONE(prod),    ONE(mean),       ONE(var),          ONE(std),
    ONE(min),       ONE(max),     ONE(any),        ONE(all),          ONE(argmin),
    ONE(argmax),    ONE(slice),   ONE(transpose),  ONE(broadcast_to), ONE(rechunk),
};
enum { CALLS = sizeof calls / sizeof calls[0] };

Test(graph_session, a_null_operand_gives_a_failed_array)
{
    for (int i = 0; i < CALLS; i++) {
        tess_array *sound = ones(2, 2);
        tess_array *array = calls[i].call(NULL, sound);
        cr_assert(array != NULL, "%s", calls[i].name);
        cr_assert_eq(tess_array_status(array), TESS_EINVAL, "%s", calls[i].name);
        cr_assert_eq(tess_array_status(calls[i].call(NULL, NULL)), TESS_EINVAL, "%s",
                     calls[i].name);
        cr_assert_eq(tess_array_status(sound), TESS_OK);
    }
    expect_rules(&session);
}

Test(graph_session, a_null_operand_is_named_where_an_operand_has_a_session)
{
    tess_array *array = tess_add(NULL, ones(2, 2));
    cr_assert(strstr(tess_array_error(array), "add: operand 0 is NULL") != NULL, "%s",
              tess_array_error(array));
    cr_assert_str_eq(tess_array_error(array), tess_session_error(&session));
    expect_rules(&session);
}

Test(graph_session, a_failed_operand_is_returned_itself)
{
    tess_array *first = tess_sum(ones(2, 2), TESS_AXIS(7));
    tess_array *second = tess_sum(ones(2, 2), TESS_AXIS(8));
    for (int i = 0; i < CALLS; i++) {
        cr_assert(calls[i].call(first, ones(2, 2)) == first, "%s", calls[i].name);
    }
    cr_assert(tess_add(first, second) == first);
    cr_assert(tess_add(second, first) == second);
    cr_assert(tess_add(first, NULL) == first, "the leftmost wins");
    cr_assert_eq(tess_array_status(tess_add(NULL, first)), TESS_EINVAL);
    cr_assert(tess_where(ones(2, 2), second, first) == second);
    expect_rules(&session);
}

Test(graph_session, operands_of_two_sessions_do_not_meet)
{
    tess_array *foreign = tess_ones(&other, TESS_SHAPE(2, 2), TESS_CHUNKS_NONE, TESS_F64);
    for (int i = 0; i < CALLS; i++) {
        if (calls[i].is_binary || strncmp(calls[i].name, "tess_where", 10) == 0) {
            tess_array *array = calls[i].call(foreign, ones(2, 2));
            cr_assert_eq(tess_array_status(array), TESS_ESESSION, "%s", calls[i].name);
            cr_assert(strstr(tess_array_error(array), "different sessions") != NULL);
        }
    }
    EXPECT_FAILED(tess_add(ones(2, 2), foreign), TESS_ESESSION, "add: ");
    expect_rules(&session);
}

typedef tess_array *source_call(tess_session *s);
#define SOURCE(name, ...)                                                                          \
    static tess_array *source_##name(tess_session *s)                                              \
    {                                                                                              \
        return tess_##name(s, __VA_ARGS__);                                                        \
    }
SOURCE(zeros, TESS_SHAPE(3), TESS_CHUNKS(2), TESS_F32)
SOURCE(ones, TESS_SHAPE(3), TESS_CHUNKS(2), TESS_F32)
SOURCE(full, TESS_SHAPE(3), TESS_CHUNKS(2), TESS_F32, 1.5)
SOURCE(full_int, TESS_SHAPE(3), TESS_CHUNKS(2), TESS_F32, 2)
SOURCE(scalar, 1.5)
SOURCE(scalar_int, 2)
SOURCE(arange, 0, 3, 1, TESS_CHUNKS(2), TESS_F32)
SOURCE(linspace, 0, 3, 3, TESS_CHUNKS(2), TESS_F32)
SOURCE(eye, 3, 3, 0, TESS_CHUNKS_EACH(2), TESS_F32)
SOURCE(from_memory, "abcdef", TESS_U8, TESS_SHAPE(3), NULL, TESS_CHUNKS(2))
SOURCE(load_npy, "/nowhere.npy", TESS_CHUNKS_AUTO)
SOURCE(random_normal, TESS_SHAPE(3), TESS_CHUNKS(2), 0, 1)
SOURCE(random_standard_normal, TESS_SHAPE(3), TESS_CHUNKS(2), TESS_F32)
SOURCE(random_uniform, TESS_SHAPE(3), TESS_CHUNKS(2), 0, 1)
SOURCE(random_integers, TESS_SHAPE(3), TESS_CHUNKS(2), TESS_I32, 0, 9)

static source_call *const sources[] = {
    source_zeros,
    source_ones,
    source_full,
    source_full_int,
    source_scalar,
    source_scalar_int,
    source_arange,
    source_linspace,
    source_eye,
    source_from_memory,
    source_load_npy,
    source_random_normal,
    source_random_standard_normal,
    source_random_uniform,
    source_random_integers,
};
enum { SOURCES = sizeof sources / sizeof sources[0] };

Test(graph_session, null_and_failed_sessions_make_failed_arrays)
{
    struct heard heard = {0};
    tess_array *sound = ones(2, 2);
    session.options.on_error = hear;
    session.options.on_error_user = &heard;
    session.status = tsi_session_fail(&session, TESS_ECLOSED, "the session is closed");
    for (int i = 0; i < SOURCES; i++) {
        cr_assert_eq(tess_array_status(sources[i](NULL)), TESS_EINVAL, "source %d", i);
        tess_array *array = sources[i](&session);
        cr_assert_eq(tess_array_status(array), TESS_ECLOSED, "source %d", i);
        cr_assert_str_eq(tess_array_error(array), "the session is closed");
    }
    for (int i = 0; i < CALLS; i++) {
        tess_array *array = calls[i].call(sound, sound);
        cr_assert_eq(tess_array_status(array), TESS_ECLOSED, "%s", calls[i].name);
    }
    cr_assert_eq(heard.count, 1, "one mistake, told once");
    session.status = TESS_OK;
    expect_rules(&session);
}

Test(graph_session, a_session_without_memory_makes_no_nodes)
{
    struct tess_session none = {.status = TESS_ENOMEM, .error = "session: out of memory"};
    for (int i = 0; i < SOURCES; i++) {
        cr_assert_eq(tess_array_status(sources[i](&none)), TESS_ENOMEM);
    }
    cr_assert(none.arena.blocks == NULL, "it is shared, so nothing is kept in it");
    expect_rules(&session);
}

Test(graph_session, long_messages_keep_the_place)
{
    tess_shape shape = {.ndim = TESS_NDIM_MAX};
    for (int i = 0; i < TESS_NDIM_MAX; i++) {
        shape.size[i] = i == 0 ? 0 : 3;
    }
    shape.size[1] = 100000000;
    tess_array *x = tess_zeros(&session, shape, TESS_CHUNKS_NONE, TESS_U8);
    shape.size[1] = 100000001;
    tess_array *y = tess_zeros(&session, shape, TESS_CHUNKS_NONE, TESS_U8);
    EXPECT_FAILED(tess_where(x, x, y), TESS_ESHAPE, "where: (0, 100000000, 3");
    expect_rules(&session);
}
