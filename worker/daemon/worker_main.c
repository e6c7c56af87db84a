// SPDX-License-Identifier: Apache-2.0
//
// tessera-worker: the program.

#include "worker/daemon/loop.h"
#include "worker/daemon/nanny.h"

int
main(int argc, char **argv)
{
    struct tsi_worker_options options;
    int exit_code;
    if (!tsi_worker_options_read(argc, argv, &options, &exit_code)) {
        return exit_code;
    }
    tsi_log_setup(options.log_level, options.log_json);
    return options.nanny && !tsi_nanny_watches() ? tsi_nanny_run(argv, &options)
                                                 : tsi_worker_loop_run(&options);
}
