// SPDX-License-Identifier: Apache-2.0
//
// What a client serves of the caller's memory: nothing of a job that it does not have, not yet of
// one whose number it may be about to hear, and else copies, of which the ones used last stay up to
// a number of bytes.

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/pages.h"
#include "engine/runtime/remote.h"

#define MIB ((int64_t)1 << 20)
#define COPIES_BYTES_MAX ((uint64_t)256 << 20)

enum { JOB = 5, CHUNKS = 12 };

// An array of CHUNKS chunks of `bytes` each, whose chunk c has the byte c everywhere: the stride
// along a chunk is 0, so it is small.
struct held_case {
    struct tsi_remote remote;
    struct tsi_chunk_op op;
    struct tess_array array;
    unsigned char values[CHUNKS];
};

static void
start(struct held_case *c, int64_t bytes)
{
    const struct tsi_grid grid = {2, {tsi_axis_regular(CHUNKS, 1), tsi_axis_regular(bytes, bytes)}};
    *c = (struct held_case){.op = {.work = TSI_WORK_HELD, .dtype = TESS_U8, .task_base = 100}};
    c->op.loop = c->op.array = c->array.grid = grid;
    c->array.dtype = TESS_U8;
    c->array.memory.data = c->values;
    c->array.memory.stride[0] = 1;
    for (int i = 0; i < CHUNKS; i++) {
        c->values[i] = (unsigned char)(i + 1);
    }
}

static void
end(struct held_case *c, uint32_t job)
{
    tsi_remote_drop_copies(&c->remote, job);
    cr_assert(c->remote.copies.count == 0 && c->remote.bytes_copied == 0);
    tsi_vec_fini(&c->remote.copies);
}

// The copy of chunk `index`, without a reference.
static const struct tsi_buf *
take(struct held_case *c, uint32_t job, uint32_t index)
{
    struct tsi_buf *chunk =
        tsi_remote_held(&c->remote, tsi_key_of(job, 100 + index), &c->op, &c->array);
    cr_assert(chunk != NULL);
    cr_assert(chunk->data[0] == index + 1 && chunk->data[chunk->bytes - 1] == index + 1,
              "chunk %u has other bytes", index);
    tsi_buf_unref(chunk);
    return chunk;
}

static bool
has_copy(const struct held_case *c, uint32_t job, uint32_t index)
{
    for (size_t i = 0; i < c->remote.copies.count; i++) {
        if (c->remote.copies.items[i].key == tsi_key_of(job, 100 + index)) {
            return true;
        }
    }
    return false;
}

Test(remote_held, a_chunk_is_copied_once)
{
    struct held_case c;
    start(&c, 1000);
    const struct tsi_buf *chunk = take(&c, JOB, 3);
    c.values[3] = 77; // that this is not seen shows that nothing is copied again
    cr_assert(take(&c, JOB, 3) == chunk && c.remote.copies.count == 1);
    c.values[3] = 4;
    take(&c, JOB, 4);
    cr_assert(c.remote.copies.count == 2 && c.remote.bytes_copied == 2000);
    end(&c, JOB);
}

Test(remote_held, copies_go_with_their_job)
{
    struct held_case c;
    start(&c, 1000);
    take(&c, JOB, 0);
    take(&c, JOB + 1, 0);
    take(&c, JOB, 1);
    tsi_remote_drop_copies(&c.remote, JOB);
    cr_assert(c.remote.copies.count == 1 && c.remote.bytes_copied == 1000);
    cr_assert(has_copy(&c, JOB + 1, 0));
    end(&c, JOB + 1);
}

// Seven chunks of 40 MiB are more than may stay.
Test(remote_held, the_copies_used_last_stay_up_to_a_number_of_bytes)
{
    struct held_case c;
    start(&c, 40 * MIB);
    for (uint32_t i = 0; i < 6; i++) {
        take(&c, JOB, i);
    }
    take(&c, JOB, 0);
    cr_assert(c.remote.copies.count == 6);
    for (uint32_t i = 6; i < 11; i++) {
        take(&c, JOB, i);
        cr_assert(c.remote.bytes_copied <= COPIES_BYTES_MAX && c.remote.copies.count == 6);
        cr_assert(has_copy(&c, JOB, i) && !has_copy(&c, JOB, i - 5));
        cr_assert(has_copy(&c, JOB, 0), "chunk 0 was used after chunk 5");
    }
    take(&c, JOB, 11);
    cr_assert(c.remote.copies.count == 6 && !has_copy(&c, JOB, 0) && has_copy(&c, JOB, 6));
    end(&c, JOB);
}

