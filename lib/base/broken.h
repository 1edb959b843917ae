/*
 * broken.h - rules of ours that the simulation breaks on purpose, one at a time
 *
 * A simulation that finds nothing proves nothing: so each rule here stands in the code where it is
 * kept, as BROKEN(name), and `callstream-sim --broken NAME` has to find out. BROKEN is the constant
 * false in every product build. In a build with CALLSTREAM_BROKEN_RULES (preset sim) it is true for
 * the rule that was chosen; broken_rule is set before any thread begins.
 */
#ifndef CS_BASE_BROKEN_H
#define CS_BASE_BROKEN_H

#include <stdbool.h>

/* X(name, what is done instead of what is right) */
#define BROKEN_RULES(X)                                                                            \
	/* taking over */                                                                          \
	X(journal_unchecked, "the journal may end at another offset than the committed one")       \
	X(pending_ignored, "a committed offset is read while another is pending")                  \
	X(state_to_stable, "topic state is read up to the last stable offset")                     \
	X(step_twice, "a replay repeats the step of a commit twice")                               \
	X(step_skipped, "a replay lets the timers of a commit run with the next one")              \
	X(unmasked, "a replay repeats what a slice has already")                                   \
	X(replay_loud, "a replay under the same rules tells its records again")                    \
	X(other_rules_silent, "a replay under other rules tells nothing")                          \
	X(revisions_unlearned, "a replay under other rules does not look what has left before")    \
	/* committing */                                                                           \
	X(slice_wrong_n, "a slice is marked with the commit before its own")                       \
	X(slice_forgotten, "a slice counts as written without being written")                      \
	X(closed_forgotten, "the index of closed calls is not asked")                              \
	X(block_forgotten, "a block of the closed index is not written")                           \
	X(limit_unwritten, "the journal does not say which calls a limit closed")                  \
	X(abort_ignored, "an aborted transaction counts as committed")                             \
	X(offset_too_far, "the offset of the event behind the last one is committed")              \
	X(offsets_outside, "offsets are committed before their transaction is")                    \
	X(generation_unchecked, "offsets are committed without a word from which generation")      \
	X(late_dropped, "a late event is counted, but not kept in topic dead")                     \
	/* ingest and spool */                                                                     \
	X(answer_before_sync, "a request is answered before its record is synced")                 \
	X(sync_error_ignored, "a request is answered although the sync failed")                    \
	X(folder_unsynced, "a new segment's name is not synced")                                   \
	X(spool_overtaken, "an event goes to the log past a backlog in the spool")                 \
	X(cursor_early, "the spool's cursor moves before the acknowledgement")                     \
	X(rewind_skipped, "what was not acknowledged is not sent again")                           \
	/* deliver */                                                                              \
	X(ledger_kept, "after an aborted transaction the ledger stays as it is")                   \
	X(entry_unwritten, "what is done is not written into the ledger")                          \
	X(newer_unwritten, "a revision that waits behind another is not written")                  \
	X(newer_overtakes, "a newer revision does not wait for the answer to an older one")        \
	X(proof_skipped, "a CRM is told without a proof that the partition is still ours")

#define BROKEN_ENUM(name, what) BROKEN_##name,
enum broken_rule { BROKEN_none, BROKEN_RULES(BROKEN_ENUM) BROKEN_RULES_N };
#undef BROKEN_ENUM

#ifdef CALLSTREAM_BROKEN_RULES
extern enum broken_rule broken_rule;
#define BROKEN(name) (broken_rule == BROKEN_##name)
#else
#define BROKEN(name) (BROKEN_##name == BROKEN_none)
#endif

#endif
