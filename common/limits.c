/* SPDX-License-Identifier: MIT */
/* limits - what each field of ntm.proto may hold */
#include "common/limits.h"

#include "common/addr.h"
#include "common/ntm.pb-c.h"
#include "common/packet.h"
#include "libntmcrypto/groupkey.h"
#include "libntmcrypto/groupnode.h"

#define LIMIT_TEXT_MAX	     128
#define LIMIT_PASSWORD_MAX   1024
#define LIMIT_PHASES_MAX     16
#define LIMIT_CHALLENGE	     16
#define LIMIT_REQUEST	     8	  /* of a refused request's tag */
#define LIMIT_WITHDRAWN	     16	  /* fingerprints in one Withdraw */
#define LIMIT_REVOKED	     30	  /* and in one RevocationList */
#define LIMIT_DEVICES	     1024 /* of one account */
#define LIMIT_RECOMMENDED    32
#define LIMIT_PORTS	     32
#define LIMIT_SIZE_MAX	     PACKET_DATA_MAX
#define LIMIT_RELAYS	     4
#define LIMIT_RELAY_ADDRS    4
#define LIMIT_ACCOUNTS	     8	 /* in one RelayWithdraw */
#define LIMIT_EXIT_ACCOUNTS  500 /* in one ExitAccounts */
#define LIMIT_TOKENS	     4	 /* of one node */
#define LIMIT_TOKEN_NODES    100 /* in one TokenList */
#define LIMIT_ID	     64	 /* application, service, item */
#define LIMIT_MESSAGE_TEXT   256
#define LIMIT_LOCAL_NAME     127  /* device.account */
#define LIMIT_PART	     1000 /* of an answer between boxes */
#define LIMIT_PARTS	     64
#define LIMIT_BOX_NODES	     100 /* in one BoxNodes or BoxGone */
#define LIMIT_GROUP_MANAGERS 4	 /* in a LoginResponse */
#define LIMIT_GROUP_PARTS    400 /* in one GroupParts */
#define LIMIT_GROUP_NEWS     200 /* entries in one GroupNews */
#define LIMIT_GROUP_PEOPLE   200 /* in one GroupAnswer */
#define LIMIT_GROUP_PLANS    16	 /* in one GroupPlans */
#define LIMIT_PLAN_MEMBERS   64

/* clang-format off */
/* The rows; several of a kind stand for fields of a kind. */
#define ANY(f)		    { #f, LIMIT_NUMBER, 0, UINT64_MAX, 0 }
#define UPTO(f, max)	    { #f, LIMIT_NUMBER, 0, max, 0 }
#define PATH_ID(f)	    { #f, LIMIT_PATH_ID, 0, 0, 0 }
#define ENUM(f)		    { #f, LIMIT_ENUM, 0, 0, 0 }
#define FIXED(f, len)	    { #f, LIMIT_BYTES, len, len, 0 }
#define FIXED_OR_NONE(f, l) { #f, LIMIT_BYTES_OR_NONE, l, l, 0 }
#define BYTES(f, min, max)  { #f, LIMIT_BYTES, min, max, 0 }
#define IP(f)		    { #f, LIMIT_IP, 4, 16, 0 }
#define TEXT(f, max)	    { #f, LIMIT_TEXT, 0, max, 0 }
#define FQDN(f)		    { #f, LIMIT_FQDN, 1, NTMC_FQDN_MAX, 0 }
#define FQDN_OR_NONE(f)	    { #f, LIMIT_FQDN, 0, NTMC_FQDN_MAX, 0 }
#define LABEL(f)	    { #f, LIMIT_LABEL, 1, 63, 0 }
#define LABEL_OR_NONE(f)    { #f, LIMIT_LABEL, 0, 63, 0 }
#define NEEDED(f)	    { #f, LIMIT_MESSAGE, 1, 0, 0 }
#define OPTIONAL(f)	    { #f, LIMIT_MESSAGE, 0, 0, 0 }
#define BODY(f)		    { #f, LIMIT_BODY, 1, 0, 0 }
#define MANY(f, n)	    { #f, LIMIT_MESSAGE, 1, 0, n }
#define MANY_FIXED(f, l, n) { #f, LIMIT_BYTES, l, l, n }
#define MANY_UPTO(f, m, n)  { #f, LIMIT_NUMBER, 0, m, n }

