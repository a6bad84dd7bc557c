/* SPDX-License-Identifier: MIT */
/* zone - what DNS says about the domain, and the answer to one query */
#include "servers/dns/zone.h"

#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_LEN    12
#define QUESTION_TAIL 5 /* root, type, class */
#define QR	      0x80
#define TC	      0x02
#define EDNS_BADVERS  1 /* upper bits of RCODE 16 */

struct zone {
	ldns_rdf *apex, *ntm, *dc;
	uint32_t ttl;
	ldns_rr *soa;
	ldns_rr_list *records; /* of @apex, @ntm and @dc, SOA too */
};

/* --- records ------------------------------------------------------------------ */

static int add_text(struct zone *z, const char *text, ldns_rr **out)
{
	ldns_rr *rr;

	if (ldns_rr_new_frm_str(&rr, text, z->ttl, NULL, NULL) !=
	    LDNS_STATUS_OK)
		return -NTM_EINVAL;
	if (!ldns_rr_list_push_rr(z->records, rr)) {
		ldns_rr_free(rr);
		return -NTM_ENOMEM;
	}
	if (out)
		*out = rr;
	return 0;
}

static int add_addresses(struct zone *z, const char *owner,
			 const struct addr *list, size_t n)
{
	char ip[ADDR_TEXT_LEN], text[512];
	int r = 0;

	for (size_t i = 0; !r && i < n; i++) {
		snprintf(text, sizeof(text), "%s %u IN %s %s", owner, z->ttl,
			 list[i].sa.sa_family == AF_INET ? "A" : "AAAA",
			 addr_format_ip(&list[i], ip));
		r = add_text(z, text, NULL);
	}
	return r;
}

static int add_records(struct zone *z, const struct zone_config *c)
{
	char text[1024], apex[260], ntm[270], dc[280], fp[NTMC_FP_TEXT_LEN];
	int r;

	snprintf(apex, sizeof(apex), "%s.", c->domain);
	snprintf(ntm, sizeof(ntm), "_ntm.%s.", c->domain);
	snprintf(dc, sizeof(dc), "_dc.%s", ntm);
	ntmc_fingerprint_text(c->ca_fp, fp);
	z->apex = ldns_dname_new_frm_str(apex);
	z->ntm = ldns_dname_new_frm_str(ntm);
	z->dc = ldns_dname_new_frm_str(dc);
	if (!z->apex || !z->ntm || !z->dc)
		return -NTM_EINVAL;
	snprintf(text, sizeof(text),
		 "%s %u IN SOA %s hostmaster.%s %u 3600 900 604800 300", apex,
		 z->ttl, apex, apex, c->serial);
	r = add_text(z, text, &z->soa);
	snprintf(text, sizeof(text), "%s %u IN NS %s", apex, z->ttl, apex);
	if (!r)
		r = add_text(z, text, NULL);
	if (!r)
		r = add_addresses(z, apex, c->dc, c->n_dc);
	snprintf(text, sizeof(text), "%s %u IN SRV 0 0 %u %s", ntm, z->ttl,
		 c->as_port, ntm);
	if (!r)
		r = add_text(z, text, NULL);
	snprintf(text, sizeof(text), "%s %u IN TXT \"v=ntm1 ca=%s\"", ntm,
		 z->ttl, fp);
	if (!r)
		r = add_text(z, text, NULL);
	if (!r)
		r = add_addresses(z, ntm, c->as, c->n_as);
	snprintf(text, sizeof(text), "%s %u IN SRV 0 0 %u %s", dc, z->ttl,
		 c->dc_port, apex);
	if (!r)
		r = add_text(z, text, NULL);
	return r;
}

int zone_new(const struct zone_config *c, struct zone **out)
{
	struct zone *z = calloc(1, sizeof(*z));
	int r;

	if (!z)
		return -NTM_ENOMEM;
	z->ttl = c->ttl;
	z->records = ldns_rr_list_new();
	r = z->records ? add_records(z, c) : -NTM_ENOMEM;
	if (r) {
		zone_free(z);
		return r;
	}
	*out = z;
	return 0;
}

