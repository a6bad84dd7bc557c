/* SPDX-License-Identifier: MIT */
/*
 * timers - every duration of the node's control plane, by name
 *
 * Other files report events; how long anything waits is decided here. Units are in
 * the names: _MS milliseconds, _S seconds.
 */
#ifndef NTM_BROKER_TIMERS_H
#define NTM_BROKER_TIMERS_H

/* --- the session with the DC (session.c) --- */
#define REQUEST_FIRST_MS      250 /* first repetition; doubles */
#define REQUEST_REPEAT_MAX_MS 4000
#define REQUEST_DOUBT_MS      2000 /* the pause then: is the DC there at all? */
#define REGISTER_RESTART_S    30   /* unanswered registration: longest pause */
#define REGISTER_CHALLENGED_S 10   /* the same, of a challenge to be echoed */
#define SESSION_UNKNOWN_S                                                      \
	20 /* silence of the DC, then the AS is asked; doubles */
#define SESSION_UNKNOWN_MAX_S 3600 /* longest time to the next such question */
#define CHALLENGES_AT_ONCE    3	   /* in a row; the next waits for its time */
#define KEEPALIVE_FIRST_MS    1000 /* repetitions of an unanswered keep-alive */
#define KEEPALIVE_SECOND_MS   2000
#define KEEPALIVE_DEFAULT_S   20 /* until the DC has said otherwise */
#define KEEPALIVE_MIN_S	      2
#define KEEPALIVE_MAX_S	      300

/* --- how long the NAT bears silence (keepalive.c) --- */
#define KEEPALIVE_PAPERS_S 20 /* the papers' interval */
#define KEEPALIVE_SETTLE_S                                                     \
	3		    /* Linux: a flow lives longer after 2 s both ways */
#define KEEPALIVE_TRIES	  3 /* of the feeler; and of the DC's to reach it */
#define KEEPALIVE_HEAR_MS 1500 /* the DC wrote: it comes until then */
#define KEEPALIVE_LATE_S  3    /* a silence that much longer is another one */
#define KEEPALIVE_RETRY_S 300  /* the DC did not answer: measured again */
#define KEEPALIVE_AGAIN_S 3600 /* a mapping died in use: measured again */

/* --- direction and handshake (direction.c, peer.c) --- */
#define DIRECTION_LIMIT_MS 3000 /* the DC's answer to what it knows itself */
#define DIRECTION_WAKE_MS                                                      \
	4600 /* where CN may have to be woken: the DC gives that 3.5 s,        \
		and 1 s to the relay then */
#define CONNECT_LIMIT_MS 4800 /* a look-up fails by then: 5 s to the program */
#define ROUTE_DEFAULT_S	 60   /* life of Ktun and Ktmp when none is named */
#define SHAKE_FIRST_MS	 100 /* Tunnel Request repetitions: 100, 200, 400 ... */
#define SHAKE_TRIES	 5   /* packets per address */
#define SHAKE_TIE_MS	 300 /* crossing requests: the higher waits this long */
#define SHAKE_ASIDE_MS	 1000 /* gave way after that: may still be answered */
#define SHAKE_RATE_S	 1    /* one second's worth of handshakes answered: */
#define SHAKE_RATE_PEER	 8    /* of one peer */
#define SHAKE_RATE_ALL	 400  /* of all */
#define RESUME_DIRECT_MS 300  /* resumption unanswered: ask the DC beside it */

/* --- keys (peer.c) --- */
#define REKEY_LOW_S   120 /* the node with the lower fingerprint */
#define REKEY_HIGH_S  140 /* the other, if nothing came */
#define REKEY_RETRY_S 5
#define REKEY_STOP_S  180  /* keys older than that carry nothing */
#define OLD_KEYS_S    30   /* opened that long after new ones work */
#define IDLE_CLOSE_S  600  /* no inner packet: the tunnel sleeps */
#define DOWN_KEEP_S   300  /* a failed peer is shown that long */
#define DOWN_RETRY_MS 1000 /* a packet to a failed peer tries again after */

/* --- pins (pins.c) --- */
#define PINS_FLUSH_MS 200 /* what handshakes taught, to the disk */
#define PINS_RETRY_S  60  /* the disk was full */

/* --- paths (path.c) --- */
#define PATH_RTT_GUESS_MS	100 /* before the first measurement */
#define PATH_RETRY_MIN_MS	50 /* challenge repetition: 2 rtt, at least this */
#define PATH_RETRY_MAX_MS	2000
#define PATH_TRIES		5 /* unanswered challenges until a candidate is dead */
#define PATH_TICK_MS		100 /* health is looked at, while there is traffic */
#define PATH_TICK_IDLE_MS	500
#define PATH_TRAFFIC_S		10 /* traffic ended that long ago: idle tick */
#define PATH_SILENCE_MS		500 /* sent and heard nothing: suspect, at least */
#define PATH_TAIL_MS		1000 /* traffic ended: does the path still work? */
#define PATH_SUSPECT_MS		250 /* repetition of its probes */
#define PATH_SUSPECT_TRIES	3   /* unanswered: the path is dead */
#define PATH_MOVE_DIRECT_MS	300 /* we moved, no path answers: ask the DC, */
#define PATH_MOVE_DIRECT_MIN_MS 60  /* after 2 rtt; at least, at most */
#define PATH_MOVE_AGAIN_MS	2000 /* and again, while nothing answers: doubles */
#define PATH_MOVE_AGAIN_MAX_MS	30000
/* an idle path is probed, for NATs on the way; keepalive.c may know better */
#define PATH_KEEPALIVE_S   25
#define HANDOVER_SETTLE_MS 4 /* netlink events that follow the first */

