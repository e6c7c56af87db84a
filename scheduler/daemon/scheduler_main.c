// SPDX-License-Identifier: Apache-2.0
//
// tessera-scheduler: the program.

#include "scheduler/daemon/loop.h"

int
main(int argc, char **argv)
{
    struct tsi_scheduler_options options;
    int exit_code;
    if (!tsi_scheduler_options_read(argc, argv, &options, &exit_code)) {
        return exit_code;
    }
    tsi_log_setup(options.log_level, options.log_json);
    return tsi_loop_run(&options);
}