void zone_free(struct zone *z)
{
	if (!z)
		return;
	ldns_rdf_deep_free(z->apex);
	ldns_rdf_deep_free(z->ntm);
	ldns_rdf_deep_free(z->dc);
	ldns_rr_list_deep_free(z->records);
	free(z);
}

/* --- an answer ---------------------------------------------------------------- */

static bool push_copy(ldns_pkt *pkt, ldns_pkt_section section,
		      const ldns_rr *rr)
{
	ldns_rr *copy = ldns_rr_clone(rr);

	if (copy && ldns_pkt_push_rr(pkt, section, copy))
		return true;
	ldns_rr_free(copy);
	return false;
}

/* every record of @owner and @type (or ANY: one type is enough, RFC 8482) */
static size_t push_records(const struct zone *z, ldns_pkt *pkt,
			   ldns_pkt_section section, const ldns_rdf *owner,
			   ldns_rr_type type)
{
	size_t n = 0;

	for (size_t i = 0; i < ldns_rr_list_rr_count(z->records); i++) {
		ldns_rr *rr = ldns_rr_list_rr(z->records, i);

		if (ldns_dname_compare(ldns_rr_owner(rr), owner))
			continue;
		if (type == LDNS_RR_TYPE_ANY && n)
			break;
		if (type != LDNS_RR_TYPE_ANY && ldns_rr_get_type(rr) != type)
			continue;
		n += push_copy(pkt, section, rr);
	}
	return n;
}

static void answer_question(const struct zone *z, ldns_pkt *pkt,
			    const ldns_rr *question)
{
	const ldns_rdf *name = ldns_rr_owner(question);
	ldns_rr_type type = ldns_rr_get_type(question);
	const ldns_rdf *owner = NULL;
	size_t n = 0;

	if (ldns_rr_get_class(question) != LDNS_RR_CLASS_IN ||
	    type == LDNS_RR_TYPE_AXFR || type == LDNS_RR_TYPE_IXFR ||
	    (ldns_dname_compare(name, z->apex) &&
	     !ldns_dname_is_subdomain(name, z->apex))) {
		ldns_pkt_set_rcode(pkt, LDNS_RCODE_REFUSED);
		return;
	}
	ldns_pkt_set_aa(pkt, true);
	if (!ldns_dname_compare(name, z->apex))
		owner = z->apex;
	else if (!ldns_dname_compare(name, z->ntm))
		owner = z->ntm;
	else if (!ldns_dname_compare(name, z->dc))
		owner = z->dc;
	if (owner)
		n = push_records(z, pkt, LDNS_SECTION_ANSWER, owner, type);
	if (!n) { /* NODATA */
		push_copy(pkt, LDNS_SECTION_AUTHORITY, z->soa);
	} else if (type == LDNS_RR_TYPE_NS || type == LDNS_RR_TYPE_SRV) {
		owner = owner == z->dc ? z->apex : owner; /* its target */
		push_records(z, pkt, LDNS_SECTION_ADDITIONAL, owner,
			     LDNS_RR_TYPE_A);
		push_records(z, pkt, LDNS_SECTION_ADDITIONAL, owner,
			     LDNS_RR_TYPE_AAAA);
	}
}

/* a header-only answer, for what cannot be answered better */
static size_t answer_bare(const uint8_t *query, ldns_pkt_rcode rcode,
			  uint8_t *out)
{
	memset(out, 0, HEADER_LEN);
	memcpy(out, query, 2);
	out[2] = QR | (query[2] & 0x79); /* opcode and RD as asked */
	out[3] = (uint8_t)rcode;
	return HEADER_LEN;
}

