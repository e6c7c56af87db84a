// SPDX-License-Identifier: Apache-2.0
//
// The table of one instruction set, put together from the files compiled for it.

#include "engine/kernel/isa.h"

void
TSI_ISA_NAME(tsi_isa_fill)(struct tsi_kernel_table *table)
{
    table->isa = TSI_ISA_TEXT(TSI_ISA);
    TSI_ISA_NAME(tsi_isa_fill_map)(table);
    TSI_ISA_NAME(tsi_isa_fill_wave)(table);
    TSI_ISA_NAME(tsi_isa_fill_exp)(table);
    TSI_ISA_NAME(tsi_isa_fill_log)(table);
    TSI_ISA_NAME(tsi_isa_fill_power)(table);
    TSI_ISA_NAME(tsi_isa_fill_cast)(table);
    TSI_ISA_NAME(tsi_isa_fill_source)(table);
    TSI_ISA_NAME(tsi_isa_fill_random)(table);
    TSI_ISA_NAME(tsi_isa_fill_fold_sum)(table);
    TSI_ISA_NAME(tsi_isa_fill_fold_linear)(table);
    TSI_ISA_NAME(tsi_isa_fill_fold_drawn)(table);
    TSI_ISA_NAME(tsi_isa_fill_fold_var)(table);
    TSI_ISA_NAME(tsi_isa_fill_fold_order)(table);
    TSI_ISA_NAME(tsi_isa_fill_fold_logic)(table);
    TSI_ISA_NAME(tsi_isa_fill_matmul)(table);
    TSI_ISA_NAME(tsi_isa_fill_transpose)(table);
}
