// SPDX-License-Identifier: Apache-2.0
//
// A link counts as a name: it would be replaced, and not what it leads to.

#include "engine/base/file_name.h"

#include <fcntl.h>
#include <sys/stat.h>

bool
tsi_file_name_is_free(int directory, const char *path)
{
    struct stat info;
    return fstatat(directory, path, &info, AT_SYMLINK_NOFOLLOW) != 0 || S_ISREG(info.st_mode) ||
           S_ISLNK(info.st_mode);
}
