/* SPDX-License-Identifier: MIT */
/*
 * seal - key phases: which keys send, which open, and their counters
 *
 * Theory of operation
 *
 * A tunnel holds up to three phases, newest first. All open packets; one sends. The
 * initiator of a handshake sends under the new keys at once, because its peer made
 * them first; the responder when a packet under them proves that the initiator has
 * them. Sending never goes back to an older phase.
 *
 * At DP_REKEY_PACKETS the owner is told, once a phase. At DP_STOP_PACKETS nothing
 * more is sealed under the phase, whatever timers do: packets wait for new keys.
 */
#include "broker/datapath/seal.h"

#include <stdlib.h>
#include <string.h>

#include "broker/datapath/output.h"

static void phase_free(struct dp_phase *p)
{
	if (!p)
		return;
	ntmc_aead_free(p->send);
	ntmc_aead_free(p->recv);
	ntmc_wipe(p, sizeof(*p));
	free(p);
}

static void phase_drop(struct dp_tunnel *t, unsigned int i)
{
	struct dp_phase *p = t->phase[i];

	memmove(&t->phase[i], &t->phase[i + 1],
		(DP_PHASES - 1 - i) * sizeof(t->phase[0]));
	t->phase[DP_PHASES - 1] = NULL;
	if (t->send == p)
		t->send = NULL;
	phase_free(p);
}

void seal_clear(struct dp_tunnel *t)
{
	while (t->phase[0])
		phase_drop(t, 0);
}

bool seal_ready(const struct dp_tunnel *t)
{
	return t->send && t->has_path && t->send->counter < DP_STOP_PACKETS;
}

struct dp_phase *seal_find(struct dp_tunnel *t, uint8_t phase)
{
	for (unsigned int i = 0; i < DP_PHASES && t->phase[i]; i++) {
		if (t->phase[i]->phase == phase)
			return t->phase[i];
	}
	return NULL;
}

bool seal_heard(struct dp_tunnel *t, struct dp_phase *p)
{
	if (p->heard)
		return false;
	p->heard = true;
	if (!t->send || t->send->order < p->order)
		t->send = p;
	return true;
}

static int phase_new(uint8_t phase, enum ntmc_aead_alg aead,
		     const struct ntmc_key *send, const struct ntmc_key *recv,
		     struct dp_phase **out)
{
	struct dp_phase *p = calloc(1, sizeof(*p));
	int ret;

	if (!p)
		return -NTM_ENOMEM;
	p->phase = phase;
	ret = ntmc_aead_new(aead, send, &p->send);
	if (ret == 0)
		ret = ntmc_aead_new(aead, recv, &p->recv);
	if (ret) {
		phase_free(p);
		return ret;
	}
	*out = p;
	return 0;
}

int dp_tunnel_add_keys(struct dp_tunnel *t, uint8_t phase,
		       enum ntmc_aead_alg aead, const struct ntmc_key *send,
		       const struct ntmc_key *recv, bool confirmed)
{
	struct dp_phase *p;
	int ret;

	if (t->state == DP_DEAD)
		return -NTM_ESTATE;
	ret = phase_new(phase, aead, send, recv, &p);
	if (ret)
		return ret;
	/* A number in use again: the peer has forgotten the older keys. */
	for (unsigned int i = 0; i < DP_PHASES && t->phase[i]; i++) {
		if (t->phase[i]->phase == phase) {
			phase_drop(t, i);
			break;
		}
	}
	if (t->phase[DP_PHASES - 1])
		phase_drop(t, t->phase[DP_PHASES - 1] == t->send
				      ? DP_PHASES - 2
				      : DP_PHASES - 1);
	memmove(&t->phase[1], &t->phase[0],
		(DP_PHASES - 1) * sizeof(t->phase[0]));
	t->phase[0] = p;
	p->order = ++t->next_order;
	if (confirmed) {
		t->send = p;
		output_resume(t);
	}
	return 0;
}

void dp_tunnel_drop_old_keys(struct dp_tunnel *t)
{
	unsigned int i = 0;

	while (t->send && i < DP_PHASES && t->phase[i]) {
		/* a newer one is not old: its confirmation may be on its way */
		if (t->phase[i]->order >= t->send->order)
			i++;
		else
			phase_drop(t, i);
	}
}

void dp_tunnel_stop(struct dp_tunnel *t)
{
	uint64_t last = t->send ? t->send->order : 0;
	unsigned int i = 0;

	while (i < DP_PHASES && t->phase[i]) {
		if (t->phase[i]->order > last)
			i++;
		else
			phase_drop(t, i);
	}
}

unsigned int dp_tunnel_phases(const struct dp_tunnel *t, uint8_t out[static 3])
{
	unsigned int n = 0;

	for (; n < DP_PHASES && t->phase[n]; n++)
		out[n] = t->phase[n]->phase;
	return n;
}

uint32_t seal_datagram(struct dp_tunnel *t, uint8_t flags, const void *head,
		       size_t head_len, const void *body, size_t body_len,
		       uint8_t *dst)
{
	struct dp_phase *p = t->send;
	struct packet_header h = {.type = PACKET_DATA, .flags = flags};

	if (!seal_ready(t))
		return 0;
	h.phase = p->phase;
	h.id = t->path_id ^ 1;
	h.counter = p->counter++;
	packet_header_put(&h, dst);
	if (ntmc_aead_seal_iov(p->send, h.counter, dst, PACKET_HEADER_LEN, head,
			       head_len, body, body_len,
			       dst + PACKET_HEADER_LEN))
		return 0;
	if (p->counter >= DP_REKEY_PACKETS && !p->rekey_told) {
		p->rekey_told = true;
		output_event(t, DP_EVENT_REKEY);
	}
	return (uint32_t)(head_len + body_len) + PACKET_OVERHEAD;
}