#define CODE(f)		    UPTO(f, 65535)
#define KEY(f)		    FIXED(f, NTMC_KEY_LEN)
#define KEY_OR_NONE(f)	    FIXED_OR_NONE(f, NTMC_KEY_LEN)
#define SIG(f)		    FIXED(f, NTMC_SIG_LEN)
#define AEAD(f)		    UPTO(f, NTMC_CHACHA20_POLY1305)
#define ADDRESSES(f)	    MANY(f, ADDR_REMOTES_MAX)
#define FINGERPRINTS(f, n)  MANY_FIXED(f, NTMC_FP_LEN, n)
#define CERTIFICATE(f)	    BYTES(f, 1, NTMC_CERT_MAX)
#define CERT_OR_NONE(f)	    { #f, LIMIT_BYTES_OR_NONE, 1, NTMC_CERT_MAX, 0 }

static const struct limit address[] = {
	IP(ip), UPTO(port, 65535), ENUM(kind),
};
static const struct limit node_info[] = {
	FQDN(fqdn), KEY(ed_pub), KEY(x_pub), SIG(x_sig),
	FIXED_OR_NONE(vip6, 16), FIXED_OR_NONE(vip4, 4), ADDRESSES(addresses),
};
static const struct limit relay[] = {
	ANY(id), MANY(addresses, LIMIT_RELAY_ADDRS), UPTO(tls_port, 65535),
};
static const struct limit relay_rtt[] = { ANY(id), ANY(rtt_us) };
static const struct limit registration_request[] = {
	ADDRESSES(addresses), FIXED_OR_NONE(challenge, LIMIT_CHALLENGE),
	ANY(revocation_serial), BYTES(padding, 0, LIMIT_SIZE_MAX),
	MANY(relays, LIMIT_RELAYS), ENUM(mapping), ANY(keepalive_s),
	ENUM(wakeup), OPTIONAL(push), UPTO(unasked, 1),
};
static const struct limit registration_response[] = {
	CODE(code), FIXED_OR_NONE(vip6, 16), FIXED_OR_NONE(vip4, 4),
	OPTIONAL(observed), FIXED_OR_NONE(challenge, LIMIT_CHALLENGE),
	ANY(keepalive_s), ANY(boot), ANY(revocation_serial), ANY(now),
	MANY(relays, LIMIT_RELAYS), ANY(keepalive_max_s),
	OPTIONAL(ns), UPTO(has_ns, 1), UPTO(push, 1), ANY(cache_serial),
};
static const struct limit push_token[] = {
	ENUM(kind), { "token", LIMIT_TEXT, 1, 512, 0 },
};
static const struct limit notification_server[] = {
	MANY(addresses, LIMIT_RELAY_ADDRS), ANY(key_id), KEY(key), AEAD(aead),
};
static const struct limit notification_registration[] = {
	ANY(interval_s), ANY(interval_max_s),
};
static const struct limit notifier_registration[] = {
	MANY(addresses, LIMIT_RELAY_ADDRS), ANY(nodes), ANY(room),
};
static const struct limit notification_request[] = {
	ANY(node_id), UPTO(drop, 1),
};
static const struct limit keep_alive[] = { ANY(interval_s) };
static const struct limit mapping_request[] = {
	OPTIONAL(at), FIXED_OR_NONE(cookie, LIMIT_CHALLENGE),
	BYTES(padding, 0, PACKET_SIGNAL_MAX),
};
static const struct limit mapping_response[] = {
	OPTIONAL(observed), FIXED_OR_NONE(cookie, LIMIT_CHALLENGE),
};
static const struct limit keep_alive_ack[] = {
	ANY(boot), ANY(revocation_serial), ANY(cache_serial),
};
static const struct limit direction_request[] = {
	FQDN(fqdn), ENUM(reason), ANY(path_id), AEAD(aead),
};
static const struct limit route_direction[] = {
	PATH_ID(path_id), ENUM(role), NEEDED(peer), KEY(ktun), KEY(ktmp),
	AEAD(aead), ANY(lifetime_s), ENUM(reason), OPTIONAL(relay),
	ENUM(end),
};
static const struct limit ntm_ack[] = {
	CODE(code), ANY(retry_after_ms), OPTIONAL(peer),
};
static const struct limit withdraw[] = {
	FINGERPRINTS(fingerprints, LIMIT_WITHDRAWN), ANY(revocation_serial),
};
static const struct limit revocation_request[] = { ANY(since) };
static const struct limit revocation_list[] = {
	FINGERPRINTS(fingerprints, LIMIT_REVOKED), ANY(serial), UPTO(more, 1),
};
static const struct limit relay_registration[] = {
	MANY(addresses, LIMIT_RELAY_ADDRS), ANY(load), ANY(paths),
	UPTO(draining, 1), UPTO(tls_port, 65535),
};
static const struct limit relay_registration_ack[] = { CODE(code), ANY(boot) };
static const struct limit relay_end[] = {
	FQDN_OR_NONE(account), { "proven", LIMIT_BYTES_OR_NONE, 4, 16, 0 },
};
static const struct limit relay_direction[] = {
	PATH_ID(path_id), KEY(kpunch), AEAD(aead), NEEDED(mn), NEEDED(cn),
};
static const struct limit group_direction[] = {
	ANY(tag), KEY(relay_key), KEY(bind_key), AEAD(aead),
	UPTO(places, GROUP_MEMBERS_MAX), FQDN_OR_NONE(account),
	UPTO(lifetime_s, 86400),
};
static const struct limit group_directed[] = {
	ANY(tag), CODE(code), MANY(addresses, LIMIT_RELAY_ADDRS),
};
static const struct limit relay_withdraw[] = {
	{ "accounts", LIMIT_FQDN, 1, NTMC_FQDN_MAX, LIMIT_ACCOUNTS },
};
static const struct limit node_information_request[] = {
	FQDN(fqdn), FQDN(asker),
};
static const struct limit node_information[] = {
	CODE(code), ANY(retry_after_ms), OPTIONAL(node), UPTO(reachable, 1),
	UPTO(families, 3), AEAD(aead),
};
static const struct limit peer_direction[] = {
	FQDN(fqdn), NEEDED(route), UPTO(check_path, 1),
};
static const struct limit domain_request[] = { FQDN(name) };
static const struct limit domain_information[] = {
	CODE(code), FQDN_OR_NONE(domain), CERT_OR_NONE(ca),
};
static const struct limit exit_status[] = {
	UPTO(load, 1000), UPTO(draining, 1),
};
#define LOCAL_NAME(f)	    { #f, LIMIT_FQDN, 1, LIMIT_LOCAL_NAME, 0 }
#define ID(f)		    { #f, LIMIT_TEXT, 1, LIMIT_ID, 0 }
static const struct limit temporal_key_transfer[] = {
	LOCAL_NAME(from), LOCAL_NAME(to), ID(application), ID(service),
	ID(item), KEY(key), ANY(expires),
};
static const struct limit exchange_request[] = {
	ENUM(kind), LOCAL_NAME(from), LOCAL_NAME(to), ID(application),
	ID(service), ID(item), TEXT(message, LIMIT_MESSAGE_TEXT),
	KEY_OR_NONE(hash), ANY(size), KEY_OR_NONE(ticket), FQDN(cs),
	MANY(addresses, LIMIT_RELAY_ADDRS), ANY(expires), ANY(since),
};
static const struct limit prekey_request[] = {
	LOCAL_NAME(name), UPTO(part, LIMIT_PARTS - 1),
};
static const struct limit box_request[] = {
	BODY(temporal_key), BODY(exchange), BODY(prekeys),
};
static const struct limit box_response[] = {
	CODE(code), ANY(retry_after_ms), BYTES(prekeys, 0, LIMIT_PART),
	UPTO(parts, LIMIT_PARTS), FIXED_OR_NONE(hash, 8),
};
static const struct limit box_notice[] = { ANY(serial) };
static const struct limit box_node[] = {
	FQDN(fqdn), FIXED_OR_NONE(fingerprint, NTMC_FP_LEN), ANY(serial),
};
static const struct limit box_nodes[] = { MANY(nodes, LIMIT_BOX_NODES) };
static const struct limit box_gone[] = {
	{ "names", LIMIT_FQDN, 1, NTMC_FQDN_MAX, LIMIT_BOX_NODES },
};
static const struct limit box_question[] = {
	ANY(id), FQDN_OR_NONE(domain), NEEDED(request), FQDN_OR_NONE(name),
};
static const struct limit box_answer[] = { ANY(id), NEEDED(response) };
static const struct limit box_link[] = {
	BODY(nodes), BODY(gone), BODY(question), BODY(answer),
};
static const struct limit hole_punch[] = {
	ANY(sent_ms), FIXED_OR_NONE(cookie, LIMIT_CHALLENGE), UPTO(leave, 1),
	BYTES(padding, 0, PACKET_SIGNAL_MAX),
};
static const struct limit hole_punch_ack[] = {
	ANY(sent_ms), CODE(code), FIXED_OR_NONE(cookie, LIMIT_CHALLENGE),
	UPTO(bound, 1), UPTO(peer_bound, 1), OPTIONAL(observed),
	ANY(lifetime_s), UPTO(echo, 1), CODE(peer_code),
	BYTES(places, 0, GROUP_MEMBERS_MAX / 8),
};
static const struct limit key_sharing[] = {
	ANY(id), KEY(key), AEAD(aead), ANY(lifetime_s),
};
static const struct limit signal[] = {
	ANY(txn), BODY(registration_request), BODY(registration_response),
	BODY(keep_alive), BODY(keep_alive_ack), BODY(direction_request),
	BODY(route_direction), BODY(ack), BODY(withdraw),
	BODY(revocation_request), BODY(revocation_list),
	BODY(relay_registration), BODY(relay_registration_ack),
	BODY(relay_direction), BODY(relay_withdraw),
	BODY(node_information_request), BODY(node_information),
	BODY(peer_direction), BODY(domain_request), BODY(domain_information),
	BODY(mapping_request), BODY(mapping_response),
	BODY(route_direction_request), BODY(notification_registration),
	BODY(notification), BODY(exit_status),
	BODY(box_request), BODY(box_response),
	BODY(box_notice), BODY(group_direction),
};
static const struct limit tunnel_message[] = {
	CODE(code), BYTES(noise, 0, PACKET_SIGNAL_MAX),
	FIXED_OR_NONE(request, LIMIT_REQUEST),
};
static const struct limit tunnel_request_payload[] = {
	CERTIFICATE(certificate), ANY(sent_ms),
	BYTES(phases, 0, LIMIT_PHASES_MAX), ANY(version),
};
static const struct limit tunnel_response_payload[] = {
	CERTIFICATE(certificate), UPTO(phase, 255), OPTIONAL(observed),
	ANY(version),
};
static const struct limit path_challenge[] = {
	ANY(cookie), BYTES(padding, 0, LIMIT_SIZE_MAX),
};
static const struct limit path_response[] = {
	ANY(cookie), OPTIONAL(observed), UPTO(size, LIMIT_SIZE_MAX),
};
static const struct limit tunnel_close[] = { CODE(code) };
static const struct limit peer_addresses[] = {
	ADDRESSES(addresses), ANY(serial), ENUM(mapping),
};
static const struct limit echo[] = { ANY(cookie), UPTO(reply, 1),
				     BYTES(padding, 0, LIMIT_SIZE_MAX) };
