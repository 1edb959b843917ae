/*
 * fault_wire.h - fault points at requests of the client (base/fault.h)
 *
 * What a call of the client returns says little of where its requests were when a process died. The
 * client tells when a request has gone and when its answer has come: those are the points.
 */
#ifndef CS_LOG_KAFKA_FAULT_WIRE_H
#define CS_LOG_KAFKA_FAULT_WIRE_H

#include <librdkafka/rdkafka.h>

#ifdef CALLSTREAM_FAULTS
/* The handle that is made of conf passes the points. */
void kafka_fault_wire(rd_kafka_conf_t *conf);
#else
static inline void kafka_fault_wire(rd_kafka_conf_t *conf)
{
	(void)conf;
}
#endif

#endif
