// SPDX-License-Identifier: Apache-2.0
//
// Names and texts of statuses, both from the one table of the public header.

#include "tessera/status.h"

struct status_row {
    const char *name;
    const char *text;
};

static const struct status_row rows[TESS_STATUS_COUNT] = {
#define STATUS_ROW(name, text) {"TESS_" #name, text},
    TESS_STATUS_MAP(STATUS_ROW)
#undef STATUS_ROW
};

static const struct status_row *
row_of(tess_status status)
{
    static const struct status_row unknown = {"TESS_UNKNOWN", "unknown status"};
    const int number = (int)status;
    return number >= 0 && number < TESS_STATUS_COUNT ? &rows[number] : &unknown;
}

const char *
tess_status_text(tess_status status)
{
    return row_of(status)->text;
}

const char *
tess_status_name(tess_status status)
{
    return row_of(status)->name;
}