static const struct limit tunnel_control[] = {
	BODY(challenge), BODY(response), BODY(close), BODY(addresses),
	BODY(echo),
};
static const struct limit login_request[] = {
	LABEL_OR_NONE(account), TEXT(password, LIMIT_PASSWORD_MAX),
	LABEL_OR_NONE(device), KEY(ed_pub), KEY(x_pub), SIG(x_sig), AEAD(aead),
	TEXT(version, LIMIT_TEXT_MAX), ANY(now),
};
static const struct limit recommendation[] = {
	TEXT(subject, NTMC_FQDN_MAX + 1), MANY_UPTO(ports, 65535, LIMIT_PORTS),
};
static const struct limit login_response[] = {
	CODE(code), FQDN_OR_NONE(fqdn), ANY(node_id), KEY_OR_NONE(kntmdc),
	CERT_OR_NONE(certificate), CERT_OR_NONE(ca), ADDRESSES(dc),
	ANY(lifetime_s), ANY(now), MANY(recommendations, LIMIT_RECOMMENDED),
	ANY(retry_after_s), MANY(relays, LIMIT_RELAYS), UPTO(exit, 1),
	KEY_OR_NONE(token), UPTO(box_port, 65535),
	MANY(group_managers, LIMIT_GROUP_MANAGERS),
};
static const struct limit group_manager[] = {
	FQDN(name), KEY(ed_pub), MANY(addresses, LIMIT_RELAY_ADDRS), ANY(key_id),
	KEY(key),
};
static const struct limit token_subscription[] = {
	MANY(addresses, LIMIT_RELAY_ADDRS),
};
static const struct limit token[] = { FIXED(hash, NTMC_HASH_LEN), ANY(expires) };
static const struct limit node_tokens[] = {
	FQDN(fqdn), MANY(tokens, LIMIT_TOKENS), UPTO(withdrawn, 1),
};
static const struct limit token_list[] = {
	MANY(nodes, LIMIT_TOKEN_NODES), UPTO(first, 1), UPTO(last, 1),
};
static const struct limit token_change[] = { NEEDED(node), UPTO(gone, 1) };
static const struct limit exit_accounts[] = {
	{ "accounts", LIMIT_LABEL, 1, 63, LIMIT_EXIT_ACCOUNTS }, UPTO(first, 1), UPTO(last, 1),
};
static const struct limit key_distribution[] = {
	ANY(node_id), FQDN(fqdn), KEY(kntmdc), AEAD(aead), ANY(expires),
	KEY(ed_pub), KEY(x_pub), SIG(x_sig),
};
static const struct limit key_distribution_ack[] = {
	CODE(code), FIXED_OR_NONE(vip6, 16), FIXED_OR_NONE(vip4, 4),
	MANY(relays, LIMIT_RELAYS), UPTO(box_port, 65535),
};
static const struct limit revocation[] = {
	FINGERPRINTS(fingerprints, LIMIT_DEVICES), UPTO(release, 1),
};
static const struct limit password_request[] = {
	LABEL(account), TEXT(old_password, LIMIT_PASSWORD_MAX),
	TEXT(new_password, LIMIT_PASSWORD_MAX),
};
static const struct limit device[] = {
	FQDN(fqdn), FIXED(fingerprint, NTMC_FP_LEN), ANY(last_login),
	UPTO(revoked, 1), TEXT(version, LIMIT_TEXT_MAX),
};
static const struct limit devices_response[] = {
	CODE(code), MANY(devices, LIMIT_DEVICES),
};
static const struct limit revoke_request[] = { FQDN(fqdn) };
static const struct limit certificate_request[] = { CERTIFICATE(certificate) };
static const struct limit certificate_response[] = {
	CODE(code), CERT_OR_NONE(certificate),
};
#define GROUP(f)	    FIXED(f, GROUP_ID_LEN)
#define GROUP_PREKEY(f)	    FIXED_OR_NONE(f, GROUP_PREKEY_LEN)
#define GROUP_ENTRY(f)	    BYTES(f, 1, GROUP_ENTRY_MAX)
static const struct limit group_hello[] = {
	GROUP(group), ANY(epoch), FIXED_OR_NONE(hash, NTMC_HASH_LEN),
	GROUP_PREKEY(prekey), ANY(node_id), ANY(key_id),
	FIXED_OR_NONE(seal, GROUP_SEAL_LEN),
};
static const struct limit group_part[] = {
	ANY(index), FIXED(part, GROUP_PART_LEN),
};
static const struct limit group_parts[] = {
	GROUP(group), ANY(epoch), MANY(parts, LIMIT_GROUP_PARTS),
};
static const struct limit group_submit[] = {
	GROUP_ENTRY(entry), KEY_OR_NONE(sealer),
	MANY_FIXED(prekeys, GROUP_PREKEY_LEN, GROUP_JOIN_MAX),
};
static const struct limit group_logged[] = {
	GROUP_ENTRY(entry), KEY_OR_NONE(sealer), FIXED_OR_NONE(part, GROUP_PART_LEN),
};
static const struct limit group_relay[] = {
	GROUP(group), ANY(epoch), MANY(addresses, LIMIT_RELAY_ADDRS),
	KEY_OR_NONE(key), AEAD(aead), UPTO(place, GROUP_MEMBERS_MAX - 1),
};
static const struct limit group_news[] = {
	GROUP(group), MANY(entries, LIMIT_GROUP_NEWS),
	FIXED_OR_NONE(seal, GROUP_SEAL_LEN), KEY_OR_NONE(rn2), ANY(now),
	FIXED_OR_NONE(rn2_sealed, GROUP_RN2_SEALED_LEN),
};
static const struct limit group_ack[] = {
	GROUP(group), ANY(epoch), FIXED_OR_NONE(confirmation, GROUP_CONFIRM_LEN),
	GROUP_PREKEY(prekey),
};
static const struct limit group_question[] = {
	GROUP(group), ANY(from), UPTO(all, 1),
};
static const struct limit group_person[] = {
	ANY(index), GROUP_PREKEY(prekey), ANY(acked),
	FIXED_OR_NONE(confirmation, GROUP_CONFIRM_LEN), ANY(seen),
};
static const struct limit group_answer[] = {
	GROUP(group), ANY(epoch), MANY(people, LIMIT_GROUP_PEOPLE), UPTO(last, 1),
	UPTO(follows, 1),
};
static const struct limit group_leave[] = {
	GROUP(group), ANY(index), ANY(epoch), SIG(signature),
};
static const struct limit group_gone[] = { GROUP(group), CODE(code), ANY(epoch) };
static const struct limit group_want[] = { GROUP(group), ANY(index) };
static const struct limit group_plan_question[] = {
	FIXED_OR_NONE(done, GROUP_ID_LEN), UPTO(declined, 1),
};
static const struct limit group_plan_member[] = {
	FQDN(name), UPTO(rights, GROUP_ALL_RIGHTS),
};
static const struct limit group_plan[] = {
	FIXED(id, GROUP_ID_LEN), LABEL(name),
	MANY(members, LIMIT_PLAN_MEMBERS), UPTO(auth, GROUP_AUTH_BATCH),
	UPTO(delegate, 1), ANY(keep_s), ANY(renew_s), ANY(refresh_s),
	ANY(evict_s), ANY(max_age_s),
};
static const struct limit group_plans[] = { MANY(plans, LIMIT_GROUP_PLANS) };
static const struct limit envelope[] = {
	ANY(txn), BODY(login_request), BODY(login_response),
	BODY(key_distribution), BODY(key_distribution_ack), BODY(revocation),
	BODY(ack), BODY(password_request), BODY(devices_request),
	BODY(devices_response), BODY(revoke_request), BODY(key_sharing),
	BODY(notifier_registration), BODY(notification_request),
	BODY(exit_accounts), BODY(certificate_request),
	BODY(certificate_response),
	BODY(token_subscription), BODY(token_list),
	BODY(token_change),
	BODY(group_hello), BODY(group_parts), BODY(group_submit),
	BODY(group_news), BODY(group_ack), BODY(group_question),
	BODY(group_answer), BODY(group_leave), BODY(group_gone),
	BODY(group_want), BODY(group_direction), BODY(group_directed),
	BODY(group_relay), BODY(group_plan_question), BODY(group_plans),
};
static const struct limit nothing[1];

