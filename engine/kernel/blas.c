// SPDX-License-Identifier: Apache-2.0
//
// The only file that knows OpenBLAS. Loading it takes some milliseconds, so it is loaded when it is
// needed and not with the process; without it there are the loops of the kernel table.
//
// OpenBLAS reads the environment while it is loaded, and never again: the type of core whose code
// it uses, and how many threads of its own it starts. Each of our threads multiplies its own
// chunks, so it shall start none, and there are processors newer than the library, for which it
// chooses code that uses little of what they can do. What the user's environment says holds; only
// what it leaves open is added. By then there are threads, and setenv() would pull the environment
// away under one that reads it. Instead `environ` is made to point to a longer copy while the
// library is loaded: a reader in another thread sees the old variables or these, and neither is
// ever freed.
//
// A program that has loaded OpenBLAS by itself keeps its type of core, but is told to use one
// thread, or products on all our threads would start as many threads each.
//
// OpenBLAS takes sizes of 32 bits and steps at least as long as a row. Longer sizes are split, the
// inner one by adding to what is there.

#include "engine/kernel/blas.h"

#include <cblas.h>
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "engine/base/log.h"
#include "engine/base/memory.h"

// The environment variable TESSERA_OPENBLAS names another build of it.
#define LIBRARY "libopenblas.so.0"

// What openblas_get_parallel() says of a library whose number of threads is a thread's own.
#define PARALLEL_OPENMP 2

// Sizes of one call of OpenBLAS: a round number well below what 32 bits hold.
#define SIZE_MAX_BLAS (INT64_C(1) << 30)

typedef void multiply_f64(enum CBLAS_ORDER, enum CBLAS_TRANSPOSE, enum CBLAS_TRANSPOSE, blasint,
                          blasint, blasint, double, const double *, blasint, const double *,
                          blasint, double, double *, blasint);
typedef void multiply_f32(enum CBLAS_ORDER, enum CBLAS_TRANSPOSE, enum CBLAS_TRANSPOSE, blasint,
                          blasint, blasint, float, const float *, blasint, const float *, blasint,
                          float, float *, blasint);

// Written once, before anybody reads them.
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool is_loaded;
static bool is_limited_by_thread;
static multiply_f64 *dgemm;
static multiply_f32 *sgemm;
static void (*set_num_threads)(int);

// The type of core to ask for, which OpenBLAS chooses itself for the processors of AMD that it has
// heard of; on others it falls back to code without wide vectors. NULL where its choice is good.
static const char *
choose_core(void)
{
#if defined(__x86_64__)
    unsigned int eax = 0;
    unsigned int ebx = 0;
    unsigned int ecx = 0;
    unsigned int edx = 0;
    if (__get_cpuid(0, &eax, &ebx, &ecx, &edx) == 0 || ebx != signature_AMD_ebx) {
        return NULL;
    }
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl")) {
        return __builtin_cpu_supports("avx512bf16") ? "OPENBLAS_CORETYPE=Cooperlake"
                                                    : "OPENBLAS_CORETYPE=SkylakeX";
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return "OPENBLAS_CORETYPE=Zen";
    }
#endif
    return NULL;
}

static bool
says_threads(void)
{
    return getenv("OPENBLAS_NUM_THREADS") != NULL;
}

// The environment with what it leaves open; NULL if memory is out. It is never freed.
static char **
make_environment(char *const *old)
{
    static char **made;
    static char one_thread[] = "OPENBLAS_NUM_THREADS=1";
    static char one_openmp_thread[] = "OMP_NUM_THREADS=1";
    static char core[64];
    size_t count = 0;
    while (old != NULL && old[count] != NULL) {
        count++;
    }
    made = tsi_calloc(count + 4, sizeof(*made));
    if (made == NULL) {
        return NULL;
    }
    if (count > 0) {
        memcpy(made, old, count * sizeof(*made));
    }
    const char *const wanted = getenv("OPENBLAS_CORETYPE") == NULL ? choose_core() : NULL;
    if (wanted != NULL) {
        memcpy(core, wanted, strlen(wanted) + 1);
        made[count++] = core;
    }
    if (!says_threads()) {
        made[count++] = one_thread;
        if (getenv("OMP_NUM_THREADS") == NULL) {
            made[count++] = one_openmp_thread;
        }
    }
    made[count] = NULL;
    return made;
}

// Whoever changes the environment meanwhile has made a copy of its own, which then stays.
static void *
load_library(const char *name)
{
    char **old = __atomic_load_n(&environ, __ATOMIC_ACQUIRE);
    char **made = make_environment(old);
    if (made != NULL) {
        __atomic_store_n(&environ, made, __ATOMIC_RELEASE);
    }
    void *const library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (made != NULL) {
        (void)__atomic_compare_exchange_n(&environ, &made, old, false, __ATOMIC_ACQ_REL,
                                          __ATOMIC_ACQUIRE);
    }
    return library;
}

