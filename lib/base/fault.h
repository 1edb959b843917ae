/*
 * fault.h - points at which a test kills the process, one at a time
 *
 * Between two lines that belong together a process may die, and whoever comes after it has to find
 * its way. Each such place is a row here and stands in the code as FAULT(name). In a build with
 * CALLSTREAM_FAULTS (presets dev and tsan) the process dies there by SIGKILL, so nothing is flushed
 * and no handler runs: at the Nth passage of the point that CALLSTREAM_FAULT=NAME:N chose, with its
 * name on stderr. In every other build FAULT is nothing. tests/program/test_faults.py takes its
 * rows from this table: a point that it cannot hit is a failure.
 */
#ifndef CS_BASE_FAULT_H
#define CS_BASE_FAULT_H

#include "base/buf.h"

/* X(name, what has happened, and what has not) */
#define FAULT_POINTS(X)                                                                            \
	/* a worker's transaction: correlate and deliver */                                        \
	X(txn_produced, "the client has a transaction's messages, offsets are not in it yet")      \
	X(txn_offsets_sent, "offsets are in the transaction, its commit is not asked for yet")     \
	X(txn_committed, "the transaction is committed, nothing here says so yet")                 \
	/* its requests, as the broker sees them: correlate and deliver */                         \
	X(wire_fenced, "the broker has fenced the former owner of the transactional id")           \
	X(wire_joined, "the group has let us join, we have not told our assignment yet")           \
	X(wire_synced, "the group has told our assignment, nothing is taken over yet")             \
	X(wire_partitions_added, "partitions are in the transaction, their messages are not")      \
	X(wire_messages_acked, "messages of a transaction are in the log")                         \
	X(wire_group_added, "the group is in the transaction, its offsets are not")                \
	X(wire_offsets_pending, "the broker holds offsets for the commit")                         \
	X(wire_end_sent, "the commit is asked for and not answered")                               \
	X(wire_end_answered, "the commit is answered, the client has not read it")                 \
	/* correlate */                                                                            \
	X(correlate_between_slices, "a slice of a commit is produced, the next one is not")        \
	X(takeover_offset_known, "step 1 is done: the committed offset is known")                  \
	X(takeover_end_known, "step 2 is done: the end of topic state is known")                   \
	X(takeover_state_read, "step 3 is done: topic state is read")                              \
	X(takeover_planned, "step 4 is done: journal and offset fit together")                     \
	X(takeover_replaying, "step 5 is under way: an event is replayed")                         \
	X(takeover_replayed, "step 5 is done: the table is what it was")                           \
	X(takeover_done, "partitions are taken over, the client does not know yet")                \
	X(handover_begun, "partitions are about to go, the last batch is not committed")           \
	X(handover_committed, "the last batch is committed, slices are not written")               \
	X(handover_written, "slices are written, the group still counts the partitions as ours")   \
	X(leave_committed, "told to end: the last batch is committed, slices are not written")     \
	/* deliver */                                                                              \
	X(deliver_routed, "a record's task is produced, nothing is committed")                     \
	X(deliver_accepted, "a task is in the ledger in memory, its offset is not committed")      \
	X(deliver_sent, "a CRM may have been told, no answer has come")                            \
	X(deliver_answered, "a CRM has answered, the ledger does not say so")                      \
	X(deliver_entry_written, "the ledger's entry is produced and not committed")               \
	X(deliver_committed, "entries and offsets of tasks are committed, nothing here says so")   \
	X(deliver_restoring, "an entry of the ledger is restored, the next one is not")            \
	X(deliver_restored, "the ledger of a partition is restored, no task is read yet")          \
	X(deliver_landed, "partitions are about to go, the last answers are not committed")        \
	X(deliver_handed_over, "the last answers are committed, the partitions are still ours")    \
	/* ingest and spool */                                                                     \
	X(ingest_log_acked, "the log has an event, its request is not answered")                   \
	X(ingest_spool_synced, "the spool has an event, its request is not answered")              \
	X(spool_written, "a batch is written and not synced")                                      \
	X(spool_synced, "a batch is synced, nobody knows yet")                                     \
	X(spool_segment_made, "a new segment has its head, its name is not synced")                \
	X(spool_segment_ended, "a full segment is closed, the next one is not made")               \
	X(spool_cursor_behind, "records are done, the cursor does not say so")                     \
	X(spool_cursor_written, "the cursor says what is done, segments behind it are there")      \
	X(spool_segment_unlinked, "a drained segment is gone, the next one may be done, too")      \
	X(drain_acked, "the log has a record of the spool, which is not done yet")

#define FAULT_ENUM(name, what) FAULT_##name,
enum fault_point { FAULT_none, FAULT_POINTS(FAULT_ENUM) FAULT_POINTS_N };
#undef FAULT_ENUM

#ifdef CALLSTREAM_FAULTS
#define FAULT(name) fault_pass(FAULT_##name)
/* Dies when it is the chosen passage of the chosen point. Thread: any. */
void fault_pass(enum fault_point point);
/*
 * text: NAME or NAME:N, N from 1; NULL: none. 0, or -EINVAL with a problem that has a line for each
 * point. Before any thread begins.
 */
CHECKED int fault_choose(const char *text, struct buf *problem);
#else
#define FAULT(name) ((void)FAULT_##name)
CHECKED static inline int fault_choose(const char *text, struct buf *problem)
{
	(void)text;
	(void)problem;
	return 0;
}
#endif

#endif
