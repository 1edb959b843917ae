/*
 * log_scenarios.h - the words in which scenarios are written (log_scenarios.c)
 */
#ifndef CS_TESTS_LOG_SCENARIOS_H
#define CS_TESTS_LOG_SCENARIOS_H

#include "log_player.h"

extern const struct house *house;
extern struct answer answer; /* of the last ask */

__attribute__((format(printf, 1, 2))) void say(const char *format, ...);
int ask(int player, struct order o);
void say_ask(int player, const char *text, struct order o);

int new_player(void);
void join(int player, const char *id, bool leaves_open);
/* value NULL: a tombstone */
struct order produce(enum topic topic, int32_t partition, const char *key, const char *value);
struct order append(enum topic topic, int32_t partition, const char *key, const char *value);
struct order commit(int32_t partition, int64_t offset); /* partition -1: no offsets */
void append_events(int player, int n);
int64_t high(int player, enum topic topic, int32_t partition);
void wait_high(int player, enum topic topic, int32_t partition, int64_t want);
void say_read(int player, const char *text, enum topic topic, int32_t partition, int64_t from,
	      int64_t until, int ms);
void say_all(int player, const char *text, enum topic topic, int32_t partition);
int poll_once(int player, int ms);
void say_poll(int player, const char *text, int ms);
void say_hooks(int player, const char *name);
int owned(int player);
void settle(const int *players, const int *wants, size_t n);
void settle_one(int player, int want);

/* log_scenarios_txn.c */
void scenario_view(void);
void scenario_abandoned(void);
void scenario_pending(void);
void scenario_committed(void);
void scenario_fence_open(void);
void scenario_fence_idle(void);
void scenario_timed_out(void);
/* log_scenarios_group.c */
void scenario_zombie(void);
void scenario_zombie_idle(void);
void scenario_members(void);
void scenario_open_at_rebalance(void);
void scenario_generation(void);
void scenario_crowd(void);
void scenario_restart(void);
void scenario_restart_while_moving(void);
void scenario_same_name(void);
void scenario_away(void);
/* log_scenarios_read.c */
void scenario_seek(void);
void scenario_pause(void);
void scenario_lag(void);
void scenario_end(void);
void scenario_compaction(void);
void scenario_time(void);
void scenario_null(void);
void scenario_keys(void);
void scenario_size(void);

#endif
