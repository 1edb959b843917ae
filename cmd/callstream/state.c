/* state reset: the way out when a partition's state and offset do not fit together. */

#include "cmd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "log/log.h"
#include "role/state_reset.h"

#define LOOK_MS  30000
#define RESET_MS 60000

static void print_found(int32_t partition, const struct state_look *look)
{
	printf("partition %" PRId32 "\n", partition);
	printf("  topic events: offsets %" PRId64 " to %" PRId64 "\n", look->low, look->high);
	if (look->committed == LOG_BEGIN)
		printf("  committed offset of events: none\n");
	else
		printf("  committed offset of events: %" PRId64 "\n", look->committed);
	if (look->journal_offset == LOG_BEGIN)
		printf("  journal: none\n");
	else
		printf("  journal: commit %" PRIu64 " at offset %" PRId64 "\n", look->n,
		       look->journal_offset);
	printf("  they %s%s\n",
	       look->fits ? "fit together" : "do not fit: ", look->fits ? "" : look->why);
}

static void print_loss(const struct state_look *look)
{
	if (look->counted)
		printf("A reset forgets %" PRIu64 " calls, %" PRIu64 " orphans and %" PRIu64
		       " entries of the closed index.\n",
		       look->calls, look->orphans, look->closed);
	else
		printf("A reset forgets all calls of the partition; how many cannot be read.\n");
	if (look->short_of)
		printf("The committed offset is set to %" PRId64
		       ": every event that topic events holds now is read,\nand the records of its "
		       "calls "
		       "are sent from revision 1. What lay behind it is gone already.\n",
		       look->low);
	else if (look->committed == LOG_BEGIN)
		printf("Without a committed offset every event that topic events still holds is "
		       "read anew,\nand its records are sent again from revision 1.\n");
	else
		printf("Reading goes on at the committed offset. Calls that are open now get a "
		       "record from their\nlater events alone, under the same id; facts of closed "
		       "calls that come later open them anew.\n");
	printf("Every correlator %s now.\n",
	       look->short_of ? "must be stopped" : "should be stopped or not own this partition");
}

static bool confirmed(void)
{
	char line[16] = "";

	printf("Type yes to drop the state: ");
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) && slice_is(slice_trim(slice_of(line)), "yes");
}

static int explain(int rc, int32_t partition)
{
	switch (rc) {
	case -EBUSY:
		return cmd_fail(EXIT_WRONG_INPUT,
				"correlators are at work: stop them first; nothing was changed");
	case -EAGAIN:
		return cmd_fail(EXIT_NOT_REACHABLE, "kafka is not reachable");
	case -EINVAL:
	case -ENOENT:
		return cmd_fail(EXIT_WRONG_INPUT, "there is no partition %" PRId32, partition);
	default:
		return cmd_fail(EXIT_NOT_REACHABLE, "the log gives up (error %d)", -rc);
	}
}

static int look_and_reset(struct log *log, const struct cfg *cfg, int32_t partition, bool yes)
{
	struct state_look look;
	int rc = state_look(log, cfg, partition, clock_mono_ms() + LOOK_MS, &look);

	if (rc < 0)
		return explain(rc, partition);
	print_found(partition, &look);
	print_loss(&look);
	if (yes || confirmed()) {
		rc = state_reset(log, cfg, partition, &look, clock_mono_ms() + RESET_MS);
		rc = rc < 0 ? explain(rc, partition) : EXIT_DONE;
		if (rc == EXIT_DONE)
			printf("Done.\n");
	} else {
		rc = cmd_fail(EXIT_WRONG_INPUT, "nothing was changed");
	}
	state_look_fini(&look);
	return rc;
}

static int with_log(const struct cfg *cfg, int32_t partition, bool yes)
{
	struct buf problem = BUF_EMPTY;
	struct log *log;
	int rc = log_open(cfg, &log, &problem);

	if (rc == 0) {
		rc = look_and_reset(log, cfg, partition, yes);
		log_close(log);
	} else {
		rc = cmd_fail(EXIT_WRONG_INPUT, "%.*s", SLICE_ARG(buf_slice(&problem)));
	}
	buf_fini(&problem);
	return rc;
}

static int run(const struct cmd_args *args)
{
	const char *text = cmd_opt(args, "--partition");
	struct cfg *cfg = NULL;
	uint64_t partition;
	int rc;

	if (!text || slice_u64(slice_of(text), &partition) < 0 || partition > INT32_MAX)
		return cmd_fail(EXIT_WRONG_USAGE, "state reset takes --partition with a number");
	rc = cmd_load_config(args, &cfg);
	if (rc != 0)
		return rc;
	rc = with_log(cfg, (int32_t)partition, cmd_opt(args, "--yes") != NULL);
	cfg_free(cfg);
	return rc;
}

static const struct cmd_opt opts[] = {
	{ "--partition", "P", "of topic events", false },
	{ "--yes", NULL, "do not ask", false },
	{ NULL, NULL, NULL, false },
};

extern const struct cmd cmd_state_reset;
const struct cmd cmd_state_reset = {
	.name = "state reset",
	.operands = "",
	.summary = "drop a partition's state that does not fit its offset",
	.detail = "Says what is there and what is lost, asks, then deletes the correlator's state "
		  "of one\n"
		  "partition. For a correlator that says a partition cannot be taken over.",
	.opts = opts,
	.config = true,
	.run = run,
};
