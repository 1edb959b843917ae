#include <errno.h>

#include "base/clock.h"
#include "base/slog.h"
#include "log/kafka/kafka.h"

/* What to do about each error that has been seen or is documented for the calls that we make. */
static const struct {
	rd_kafka_resp_err_t err;
	int verdict;
} verdicts[] = {
	{ RD_KAFKA_RESP_ERR_NO_ERROR, 0 },

	/* the broker is away, busy or new: nothing has happened */
	{ RD_KAFKA_RESP_ERR__QUEUE_FULL, -EAGAIN },
	{ RD_KAFKA_RESP_ERR__TIMED_OUT, -EAGAIN },
	{ RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, -EAGAIN },
	{ RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, -EAGAIN },
	{ RD_KAFKA_RESP_ERR__TRANSPORT, -EAGAIN },
	{ RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, -EAGAIN },
	{ RD_KAFKA_RESP_ERR__RESOLVE, -EAGAIN },
	{ RD_KAFKA_RESP_ERR__WAIT_COORD, -EAGAIN },
	{ RD_KAFKA_RESP_ERR__WAIT_CACHE, -EAGAIN },
	{ RD_KAFKA_RESP_ERR__IN_PROGRESS, -EAGAIN },
	{ RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS, -EAGAIN },
	{ RD_KAFKA_RESP_ERR__RETRY, -EAGAIN },
	{ RD_KAFKA_RESP_ERR__AUTHENTICATION, -EAGAIN },
	{ RD_KAFKA_RESP_ERR__SSL, -EAGAIN },
	{ RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, -EAGAIN },
	{ RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, -EAGAIN },
	{ RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED, -EAGAIN },
	{ RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, -EAGAIN },
	{ RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, -EAGAIN },
	{ RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, -EAGAIN },
	{ RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, -EAGAIN },
	{ RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE, -EAGAIN },
	{ RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE, -EAGAIN },
	{ RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION, -EAGAIN },
	{ RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, -EAGAIN },
	{ RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, -EAGAIN },
	{ RD_KAFKA_RESP_ERR_NOT_COORDINATOR, -EAGAIN },
	{ RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, -EAGAIN },
	{ RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, -EAGAIN },
	{ RD_KAFKA_RESP_ERR_NOT_CONTROLLER, -EAGAIN },
	{ RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, -EAGAIN },
	{ RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT, -EAGAIN },
	{ RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE, -EAGAIN },
	{ RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, -EAGAIN },
	{ RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH, -EAGAIN },
	{ RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH, -EAGAIN },
	{ RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED, -EAGAIN },
	/* rights can be given while we wait */
	{ RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, -EAGAIN },
	{ RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, -EAGAIN },

	/* the group moved on under an open transaction */
	{ RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, -ECANCELED },
	{ RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, -ECANCELED },
	{ RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, -ECANCELED },
	{ RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, -ECANCELED },
	{ RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST, -ECANCELED },

	{ RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, -EMSGSIZE },
	{ RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, -EMSGSIZE },
	{ RD_KAFKA_RESP_ERR_INVALID_RECORD, -EMSGSIZE }, /* also never taken */
	{ RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE, -EMSGSIZE },
};

int kafka_verdict_code(rd_kafka_resp_err_t err)
{
	for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
		if (verdicts[i].err == err)
			return verdicts[i].verdict;
	}
	return -EPIPE;
}

static int verdict_of(const rd_kafka_error_t *error)
{
	int verdict;

	if (rd_kafka_error_is_fatal(error))
		return -EPIPE;
	if (rd_kafka_error_txn_requires_abort(error))
		return -ECANCELED;
	if (rd_kafka_error_is_retriable(error))
		return -EAGAIN;
	verdict = kafka_verdict_code(rd_kafka_error_code(error));
	return verdict ? verdict : -EPIPE;
}

int kafka_verdict(rd_kafka_error_t *error, const char *doing)
{
	int verdict;

	if (!error)
		return 0;
	verdict = verdict_of(error);
	if (verdict != -EAGAIN)
		SLOG(SLOG_WARN,
		     verdict == -EPIPE ? "log handle is of no use any more"
				       : "transaction is given up",
		     SLOG_T("doing", doing), SLOG_T("code", rd_kafka_error_name(error)),
		     SLOG_T("reason", rd_kafka_error_string(error)));
	rd_kafka_error_destroy(error);
	return verdict;
}

int kafka_left_ms(int64_t deadline_ms, int64_t max_ms)
{
	int64_t left_ms = deadline_ms - clock_mono_ms();

	return (int)MAX(MIN(left_ms, max_ms), 0);
}