#define ROWS(name) \
	{ &ntm__##name##__descriptor, name, sizeof(name) / sizeof(name[0]) }
#define EMPTY(name) { &ntm__##name##__descriptor, nothing, 0 }

/* The ones a busy DC checks most come first. */
static const struct {
	const ProtobufCMessageDescriptor *descriptor;
	const struct limit *rows;
	size_t n;
} tables[] = {
	ROWS(signal), ROWS(keep_alive), ROWS(keep_alive_ack), ROWS(address),
	ROWS(direction_request), ROWS(route_direction), ROWS(node_info),
	ROWS(ntm_ack), ROWS(registration_request), ROWS(registration_response),
	ROWS(tunnel_control), ROWS(path_challenge), ROWS(path_response),
	ROWS(tunnel_close), ROWS(peer_addresses), ROWS(echo),
	ROWS(tunnel_message), ROWS(tunnel_request_payload),
	ROWS(tunnel_response_payload), ROWS(withdraw), ROWS(revocation_request),
	ROWS(revocation_list), ROWS(envelope), ROWS(login_request),
	ROWS(login_response), ROWS(recommendation), ROWS(key_distribution),
	ROWS(key_distribution_ack), ROWS(revocation), ROWS(password_request),
	EMPTY(devices_request), ROWS(device), ROWS(devices_response),
	ROWS(revoke_request), ROWS(hole_punch), ROWS(hole_punch_ack),
	ROWS(relay), ROWS(relay_rtt), ROWS(relay_registration),
	ROWS(relay_registration_ack), ROWS(relay_end), ROWS(relay_direction),
	ROWS(relay_withdraw), ROWS(key_sharing), ROWS(mapping_request),
	ROWS(mapping_response), ROWS(notification_server), ROWS(push_token),
	EMPTY(route_direction_request), ROWS(notification_registration),
	EMPTY(notification), ROWS(notifier_registration),
	ROWS(notification_request),
	ROWS(node_information_request), ROWS(node_information),
	ROWS(peer_direction), ROWS(domain_request), ROWS(domain_information),
	ROWS(exit_accounts), ROWS(exit_status), ROWS(certificate_request),
	ROWS(certificate_response),
	ROWS(token), ROWS(node_tokens),
	ROWS(token_subscription), ROWS(token_list), ROWS(token_change),
	ROWS(temporal_key_transfer),
	ROWS(exchange_request), ROWS(prekey_request), ROWS(box_request),
	ROWS(box_response), ROWS(box_notice), ROWS(box_node), ROWS(box_nodes),
	ROWS(box_gone), ROWS(box_question), ROWS(box_answer), ROWS(box_link),
	ROWS(group_hello), ROWS(group_part), ROWS(group_parts),
	ROWS(group_submit), ROWS(group_logged), ROWS(group_news),
	ROWS(group_ack), ROWS(group_question), ROWS(group_person),
	ROWS(group_answer), ROWS(group_leave), ROWS(group_gone), ROWS(group_want),
	ROWS(group_manager), ROWS(group_direction), ROWS(group_directed),
	ROWS(group_relay), ROWS(group_plan_question), ROWS(group_plan_member),
	ROWS(group_plan), ROWS(group_plans),
};
/* clang-format on */

#define N_TABLES (sizeof(tables) / sizeof(tables[0]))

const ProtobufCMessageDescriptor *limits_message(size_t i)
{
	return i < N_TABLES ? tables[i].descriptor : NULL;
}

const struct limit *limits_of(const ProtobufCMessageDescriptor *d, size_t *n)
{
	size_t i;

	for (i = 0; i < N_TABLES; i++) {
		if (tables[i].descriptor == d) {
			*n = tables[i].n;
			return tables[i].rows;
		}
	}
	return NULL;
}
