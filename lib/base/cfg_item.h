/*
 * cfg_item.h - what accounts, sinks and routes must be beyond what their tables say
 * Inner to cfg: hooks of cfg_table.c.
 */
#ifndef CS_BASE_CFG_ITEM_H
#define CS_BASE_CFG_ITEM_H

#include "base/cfg_read.h"

void cfg_account_begin(struct cfg_reader *r, void *item);
void cfg_account_end(struct cfg_reader *r, void *item, const struct cfg_node *node);
void cfg_accounts_finish(struct cfg_reader *r, const struct cfg_node *list);
void cfg_sink_end(struct cfg_reader *r, void *item, const struct cfg_node *node);
void cfg_sinks_finish(struct cfg_reader *r, const struct cfg_node *list);
void cfg_route_end(struct cfg_reader *r, void *item, const struct cfg_node *node);
/* Behind all: what must fit together over sections. */
void cfg_check_whole(struct cfg_reader *r, const struct cfg_node *root);

#endif
