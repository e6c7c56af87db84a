// SPDX-License-Identifier: Apache-2.0
//
// A limit can be set at any level of the tree of control groups, and the least one above a process
// counts. /proc/self/cgroup says where in each tree the process is, /proc/self/mountinfo where each
// tree is mounted and which part of it: in a container often only a branch, whose parents cannot be
// seen. From the process's group on, one level is cut off its path after another until the mount
// point.
//
// Both versions are looked at, since machines exist that have memory in one and the rest in the
// other. What cannot be read or understood is no limit.

#include "engine/base/cgroup.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/memory.h"

enum { PATH_BYTES = 4096, LINE_BYTES = 16384 };

// What one tree of control groups is asked for.
enum tree { TREE_V2, TREE_V1_MEMORY, TREE_V1_CPU, TREE_COUNT };

static const char *const v1_controllers[TREE_COUNT] = {
    [TREE_V1_MEMORY] = "memory",
    [TREE_V1_CPU] = "cpu",
};

struct search {
    const char *root;
    char group[TREE_COUNT][PATH_BYTES]; // the process's path in each tree; empty if it is in none
    struct tsi_cgroup_limits limits;
};

static void
copy_text(char *out, size_t out_bytes, const char *text)
{
    const size_t count = strlen(text);
    if (count < out_bytes) {
        memcpy(out, text, count + 1);
    } else {
        out[0] = '\0';
    }
}

// Opens `root` + `directory` + `name`.
static FILE *
open_under(const char *root, const char *directory, const char *name)
{
    char path[3 * PATH_BYTES];
    const int count = snprintf(path, sizeof path, "%s%s%s", root, directory, name);
    return count > 0 && (size_t)count < sizeof path ? fopen(path, "re") : NULL;
}

// The first line of a file without its end; false if there is none.
static bool
read_line(const struct search *search, const char *directory, const char *name, char line[256])
{
    FILE *file = open_under(search->root, directory, name);
    if (file == NULL) {
        return false;
    }
    const bool there = fgets(line, 256, file) != NULL;
    fclose(file);
    if (there) {
        line[strcspn(line, "\n")] = '\0';
    }
    return there;
}

// Whether `list`, separated by commas, has `word`.
static bool
list_has(const char *list, const char *word)
{
    const size_t count = strlen(word);
    while (*list != '\0') {
        const size_t length = strcspn(list, ",\n");
        if (length == count && strncmp(list, word, count) == 0) {
            return true;
        }
        list += length;
        list += *list != '\0' ? 1 : 0;
    }
    return false;
}

static void
take_memory(struct search *search, const char *directory, const char *name)
{
    char line[256];
    uint64_t bytes = 0;
    if (read_line(search, directory, name, line) && sscanf(line, "%" SCNu64, &bytes) == 1 &&
        bytes < search->limits.memory_bytes) {
        search->limits.memory_bytes = bytes;
    }
}

static void
take_quota(struct search *search, int64_t quota, int64_t period)
{
    if (quota <= 0 || period <= 0) {
        return;
    }
    const int64_t processors = quota / period + (quota % period != 0 ? 1 : 0);
    if (processors < search->limits.processors) {
        search->limits.processors = (int)processors;
    }
}

static void
take_limits(struct search *search, enum tree tree, const char *directory)
{
    char line[256];
    char period_line[256];
    int64_t quota = 0;
    int64_t period = 0;
    if (tree == TREE_V2) {
        take_memory(search, directory, "/memory.max");
        take_memory(search, directory, "/memory.high");
        if (read_line(search, directory, "/cpu.max", line) &&
            sscanf(line, "%" SCNd64 " %" SCNd64, &quota, &period) == 2) {
            take_quota(search, quota, period);
        }
    } else if (tree == TREE_V1_MEMORY) {
        take_memory(search, directory, "/memory.limit_in_bytes");
    } else if (read_line(search, directory, "/cpu.cfs_quota_us", line) &&
               read_line(search, directory, "/cpu.cfs_period_us", period_line) &&
               sscanf(line, "%" SCNd64, &quota) == 1 &&
               sscanf(period_line, "%" SCNd64, &period) == 1) {
        take_quota(search, quota, period);
    }
}

