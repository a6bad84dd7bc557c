/* SPDX-License-Identifier: MIT */
/*
 * page - writes the page that every shim maps (preload/shimproto.h)
 *
 * Owner:    the shim server. Context: worker's loop thread, the only writer.
 * The file is made once and then written in place, over restarts of worker and
 * keeper: programs have it mapped.
 */
#ifndef NTM_BROKER_PAGE_H
#define NTM_BROKER_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "preload/shimproto.h"

struct page;

/**
 * page_open() - map or make @rundir/page
 * @keep_flows: an earlier worker of this keeper wrote it; else flows and ports of
 *              a broker long gone are removed
 * Return: 0, -NTM_ESTORE (no room), -NTM_EPERM, -NTM_ENOMEM
 */
NTM_MUST_CHECK int page_open(const char *rundir, bool keep_flows,
			     struct page **out);
/** says that no worker runs; the file stays */
void page_close(struct page *p);
const struct shim_page *page_map(const struct page *p);

/** at most SHIM_RANGES_MAX; more are left out */
void page_set_ranges(struct page *p, const struct shim_range *ranges, size_t n);
void page_set_port(struct page *p, bool v6only, uint16_t port, bool on);

/** makes flow @number live; it must not be */
void page_flow_add(struct page *p, uint32_t number, uint16_t server,
		   uint16_t alias_port, uint16_t alias6_port,
		   const struct shim_addr *peer);
void page_flow_del(struct page *p, uint32_t number);

#endif
