/* SPDX-License-Identifier: MIT */
/*
 * datadir - the folder that holds a server's keys, stores and configuration
 *
 *   ntm-server.conf                     what an administrator edits
 *   as/  ca.key ca.pem  server.key server.der  as.db
 *   dc/  ca.der         server.key server.der  dc.db  peers
 *   rs/ ns/ cs/ box/    server.key server.der
 *   exit/  enrol, then what a node keeps: identity.key session known ...
 *   as.sock dc.sock rs.sock dns.sock exit.sock lock       while `run` is going
 *
 * Every file is 0600, the folders 0700, owned by the user the roles run as. A
 * command started by root becomes that user before it touches anything.
 */
#ifndef NTM_SERVERS_DATADIR_H
#define NTM_SERVERS_DATADIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define DATADIR_PATH_MAX 512
#define DATADIR_LOCK	 "lock" /* held by `run` */

enum datadir_file {
	DATADIR_CONF,
	DATADIR_CA_KEY,
	DATADIR_CA_CERT,
	DATADIR_AS_KEY,
	DATADIR_AS_CERT,
	DATADIR_AS_DB,
	DATADIR_DC_CA,
	DATADIR_DC_KEY,
	DATADIR_DC_CERT,
	DATADIR_DC_DB,
	DATADIR_RS_KEY,
	DATADIR_RS_CERT,
	DATADIR_NS_KEY,
	DATADIR_NS_CERT,
	DATADIR_DC_PEERS, /* may be missing */
	DATADIR_REMOVED,  /* the same */
	DATADIR_CS_KEY,
	DATADIR_CS_CERT,
	DATADIR_BOX_KEY,
	DATADIR_BOX_CERT,
	DATADIR_BOX_DB,
	DATADIR_CS_DB,
	DATADIR_GMS_KEY,
	DATADIR_GMS_CERT,
	DATADIR_GMS_DB,
	DATADIR_NFILES,
};

/** the file's name inside the folder, e.g. "as/ca.key" */
const char *datadir_name(enum datadir_file f);
/** Return: 0, -NTM_EINVAL when it is longer than DATADIR_PATH_MAX */
NTM_MUST_CHECK int datadir_path(const char *dir, const char *name,
				char out[static DATADIR_PATH_MAX]);
NTM_MUST_CHECK int datadir_file(const char *dir, enum datadir_file f,
				char out[static DATADIR_PATH_MAX]);
/** /var/lib/ntm for root, else $XDG_DATA_HOME/ntm-server or
 *  ~/.local/share/ntm-server; Return: 0, -NTM_ENOTFOUND (no home) */
NTM_MUST_CHECK int datadir_default(char out[static DATADIR_PATH_MAX]);
/**
 * datadir_make() - the folder and as/, dc/, rs/, exit/ in it; empty folders are accepted
 * @user: root only: who shall own it; NULL: "ntm" if there is one, else "nobody"
 *
 * Return: 0, -NTM_EEXISTS (something is in it), -NTM_ENONAME (no such user),
 *         -NTM_ENOTFOUND (nowhere to make it), -NTM_EPERM, -NTM_ESTORE
 */
NTM_MUST_CHECK int datadir_make(const char *dir, const char *user, bool force);
/**
 * datadir_enter() - root becomes the folder's owner; others must own it
 * Return: 0, -NTM_ENOTFOUND, -NTM_EPERM (not ours)
 */
NTM_MUST_CHECK int datadir_enter(const char *dir);
/** the user a process of @dir runs as; Return: 0, -NTM_ENOTFOUND, -NTM_EPERM */
NTM_MUST_CHECK int datadir_owner(const char *dir, unsigned int *uid,
				 unsigned int *gid);

/** is `run` going in @dir? */
bool datadir_is_running(const char *dir);

#endif