static ldns_pkt *answer_new(const struct zone *z, const ldns_pkt *q,
			    const ldns_rr *question)
{
	ldns_pkt *pkt = ldns_pkt_new();

	if (!pkt)
		return NULL;
	ldns_pkt_set_id(pkt, ldns_pkt_id(q));
	ldns_pkt_set_qr(pkt, true);
	ldns_pkt_set_rd(pkt, ldns_pkt_rd(q));
	if (!push_copy(pkt, LDNS_SECTION_QUESTION, question)) {
		ldns_pkt_free(pkt);
		return NULL;
	}
	if (ldns_pkt_edns(q) && ldns_pkt_edns_version(q)) {
		ldns_pkt_set_edns_extended_rcode(pkt, EDNS_BADVERS);
	} else {
		answer_question(z, pkt, question);
	}
	if (ldns_pkt_edns(q))
		ldns_pkt_set_edns_udp_size(pkt, ZONE_UDP_MAX);
	return pkt;
}

/* what @limit does not hold is asked for by TCP */
static size_t answer_put(ldns_pkt *pkt, const uint8_t *query, size_t limit,
			 uint8_t *out)
{
	uint8_t *wire = NULL;
	size_t len = 0;

	if (ldns_pkt2wire(&wire, pkt, &len) != LDNS_STATUS_OK)
		return answer_bare(query, LDNS_RCODE_SERVFAIL, out);
	if (len > limit) {
		len = answer_bare(query, LDNS_RCODE_NOERROR, out);
		out[2] |= TC;
	} else {
		memcpy(out, wire, len);
	}
	free(wire);
	return len;
}

size_t zone_answer(const struct zone *z, const uint8_t *query, size_t len,
		   bool tcp, uint8_t *out, size_t out_size)
{
	ldns_pkt *q = NULL, *pkt;
	size_t limit = tcp ? ZONE_TCP_MAX : 512, n;

	if (len < HEADER_LEN || query[2] & QR)
		return 0; /* answers are never answered: no loops */
	if ((query[2] >> 3 & 0xf) != LDNS_PACKET_QUERY)
		return answer_bare(query, LDNS_RCODE_NOTIMPL, out);
	if (ldns_wire2pkt(&q, query, len) != LDNS_STATUS_OK)
		return answer_bare(query, LDNS_RCODE_FORMERR, out);
	if (ldns_pkt_qdcount(q) != 1 || ldns_pkt_ancount(q) ||
	    ldns_pkt_nscount(q)) {
		ldns_pkt_free(q);
		return answer_bare(query, LDNS_RCODE_FORMERR, out);
	}
	if (!tcp && ldns_pkt_edns(q) && ldns_pkt_edns_udp_size(q) > limit)
		limit = ldns_pkt_edns_udp_size(q);
	if (!tcp && limit > ZONE_UDP_MAX)
		limit = ZONE_UDP_MAX;
	if (limit > out_size)
		limit = out_size;
	pkt = answer_new(z, q, ldns_rr_list_rr(ldns_pkt_question(q), 0));
	n = pkt ? answer_put(pkt, query, limit, out)
		: answer_bare(query, LDNS_RCODE_SERVFAIL, out);
	ldns_pkt_free(pkt);
	ldns_pkt_free(q);
	return n;
}

/* Bytes of header and question; 0: no query with one question. */
static size_t question_end(const uint8_t *query, size_t len)
{
	size_t at = HEADER_LEN;

	if (len < HEADER_LEN || query[2] & QR || query[4] || query[5] != 1)
		return 0;
	while (at < len && query[at] && query[at] < 64)
		at += 1 + (size_t)query[at];
	if (at >= len || query[at] || len - at < QUESTION_TAIL)
		return 0;
	return at + QUESTION_TAIL;
}

size_t zone_truncated(const uint8_t *query, size_t len, uint8_t *out,
		      size_t out_size)
{
	size_t n = question_end(query, len);

	if (!n || n > out_size)
		return 0;
	answer_bare(query, LDNS_RCODE_NOERROR, out);
	out[2] |= TC;
	out[5] = 1;
	memcpy(out + HEADER_LEN, query + HEADER_LEN, n - HEADER_LEN);
	return n;
}