// Which tree a mount of `type` with the options `options` shows; TREE_COUNT if none of ours.
static enum tree
tree_of_mount(const char *type, const char *options)
{
    if (strcmp(type, "cgroup2") == 0) {
        return TREE_V2;
    }
    if (strcmp(type, "cgroup") == 0) {
        for (int tree = TREE_V1_MEMORY; tree < TREE_COUNT; tree++) {
            if (list_has(options, v1_controllers[tree])) {
                return (enum tree)tree;
            }
        }
    }
    return TREE_COUNT;
}

// One line of /proc/self/cgroup: "number:controllers:path".
static void
read_group_line(struct search *search, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    if (path == NULL) {
        return;
    }
    *controllers++ = '\0';
    *path++ = '\0';
    if (controllers[0] == '\0') {
        copy_text(search->group[TREE_V2], PATH_BYTES, path);
    }
    for (int tree = TREE_V1_MEMORY; tree < TREE_COUNT; tree++) {
        if (list_has(controllers, v1_controllers[tree])) {
            copy_text(search->group[tree], PATH_BYTES, path);
        }
    }
}

// Undoes the \040 of blanks and the like in /proc/self/mountinfo, in place.
static void
unescape(char *text)
{
    char *out = text;
    for (const char *at = text; *at != '\0'; out++) {
        unsigned code = 0;
        if (at[0] == '\\' && sscanf(at + 1, "%3o", &code) == 1 && code != 0) {
            *out = (char)(unsigned char)code;
            at += 4;
        } else {
            *out = *at++;
        }
    }
    *out = '\0';
}

// The part of `group` below the mounted part `mounted` of the tree; the mount point itself where
// the process is outside of it, as under a namespace.
static const char *
below_mount(const char *group, const char *mounted)
{
    const size_t count = strcmp(mounted, "/") == 0 ? 0 : strlen(mounted);
    const bool inside = strncmp(group, mounted, count) == 0 &&
                        (group[count] == '/' || group[count] == '\0') &&
                        strstr(group, "/..") == NULL;
    return inside ? group + count : "";
}

static void
walk(struct search *search, enum tree tree, const char *mounted, const char *mount_point)
{
    char directory[2 * PATH_BYTES];
    const char *below = below_mount(search->group[tree], mounted);
    const size_t mount_bytes = strlen(mount_point);
    const int count = snprintf(directory, sizeof directory, "%s%s", mount_point, below);
    if (count < 0 || (size_t)count >= sizeof directory) {
        return;
    }
    while (true) {
        take_limits(search, tree, directory);
        char *last = strrchr(directory + mount_bytes, '/');
        if (last == NULL) {
            return;
        }
        *last = '\0';
    }
}

// One line of /proc/self/mountinfo: "id parent device mounted point options… - type source
// options".
static void
read_mount_line(struct search *search, char *line)
{
    char *separator = strstr(line, " - ");
    char mounted[PATH_BYTES];
    char point[PATH_BYTES];
    char type[64];
    char options[PATH_BYTES];
    if (separator == NULL || sscanf(line, "%*s %*s %*s %4095s %4095s", mounted, point) != 2 ||
        sscanf(separator + 3, "%63s %*s %4095s", type, options) != 2) {
        return;
    }
    const enum tree tree = tree_of_mount(type, options);
    if (tree == TREE_COUNT || search->group[tree][0] == '\0') {
        return;
    }
    unescape(mounted);
    unescape(point);
    walk(search, tree, mounted, point);
}

// Hands every line of `name` to `on_line`. A line too long for the buffer is none of ours.
static void
for_each_line(struct search *search, const char *name,
              void (*on_line)(struct search *search, char *line))
{
    FILE *file = open_under(search->root, name, "");
    if (file == NULL) {
        return;
    }
    char line[LINE_BYTES];
    bool whole = true;
    while (fgets(line, sizeof line, file) != NULL) {
        const bool ends = strchr(line, '\n') != NULL || feof(file);
        if (whole && ends) {
            on_line(search, line);
        }
        whole = ends;
    }
    fclose(file);
}

struct tsi_cgroup_limits
tsi_cgroup_limits(const char *root)
{
    const struct tsi_cgroup_limits none = {UINT64_MAX, INT_MAX};
    struct search *search = tsi_calloc(1, sizeof *search);
    if (search == NULL) {
        return none;
    }
    search->root = root;
    search->limits = none;
    for_each_line(search, "/proc/self/cgroup", read_group_line);
    for_each_line(search, "/proc/self/mountinfo", read_mount_line);
    const struct tsi_cgroup_limits limits = search->limits;
    tsi_free(search);
    return limits;
}
