// SPDX-License-Identifier: Apache-2.0
//
// How fast libsodium seals bytes and opens them again, as CURVE does with each frame: the rate when
// all threads do both and nothing else, so what encryption alone would let through.

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "bench/limit/limit.h"

#define PIECE ((int64_t)4 << 20)

static const char *const jobs[] = {"box", NULL};

struct work {
    int64_t size;
    int threads;
    unsigned char key[crypto_box_BEFORENMBYTES];
    int failed;
};

struct piece {
    unsigned char nonce[crypto_box_NONCEBYTES];
    unsigned char plain[PIECE];
    unsigned char sealed[PIECE + crypto_box_MACBYTES];
};

// The memory is made and written once a run, as large messages get memory of their own.
static struct piece *
make_piece(void)
{
    struct piece *piece = malloc(sizeof *piece);
    if (piece == NULL) {
        exit(limit_fail("out of memory"));
    }
    memset(piece, 1, sizeof *piece);
    return piece;
}

static void
run_part(void *state, int thread, int threads)
{
    struct work *work = state;
    const int64_t bytes = work->size * (int64_t)sizeof(double);
    const int64_t end = limit_part(bytes, PIECE, thread + 1, threads);
    struct piece *piece = make_piece();
    for (int64_t at = limit_part(bytes, PIECE, thread, threads); at < end; at += PIECE) {
        const unsigned long long count = (unsigned long long)(end - at < PIECE ? end - at : PIECE);
        piece->nonce[0]++;
        if (crypto_box_easy_afternm(piece->sealed, piece->plain, count, piece->nonce, work->key) !=
                0 ||
            crypto_box_open_easy_afternm(piece->plain, piece->sealed, count + crypto_box_MACBYTES,
                                         piece->nonce, work->key) != 0) {
            work->failed = 1;
        }
    }
    free(piece);
}

// Bytes a second.
static double
run(void *state)
{
    struct work *work = state;
    const double start = limit_now();
    limit_parallel(work->threads, run_part, work);
    const double seconds = limit_now() - start;
    return work->failed ? -1 : (double)work->size * sizeof(double) / seconds;
}

int
main(int argc, char **argv)
{
    static struct work work;
    unsigned char public_key[crypto_box_PUBLICKEYBYTES];
    unsigned char secret_key[crypto_box_SECRETKEYBYTES];
    int job;
    const int code = limit_arguments(argc, argv, jobs, &job, &work.size, &work.threads);
    if (code != 0) {
        return code;
    }
    if (sodium_init() < 0 || crypto_box_keypair(public_key, secret_key) != 0 ||
        crypto_box_beforenm(work.key, public_key, secret_key) != 0) {
        return limit_fail("libsodium cannot be used");
    }
    return limit_serve(run, &work);
}
