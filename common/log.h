/* SPDX-License-Identifier: MIT */
/*
 * log - one line a fact: time, level, program, object, text
 *
 * To standard error (systemd adds the time) or a file. No secrets, no payload. A
 * remote peer's mistakes are debug and rate-limited. The one mutable global.
 */
#ifndef NTM_COMMON_LOG_H
#define NTM_COMMON_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/** @program: shown on every line; @path: NULL for standard error */
int log_open(const char *program, enum log_level level, const char *path);
void log_close(void);
void log_set_level(enum log_level level);
bool log_level_parse(const char *text, enum log_level *out);

/** @obj: what it is about ("peer desk.me.example.org", "dc"), never NULL */
void log_at(enum log_level level, const char *obj, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
#define log_err(obj, ...)   log_at(LOG_ERR, obj, __VA_ARGS__)
#define log_warn(obj, ...)  log_at(LOG_WARN, obj, __VA_ARGS__)
#define log_info(obj, ...)  log_at(LOG_INFO, obj, __VA_ARGS__)
#define log_debug(obj, ...) log_at(LOG_DEBUG, obj, __VA_ARGS__)

/** struct log_limit - at most @burst lines in @per_s seconds; then a count */
struct log_limit {
	unsigned int burst, per_s;
	unsigned int used, suppressed;
	long long since;
};
bool log_allowed(struct log_limit *l);

#endif
