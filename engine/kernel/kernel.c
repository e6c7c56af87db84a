// SPDX-License-Identifier: Apache-2.0
//
// The choice of an instruction set. All tables that the processor can run are filled once, under
// one lock, and never change again, so reading them needs none.

#include "engine/kernel/kernel.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernel/isa.h"

#define TABLES_MAX 3

static struct tsi_kernel_table tables[TABLES_MAX];
static int table_count;
static const struct tsi_kernel_table *chosen;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
fill_tables(void)
{
    tsi_isa_fill_baseline(&tables[table_count++]);
#if defined(__x86_64__)
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2) {
        tsi_isa_fill_avx2(&tables[table_count++]);
    }
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
        tsi_isa_fill_avx512(&tables[table_count++]);
    }
#endif
}

static void
choose_table(void)
{
    fill_tables();
    chosen = &tables[table_count - 1];
    const char *wanted = getenv("TESSERA_ISA");
    if (wanted == NULL) {
        return;
    }
    for (int i = 0; i < table_count; i++) {
        if (strcmp(tables[i].isa, wanted) == 0) {
            chosen = &tables[i];
        }
    }
}

const struct tsi_kernel_table *
tsi_kernel(void)
{
    (void)pthread_once(&once, choose_table);
    return chosen;
}

const struct tsi_kernel_table *
tsi_kernel_of(int index)
{
    (void)pthread_once(&once, choose_table);
    return index >= 0 && index < table_count ? &tables[index] : NULL;
}
