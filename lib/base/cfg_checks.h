/*
 * cfg_checks.h - what a text must look like: for the tables of cfg
 * Inner to cfg. Thread: any.
 */
#ifndef CS_BASE_CFG_CHECKS_H
#define CS_BASE_CFG_CHECKS_H

#include "base/cfg_table.h"

extern const struct cfg_check cfg_is_name;       /* [a-z0-9-]{1,63} */
extern const struct cfg_check cfg_is_brokers;    /* HOST[:PORT][,...] */
extern const struct cfg_check cfg_is_prefix;     /* what a topic's name may begin with */
extern const struct cfg_check cfg_is_listen;     /* ADDRESS:PORT */
extern const struct cfg_check cfg_is_sip_listen; /* udp:ADDRESS:PORT, tcp:ADDRESS:PORT */
extern const struct cfg_check cfg_is_net;        /* a network */
extern const struct cfg_check cfg_is_url;        /* http or https */
extern const struct cfg_check cfg_is_redis_url;
extern const struct cfg_check cfg_is_store;    /* file:/PATH, s3://BUCKET[/PREFIX] */
extern const struct cfg_check cfg_is_country;  /* two capitals or nothing */
extern const struct cfg_check cfg_is_instance; /* [A-Za-z0-9._-]{0,100} */
extern const struct cfg_check cfg_is_secret;   /* whsec_ and base64, or any bytes */
extern const struct cfg_check cfg_is_token;    /* can stand in a path */
extern const struct cfg_check cfg_is_line;     /* a number or a SIP address */

/* The host of an http or https address, brackets of IPv6 removed; empty when it is none. */
struct slice cfg_url_host(struct slice url);

#endif