// One that is larger than all may be stays alone until the next one comes.
Test(remote_held, the_copy_in_use_may_be_larger)
{
    struct held_case c;
    start(&c, 300 * MIB);
    take(&c, JOB, 0);
    take(&c, JOB, 1);
    cr_assert(c.remote.copies.count == 1 && has_copy(&c, JOB, 1));
    end(&c, JOB);
}

// Of chunks that were lent and are back the memory is taken for the next one of their size; of
// those that somebody still reads, or that were sent as bytes, it is not.
Test(remote_held, memory_of_a_copy_that_was_read_is_used_again)
{
    struct held_case c;
    start(&c, 3 * MIB);
    struct tsi_buf *first = (struct tsi_buf *)(uintptr_t)take(&c, JOB, 0);
    take(&c, JOB, 1);
    cr_assert(c.remote.copies.count == 2, "nobody has read it where it is");
    atomic_store(&first->was_lent, true);
    tsi_buf_ref(first);
    take(&c, JOB, 2);
    cr_assert(c.remote.copies.count == 3 && has_copy(&c, JOB, 0), "somebody still reads it");
    const unsigned char *pages = first->data;
    tsi_buf_unref(first);
    cr_assert(take(&c, JOB, 3)->data == pages);
    cr_assert(c.remote.copies.count == 3 && !has_copy(&c, JOB, 0));
    end(&c, JOB);
}

Test(remote_held, of_a_job_without_a_number_the_answer_comes_later)
{
    struct held_case c;
    struct tsi_remote_job job = {.number = 0};
    const char *text = NULL;
    start(&c, 1000);
    cr_assert(tsi_remote_lookup(&c.remote, tsi_key_of(JOB, 100), &text) == NULL);
    cr_assert(text != tsi_server_later && strstr(text, "does not hold") != NULL, "%s", text);
    cr_assert(tsi_vec_push(&c.remote.jobs, &job));
    cr_assert(tsi_remote_lookup(&c.remote, tsi_key_of(JOB, 100), &text) == NULL);
    cr_assert(text == tsi_server_later, "%s", text);
    // Its number is told: it is not the one that was asked for.
    job.number = JOB + 1;
    cr_assert(tsi_remote_lookup(&c.remote, tsi_key_of(JOB, 100), &text) == NULL);
    cr_assert(text != tsi_server_later, "%s", text);
    tsi_vec_fini(&c.remote.jobs);
}

Test(remote_held, of_a_job_with_a_number_the_chunk_comes)
{
    struct held_case c;
    start(&c, 1000);
    struct tsi_program program = {.ops = &c.op, .op_count = 1, .task_count = 100 + CHUNKS};
    struct tess_array *held[] = {&c.array};
    struct tess_future future = {.plan = {.program = &program, .held = held}};
    struct tsi_remote_job job = {.number = JOB, .future = &future};
    const char *text = NULL;
    cr_assert(tsi_vec_push(&c.remote.jobs, &job));
    struct tsi_buf *chunk = tsi_remote_lookup(&c.remote, tsi_key_of(JOB, 102), &text);
    cr_assert(chunk != NULL && chunk->bytes == 1000 && chunk->data[999] == 3);
    tsi_buf_unref(chunk);
    cr_assert(tsi_remote_lookup(&c.remote, tsi_key_of(JOB, 100 + CHUNKS), &text) == NULL);
    c.op.work = TSI_WORK_TILE;
    cr_assert(tsi_remote_lookup(&c.remote, tsi_key_of(JOB, 102), &text) == NULL);
    tsi_vec_fini(&c.remote.jobs);
    end(&c, JOB);
}