static bool
find_functions(void *library)
{
    const struct {
        const char *name;
        void *function;
    } wanted[] = {
        {"cblas_dgemm", &dgemm},
        {"cblas_sgemm", &sgemm},
        {"openblas_set_num_threads", &set_num_threads},
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
        void *const found = dlsym(library, wanted[i].name);
        if (found == NULL) {
            return false;
        }
        memcpy(wanted[i].function, &found, sizeof(found));
    }
    return true;
}

static void
load(void)
{
    const char *const wanted = getenv("TESSERA_OPENBLAS");
    const char *const name = wanted != NULL ? wanted : LIBRARY;
    void *const library = load_library(name);
    if (library == NULL) {
        tsi_log(TSI_LOG_WARNING, "products of floats will be slow", "%s", dlerror());
        return;
    }
    if (!find_functions(library)) {
        tsi_log(TSI_LOG_WARNING, "products of floats will be slow", "%s is not OpenBLAS", name);
        return;
    }
    if (!says_threads()) {
        int (*get_parallel)(void) = NULL;
        void *const found = dlsym(library, "openblas_get_parallel");
        memcpy(&get_parallel, &found, sizeof(found));
        is_limited_by_thread = get_parallel != NULL && get_parallel() == PARALLEL_OPENMP;
        set_num_threads(1);
    }
    is_loaded = true;
}

// Whether OpenBLAS is there, and keeps to this thread.
static bool
is_ready(void)
{
    static _Thread_local bool is_limited;
    (void)pthread_once(&once, load);
    if (is_loaded && is_limited_by_thread && !is_limited) {
        set_num_threads(1);
        is_limited = true;
    }
    return is_loaded;
}

// Whether OpenBLAS takes a matrix of rows of `columns` elements as they are stored.
static bool
takes_step(int64_t columns, int64_t step)
{
    return step >= columns && step >= 1 && step <= INT_MAX;
}

static inline int64_t
place(const struct tsi_kernel_matrix *matrix, int64_t row, int64_t column)
{
    return matrix->transposed ? column * matrix->step + row : row * matrix->step + column;
}

// One call of OpenBLAS on the block of c at (i, j), with the products from `l` on.
static void
multiply_block(tess_dtype dtype, const int64_t at[3], const int64_t size[3],
               const struct tsi_kernel_matrix *a, const struct tsi_kernel_matrix *b, bool add,
               void *c, int64_t c_step)
{
    const enum CBLAS_TRANSPOSE ta = a->transposed ? CblasTrans : CblasNoTrans;
    const enum CBLAS_TRANSPOSE tb = b->transposed ? CblasTrans : CblasNoTrans;
    const int64_t from_a = place(a, at[0], at[2]);
    const int64_t from_b = place(b, at[2], at[1]);
    const int64_t to = at[0] * c_step + at[1];
    const blasint m = (blasint)size[0];
    const blasint n = (blasint)size[1];
    const blasint k = (blasint)size[2];
    if (dtype == TESS_F64) {
        dgemm(CblasRowMajor, ta, tb, m, n, k, 1.0, (const double *)a->data + from_a,
              (blasint)a->step, (const double *)b->data + from_b, (blasint)b->step, add ? 1.0 : 0.0,
              (double *)c + to, (blasint)c_step);
    } else {
        sgemm(CblasRowMajor, ta, tb, m, n, k, 1.0F, (const float *)a->data + from_a,
              (blasint)a->step, (const float *)b->data + from_b, (blasint)b->step,
              add ? 1.0F : 0.0F, (float *)c + to, (blasint)c_step);
    }
}

static int64_t
at_most(int64_t left)
{
    return left < SIZE_MAX_BLAS ? left : SIZE_MAX_BLAS;
}

bool
tsi_blas_multiply(tess_dtype dtype, int64_t m, int64_t n, int64_t k,
                  const struct tsi_kernel_matrix *a, const struct tsi_kernel_matrix *b, bool add,
                  void *c)
{
    if (!takes_step(a->transposed ? m : k, a->step) ||
        !takes_step(b->transposed ? k : n, b->step) || n > INT_MAX || !is_ready()) {
        return false;
    }
    for (int64_t i = 0; i < m; i += SIZE_MAX_BLAS) {
        for (int64_t j = 0; j < n; j += SIZE_MAX_BLAS) {
            for (int64_t l = 0; l < k; l += SIZE_MAX_BLAS) {
                const int64_t at[3] = {i, j, l};
                const int64_t size[3] = {at_most(m - i), at_most(n - j), at_most(k - l)};
                multiply_block(dtype, at, size, a, b, add || l > 0, c, n);
            }
        }
    }
    return true;
}
