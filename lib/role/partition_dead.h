/*
 * partition_dead.h - dead letters of a partition: what came too late, cannot be read or is too much
 *
 * Each goes into the partition's out, keyed by call id (by account where there is no call), and is
 * counted; nothing happens during a replay. Thread: the partition's owner.
 */
#ifndef CS_ROLE_PARTITION_DEAD_H
#define CS_ROLE_PARTITION_DEAD_H

#include "role/partition.h"

/* An event that the table did not take. json is what lies in the log. */
void partition_dead(struct partition *p, enum tally_dead reason, const struct callev *ev,
		    struct slice json);
/* An orphan that its call never came for; json is the event. */
void partition_dead_orphan(struct partition *p, struct slice json);
/* A message that is no event. */
void partition_dead_undecodable(struct partition *p, const struct log_msg *msg,
				const struct parse_error *error);
/*
 * Instead of a message that the log can never take (-EMSGSIZE): the same dead letter without its
 * original, or one that says which record was too large. Appends key and value to a buffer each.
 */
void partition_dead_too_large(const struct outbox_msg *msg, int64_t at_ms, struct buf *value);

#endif
