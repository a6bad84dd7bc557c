/* SPDX-License-Identifier: MIT */
/*
 * played_dc - the DC of another domain as far as ours sees one, with one node; may lie
 *
 * Owner: the test. Context: the site's loop; TLS and UDP on one port of 127.0.0.1.
 */
#ifndef NTM_TESTS_SERVERS_PLAYED_DC_H
#define NTM_TESTS_SERVERS_PLAYED_DC_H

#include "site.h"
#include "tests/unit/common/pki.h"

#define PLAYED_DOMAIN "example.net"

/** struct played_link - a Kdcdc; @asks: the played DC made it */
struct played_link {
	uint64_t id, counter;
	struct datagram_keys keys;
	bool asks, ready;
};

struct played_dc {
	struct site *site;
	struct pki *pki;
	struct pki_id id;	   /* of the DC */
	struct ntmc_identity node; /* of its one node */
	struct tls_context *tls;
	struct channel_listener *listener;
	struct channel *channel; /* to the site; NULL: none */
	int fd, channel_err;
	struct loop_io *io;
	uint16_t port;
	struct played_link in, out; /* made by the site, by us */
	unsigned int n_keys;
	/* how it behaves, and what it says of its node */
	bool silent;
	const char *fqdn;
	uint8_t vip6[16], vip4[4], sig[NTMC_SIG_LEN];
	bool reachable;
	uint32_t info_code, ack_code, key_code;
	uint32_t path_code; /* to a Path ID that it is to know */
	const char
		*agrees_as; /* of whom it says where it is; NULL: of its node */
	/* what it got */
	unsigned int n_requests, n_directions, n_withdraws, n_got;
	char asked[254], asker[254];
	Ntm__Signal *direction, *got; /* the last ones */
	uint8_t withdrawn[NTMC_FP_LEN];
};

/** listening; @domain: of its CA, and its node is desk.carol.@domain */
void played_dc_new(struct played_dc *p, struct site *s, const char *domain);
void played_dc_free(struct played_dc *p);
/** TLS to the site and Key Sharing. Return: 0, the channel's error, or -code */
int played_dc_link(struct played_dc *p);
/** it was restarted: keys are gone */
void played_dc_forget(struct played_dc *p);
/** under @l; @txn 0: one of its own, which is returned */
uint32_t played_dc_send(struct played_dc *p, struct played_link *l,
			Ntm__Signal *msg);
/** waits for an answer to @txn under our own key. NULL: none in 2 s */
const Ntm__Signal *played_dc_answer(struct played_dc *p, uint32_t txn);
/** what it says of its node */
void played_dc_info(struct played_dc *p, Ntm__NodeInfo *out);
/** peer-add at the site, with its address. Return: the error, "" when it worked */
const char *played_dc_add(struct played_dc *p);

#endif