/* --- relays (relay.c, punch.c, relayed.c) --- */
#define RELAY_PROBE_S	     300 /* measured again by whoever needs one, then */
#define RELAY_PROBE_FIRST_MS 250 /* repetition of a probe; doubles */
#define RELAY_PROBE_TRIES    3
#define RELAY_ASK_MS	     300 /* a direct request unanswered: ask for a relay */
#define RELAY_AGAIN_MS	     1000 /* by a relay: ask for another one */
#define PUNCH_FIRST_MS	     100  /* repetition of a punch; doubles up to: */
#define PUNCH_SECOND_MS	     40 /* the first one: the relay may not know us yet */
#define PUNCH_RETRY_MAX_MS   5000
#define PUNCH_EVERY_S	     20
#define PUNCH_TRIES	     3	/* unanswered: the relay's next address */
#define PUNCH_SILENT_TRIES   7	/* unanswered: the DC is asked anew */
#define PUNCH_COOKIES	     3	/* in a row; the next waits for its time */
#define PUNCH_DEAD_S	     60 /* no answer, another path in use: given up */
#define PUNCH_DIRECT_S	     60 /* a direct path stands that long: leave */
#define PUNCH_HEARD_S	     30 /* and nothing came by the relay that long */
#define OPEN_TRIES	     5	/* challenges that open NATs: at 0, 50, 150, */
#define OPEN_AGAIN_MS	     1000 /* 400, 1000 ms; a round that often at most */
#define OPEN_AGAIN_MAX_MS    30000 /* that doubles, until one is taken */
#define OPEN_EVERY_S	     30	   /* and one challenge that often */
#define BROKE_SOON_S	     30 /* a direct path, chosen so lately, is dead: */
#define BROKE_AGAIN_MS	     10000 /* not taken again until then; doubles to: */
#define BROKE_AGAIN_MAX_MS   600000
#define BROKE_NOT_S	     60	  /* data came for so long: forgotten */
#define OPEN_NEWS_S	     5	  /* until then nothing is said of failing */
#define TAKE_HOLD_MAX_MS     50	  /* packets wait for those sent by the relay */
#define TAKE_FRESH_MS	     1000 /* a path that answered so lately works */
#define EARLY_KEEP_MS	     1000 /* Tunnel Requests before their direction */

/* --- a connection with an NS (notify.c) --- */
#define NOTIFY_OPEN_S	10  /* TCP, greeting, registration */
#define NOTIFY_RETRY_MS 500 /* doubles, eight times at most */
#define NOTIFY_TRIES	6   /* in a row; then, by auto, UDP is what there is */
#define NOTIFY_LATE_S	10  /* a keep-alive of the NS: the NAT has dropped it */
#define NOTIFY_AGAIN_S	1800 /* and an NS is tried again */
#define NOTIFY_FETCH_MS                                                        \
	1000		 /* the DC has answered so lately: not asked again */
#define NOTIFY_POOR_S 67 /* UDP dies after that silence: rather an NS */

/* --- wake from sleep (wake.c) --- */
#define WAKE_LOOK_S 2
#define WAKE_LATE_S 5 /* later than that: we slept, or were stopped */

/* --- where no UDP passes (gate.c) --- */
#define GATE_TRIES	  3  /* unanswered registrations until TLS is tried; */
#define GATE_TRIES_SOON	  1  /* just after a move */
#define GATE_SOON_S	  10 /* so long is it just after */
#define GATE_RETRY_MS	  1000 /* a gate that was not reached; doubles up to: */
#define GATE_RETRY_MAX_MS 30000
#define GATE_PROBE_S	  5  /* does UDP pass now? doubles up to: */
#define GATE_PROBE_MAX_S  60 /* and twice that where it had passed in vain */
#define GATE_LINGER_S	  5  /* for what is under way when UDP passes again */
#define GATE_RELAPSE_S	  60 /* UDP passed no longer than this: in vain */

/* --- port mapping (portmap.c) --- */
#define PORTMAP_LIFE_S	    7200 /* asked for; renewed at half */
#define PORTMAP_LIFE_MIN_S  120	 /* less is not worth its packets */
#define PORTMAP_LIFE_MAX_S  86400
#define PORTMAP_RENEW_MIN_S 60	/* between failed renewals */
#define PORTMAP_RETRY_S	    600 /* no mapping: asked again, doubling up to: */
#define PORTMAP_RETRY_MAX_S 14400
#define PORTMAP_ANSWER_S    25 /* ntm-portmap itself is given 20 */

/* --- path MTU (pmtu.c) --- */
#define PMTU_TRIES   3	 /* unanswered probes of a size: too big */
#define PMTU_RAISE_S 600 /* try larger again */

/* --- account (account.c, renewal.c) --- */
#define AS_LIMIT_S	  20   /* one exchange with the AS */
#define AS_NEXT_MS	  2500 /* no TLS yet: the next address, once round */
#define RENEW_LOOK_S	  600  /* is it due, by the wall clock? */
#define RENEW_RETRY_S	  30   /* doubles up to: */
#define RENEW_RETRY_MAX_S 1800
#define CLOCK_SKEW_S	  300 /* AS or DC differ by more: the person is told */

#endif
