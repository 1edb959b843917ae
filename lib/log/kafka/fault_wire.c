#include "log/kafka/fault_wire.h"

#ifdef CALLSTREAM_FAULTS

#include "base/fault.h"

/* Kafka's numbers of requests. */
enum api {
	API_PRODUCE = 0,
	API_JOIN_GROUP = 11,
	API_SYNC_GROUP = 14,
	API_INIT_PRODUCER_ID = 22,
	API_ADD_PARTITIONS_TO_TXN = 24,
	API_ADD_OFFSETS_TO_TXN = 25,
	API_END_TXN = 26,
	API_TXN_OFFSET_COMMIT = 28,
	API_N
};

static const enum fault_point answered[API_N] = {
	[API_PRODUCE] = FAULT_wire_messages_acked,
	[API_JOIN_GROUP] = FAULT_wire_joined,
	[API_SYNC_GROUP] = FAULT_wire_synced,
	[API_INIT_PRODUCER_ID] = FAULT_wire_fenced,
	[API_ADD_PARTITIONS_TO_TXN] = FAULT_wire_partitions_added,
	[API_ADD_OFFSETS_TO_TXN] = FAULT_wire_group_added,
	[API_END_TXN] = FAULT_wire_end_answered,
	[API_TXN_OFFSET_COMMIT] = FAULT_wire_offsets_pending,
};

static rd_kafka_resp_err_t on_sent(rd_kafka_t *rk, int fd, const char *broker, int32_t broker_id,
				   int16_t api, int16_t version, int32_t correlation, size_t size,
				   void *opaque)
{
	(void)rk, (void)fd, (void)broker, (void)broker_id, (void)version, (void)correlation;
	(void)size, (void)opaque;
	if (api == API_END_TXN)
		FAULT(wire_end_sent);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_answered(rd_kafka_t *rk, int fd, const char *broker,
				       int32_t broker_id, int16_t api, int16_t version,
				       int32_t correlation, size_t size, int64_t rtt,
				       rd_kafka_resp_err_t err, void *opaque)
{
	(void)rk, (void)fd, (void)broker, (void)broker_id, (void)version, (void)correlation;
	(void)size, (void)rtt, (void)opaque;
	if (!err && api >= 0 && api < API_N && answered[api] != FAULT_none)
		fault_pass(answered[api]);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *opaque,
				  char *text, size_t text_size)
{
	(void)conf, (void)text, (void)text_size;
	rd_kafka_interceptor_add_on_request_sent(rk, "faults", on_sent, opaque);
	return rd_kafka_interceptor_add_on_response_received(rk, "faults", on_answered, opaque);
}

void kafka_fault_wire(rd_kafka_conf_t *conf)
{
	rd_kafka_conf_interceptor_add_on_new(conf, "faults", on_new, NULL);
}

#endif
