// SPDX-License-Identifier: Apache-2.0
//
// OpenBLAS called once for the whole product, with the kernels that are fastest on this processor:
// a build that chooses by itself can take those of an older one. Each kind is tried in a process of
// its own, since it is chosen when the library is loaded, and since one that the processor cannot
// run dies of it.

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/limit/limit.h"

#define TRIAL_SIZE 1000
#define TRIAL_REPEATS 3

enum { F64, F32 };
static const char *const jobs[] = {"f64", "f32", NULL};

struct work {
    int job;
    int64_t size;
    int threads;
    double *a;
    double *b;
    double *c;
};

// Floating-point operations a second.
static double
run(void *state)
{
    const struct work *work = state;
    const blasint n = (blasint)work->size;
    const double start = limit_now();
    if (work->job == F64) {
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1.0, work->a, n, work->b, n,
                    0.0, work->c, n);
    } else {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1.0F,
                    (const float *)(void *)work->a, n, (const float *)(void *)work->b, n, 0.0F,
                    (float *)(void *)work->c, n);
    }
    return 2.0 * (double)n * (double)n * (double)n / (limit_now() - start);
}

// Memory for float64 serves float32 too; the values are small numbers either way.
static void
fill(struct work *work)
{
    double **const arrays[] = {&work->a, &work->b, &work->c};
    for (int i = 0; i < 3; i++) {
        *arrays[i] = limit_numbers(work->size * work->size);
        for (int64_t k = 0; k < work->size * work->size && work->job == F32; k++) {
            ((float *)(void *)*arrays[i])[k] = (float)(k % 1000) / 1000.0F;
        }
    }
    openblas_set_num_threads(work->threads);
}

static int
run_trial(struct work *work)
{
    double best = 0;
    work->size = work->size < TRIAL_SIZE ? work->size : TRIAL_SIZE;
    fill(work);
    for (int i = 0; i < TRIAL_REPEATS; i++) {
        const double rate = run(work);
        best = rate > best ? rate : best;
    }
    printf("%.17g\n", best);
    return EXIT_SUCCESS;
}

// What a kind reaches, 0 if it cannot run.
static double
try_kind(const char *program, const char *kind, char *const *argv)
{
    char command[4096];
    double rate = 0;
    snprintf(command, sizeof command,
             "LIMIT_BLAS_TRIAL=1 OPENBLAS_CORETYPE='%s' '%s' %s %s %s 2>/dev/null", kind, program,
             argv[1], argv[2], argv[3]);
    // The arguments were found to be a job and two numbers.
    FILE *answer = popen(command, "re"); // NOLINT(cert-env33-c)
    if (answer != NULL) {
        if (fscanf(answer, "%lf", &rate) != 1) {
            rate = 0;
        }
        pclose(answer);
    }
    return rate;
}

// Starts this program anew with the best kind.
static void
choose_kind(char **argv)
{
    // An empty name leaves the choice to OpenBLAS.
    static const char *const kinds[] = {"",         "Haswell",    "Zen",
                                        "SkylakeX", "Cooperlake", "Sapphirerapids"};
    char self[2048] = "";
    const char *best = "";
    double best_rate = 0;
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) {
        return;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const double rate = try_kind(self, kinds[i], argv);
        if (rate > best_rate) {
            best_rate = rate;
            best = kinds[i];
        }
    }
    setenv("OPENBLAS_CORETYPE", best, 1);
    setenv("LIMIT_BLAS_TRIAL", "0", 1);
    execv(self, argv);
}

int
main(int argc, char **argv)
{
    static struct work work;
    const char *trial = getenv("LIMIT_BLAS_TRIAL");
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts(openblas_get_config());
        return EXIT_SUCCESS;
    }
    const int code = limit_arguments(argc, argv, jobs, &work.job, &work.size, &work.threads);
    if (code != 0) {
        return code;
    }
    if (trial == NULL) {
        choose_kind(argv);
    } else if (strcmp(trial, "1") == 0) {
        return run_trial(&work);
    }
    fill(&work);
    const int end = limit_serve(run, &work);
    free(work.a);
    free(work.b);
    free(work.c);
    return end;
}
