// SPDX-License-Identifier: Apache-2.0
//
// Logs of the daemons: one line an event on standard error, plain or JSON.
//
//     tsi_log(TSI_LOG_INFO, "worker joined", "name=%s threads=%d", name, threads);
//
// prints `2026-01-31T12:00:00.000Z info worker joined: name=w1 threads=2`, or as JSON
// `{"time":"…","level":"info","event":"worker joined","text":"name=w1 threads=2"}`. Text from peers
// is escaped, so that a line is always one line. Calls from several threads do not mix their lines.

#ifndef TSI_BASE_LOG_H
#define TSI_BASE_LOG_H

#include <stdbool.h>

enum tsi_log_level { TSI_LOG_ERROR, TSI_LOG_WARNING, TSI_LOG_INFO, TSI_LOG_DEBUG };

void tsi_log_setup(enum tsi_log_level level, bool json);
bool tsi_log_level_parse(const char *text, enum tsi_log_level *level);
bool tsi_log_on(enum tsi_log_level level);
void tsi_log(enum tsi_log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
