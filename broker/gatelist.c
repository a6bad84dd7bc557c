/* SPDX-License-Identifier: MIT */
/* gatelist - the gates that a node knows */
#include "broker/gatelist.h"

#include <string.h>

#include "broker/state.pb-c.h"
#include "broker/statefile.h"
#include "common/log.h"

#define FILE_NAME "gates"

static bool entry_load(const Ntm__State__Gate *m, struct gate_entry *out)
{
	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < m->n_addresses && out->n < GATE_ADDRS_MAX; i++)
		if (!statefile_addr_get(&m->addresses[i], &out->addrs[out->n]))
			out->n++;
	out->port = (uint16_t)m->port;
	return out->n && m->port && m->port <= UINT16_MAX;
}

size_t gatelist_load(const char *state, struct gate_entry out[GATES_MAX])
{
	const Ntm__State__Gates *m;
	ProtobufCMessage *msg;
	size_t n = 0;
	int err = statefile_load(state, FILE_NAME,
				 &ntm__state__gates__descriptor, &msg);

	if (err == -NTM_ENOTFOUND)
		return 0;
	if (err) {
		log_warn("gate", "%s/" FILE_NAME " cannot be used: %s", state,
			 err_text(err));
		return 0;
	}
	m = (const Ntm__State__Gates *)msg;
	for (size_t i = 0; i < m->n_gates && n < GATES_MAX; i++)
		n += entry_load(m->gates[i], &out[n]);
	statefile_free(msg);
	return n;
}

void gatelist_save(const char *state, const struct gate_entry *list, size_t n)
{
	uint8_t bytes[GATES_MAX][GATE_ADDRS_MAX][STATEFILE_ADDR_MAX];
	ProtobufCBinaryData addrs[GATES_MAX][GATE_ADDRS_MAX];
	Ntm__State__Gate gate[GATES_MAX], *gates[GATES_MAX];
	Ntm__State__Gates m = NTM__STATE__GATES__INIT;
	int err;

	for (size_t i = 0; i < n; i++) {
		ntm__state__gate__init(&gate[i]);
		for (size_t k = 0; k < list[i].n; k++)
			addrs[i][k] = (ProtobufCBinaryData){
				statefile_addr_put(&list[i].addrs[k],
						   bytes[i][k]),
				bytes[i][k]};
		gate[i].n_addresses = list[i].n;
		gate[i].addresses = addrs[i];
		gate[i].port = list[i].port;
		gates[i] = &gate[i];
	}
	m.n_gates = n;
	m.gates = gates;
	err = statefile_save(state, FILE_NAME, &m.base);
	if (err)
		log_warn("gate", "%s/" FILE_NAME " could not be written: %s",
			 state, err_text(err));
}

void gatelist_remove(const char *state)
{
	statefile_remove(state, FILE_NAME);
}

size_t gatelist_take(Ntm__Relay *const *list, size_t n,
		     struct gate_entry out[GATES_MAX])
{
	size_t k = 0;

	for (size_t i = 0; i < n && k < GATES_MAX; i++) {
		struct gate_entry *e = &out[k];

		if (!list[i]->tls_port || list[i]->tls_port > UINT16_MAX)
			continue;
		memset(e, 0, sizeof(*e));
		e->port = (uint16_t)list[i]->tls_port;
		e->n = addr_list_from_messages(list[i]->addresses,
					       list[i]->n_addresses, e->addrs,
					       GATE_ADDRS_MAX);
		k += e->n > 0;
	}
	return k;
}

bool gatelist_same(const struct gate_entry *a, const struct gate_entry *b)
{
	if (a->n != b->n || a->port != b->port)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!addr_equal(&a->addrs[i], &b->addrs[i]))
			return false;
	return true;
}
