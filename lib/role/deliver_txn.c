/* Writing into the transaction that is open, and its commit. */

#include <errno.h>
#include <stdlib.h>

#include "base/broken.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/slog.h"
#include "role/deliver_priv.h"

#define COMMIT_EVERY_MS  100  /* of ledger entries and offsets */
#define COMMIT_IDLE_MS   5    /* of routed tasks, when nothing more comes */
#define TXN_MESSAGES_MAX 2000 /* of input, in one transaction */

void deliver_began(struct deliver_worker *w)
{
	if (!w->txn_began_ms)
		w->txn_began_ms = clock_mono_ms();
}

void deliver_produce(struct deliver_worker *w, enum topic topic, int32_t partition,
		     struct slice key, struct slice value)
{
	int err = w->err;

	deliver_began(w);
	if (!err && w->value.bad)
		err = -ENOMEM;
	if (!err)
		err = log_txn_produce(w->log, topic, partition, key, value, false);
	if (err == -EMSGSIZE) {
		/* Sizes were checked when it came in: what is left is a broker with other limits.
		 */
		SLOG(SLOG_ERROR, "message is too large for its topic, dropped",
		     SLOG_T("topic", topic_text(topic)), SLOG_I("bytes", value.n),
		     SLOG_S("key", key));
		metric_add(M_LOG_ERRORS, "deliver", "too_large", 1);
		return;
	}
	w->err = err;
}

void deliver_write_dead(struct deliver_worker *w, const struct deadletter *dead)
{
	struct slice reason = dead->reason, word = slice_cut(&reason, ':');
	char label[32];

	buf_reset(&w->value);
	deadletter_write(&w->value, dead);
	deliver_produce(w, TOPIC_DEAD, LOG_ANY_PARTITION, dead->id.n ? dead->id : dead->account,
			buf_slice(&w->value));
	word = slice_head(word, sizeof(label) - 1);
	memcpy(label, word.p, word.n);
	label[word.n] = '\0';
	metric_add(M_DEAD, "deliver", label, 1);
	SLOG(SLOG_WARN, "not deliverable, kept in topic dead", SLOG_S("reason", dead->reason),
	     SLOG_S("sink", dead->sink), SLOG_S("id", dead->id),
	     SLOG_I("attempts", dead->attempts));
}

/* ---- offsets ---- */

static struct log_part *find_part(struct log_part *parts, size_t n, enum topic topic,
				  int32_t partition)
{
	for (size_t i = 0; i < n; i++) {
		if (parts[i].topic == topic && parts[i].partition == partition)
			return &parts[i];
	}
	return NULL;
}

int deliver_set_part(struct log_part **parts, size_t *n, const struct log_part *part)
{
	struct log_part *known = find_part(*parts, *n, part->topic, part->partition), *larger;

	if (!known) {
		larger = realloc(*parts, (*n + 1) * sizeof(**parts));
		if (!larger)
			return -ENOMEM;
		*parts = larger;
		known = &larger[(*n)++];
	}
	*known = *part;
	return 0;
}

void deliver_remove_part(struct log_part *parts, size_t *n, const struct log_part *part)
{
	struct log_part *known = find_part(parts, *n, part->topic, part->partition);

	if (known)
		*known = parts[--*n];
}

void deliver_consumed(struct deliver_worker *w, const struct log_msg *msg)
{
	struct log_part part = { msg->topic, msg->partition, msg->offset + 1 };
	int err = deliver_set_part(&w->consumed, &w->consumed_n, &part);

	if (err)
		w->err = err;
	w->txn_msgs++;
	deliver_began(w);
}

/* ---- commit ---- */

void deliver_txn_over(struct deliver_worker *w)
{
	w->consumed_n = 0;
	w->txn_msgs = 0;
	w->txn_began_ms = 0;
	w->routed = false;
	w->err = 0;
}

/* Every transaction names our partitions of tasks, so that none of ours stands once they are
 * another's: entries of deliveries alone would. */
static int add_ledgers(struct deliver_worker *w)
{
	int err = 0;

	for (size_t i = 0; !err && i < w->ledgers_n; i++) {
		const struct owned_ledger *o = w->ledgers[i];
		struct log_part part = { TOPIC_TASKS, o->partition, o->tasks_next };

		err = deliver_set_part(&w->consumed, &w->consumed_n, &part);
	}
	return err;
}

int deliver_commit(struct deliver_worker *w)
{
	int64_t began_ms = w->txn_began_ms, asked_ms = clock_mono_ms();
	int err;

	for (size_t i = 0; i < w->ledgers_n; i++)
		ledger_flush(w->ledgers[i]->ledger, deliver_now_ms(w));
	if (!w->txn_began_ms && !w->err)
		return 0;
	err = w->err ? w->err : add_ledgers(w);
	if (!err)
		err = log_txn_commit(w->log, w->consumed, w->consumed_n);
	FAULT(deliver_committed);
	metric_add(M_TXN_COMMITS, "deliver", err ? "aborted" : "committed", 1);
	if (err)
		return err;
	if (w->consumed_n)
		w->proven_ms = asked_ms;
	if (began_ms)
		series_observe_us(metric(M_TXN_SECONDS, "deliver", NULL),
				  (clock_mono_ms() - began_ms) * 1000);
	deliver_txn_over(w);
	return 0;
}

int deliver_commit_when_due(struct deliver_worker *w, bool idle)
{
	int64_t age_ms;

	if (w->err)
		return w->err;
	if (!w->txn_began_ms) {
		for (size_t i = 0; i < w->ledgers_n && !w->txn_began_ms; i++) {
			if (ledger_dirty(w->ledgers[i]->ledger))
				deliver_began(w);
		}
		return 0;
	}
	age_ms = clock_mono_ms() - w->txn_began_ms;
	if (age_ms >= COMMIT_EVERY_MS || w->txn_msgs >= TXN_MESSAGES_MAX ||
	    (idle && w->routed && age_ms >= COMMIT_IDLE_MS))
		return deliver_commit(w);
	return 0;
}

static int64_t property_ms(const struct deliver_worker *w, const char *key, int64_t otherwise)
{
	const struct cfg *cfg = w->cfg->cfg;
	const char *text = cfg_option(cfg->kafka.properties, cfg->kafka.properties_n, key);
	int64_t ms;

	return slice_i64(slice_of(text), &ms) == 0 ? ms : otherwise;
}

/* How long a proof lasts. The session began with the last heartbeat, which may lie before it. */
static int64_t proof_ms(const struct deliver_worker *w)
{
	int64_t session_ms = property_ms(w, "session.timeout.ms", LOG_SESSION_MS);
	int64_t heartbeat_ms = property_ms(w, "heartbeat.interval.ms", LOG_HEARTBEAT_MS);

	return MAX(session_ms - heartbeat_ms - session_ms / 10, session_ms / 4);
}

bool deliver_is_proven(const struct deliver_worker *w)
{
	return BROKEN(proof_skipped) ||
	       (w->proven_ms && clock_mono_ms() - w->proven_ms < proof_ms(w) * 5 / 8);
}

int64_t deliver_start_by_ms(const struct deliver_worker *w)
{
	return BROKEN(proof_skipped) ? 0 : w->proven_ms + proof_ms(w);
}

int deliver_prove(struct deliver_worker *w)
{
	deliver_began(w);
	return deliver_commit(w);
}
