// SPDX-License-Identifier: Apache-2.0
//
// Names that a new file is to take. Whoever renames a file over a device, or removes it afterwards,
// takes the device away from everybody on the machine, and the superuser may: so it is asked first.

#ifndef TSI_BASE_FILE_NAME_H
#define TSI_BASE_FILE_NAME_H

#include <stdbool.h>

// Whether a file may take the name `path`, as seen from the open `directory` (AT_FDCWD: the working
// one): nothing has it, or a file or a link has, but no directory, device, pipe or socket.
bool tsi_file_name_is_free(int directory, const char *path);

#endif
