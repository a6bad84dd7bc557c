/* SPDX-License-Identifier: MIT */
/* cmd_push - ntm push: which push service tells this device, and that it did */
#include <stdio.h>
#include <string.h>

#include "wrappers/ntm.h"
#include "common/out.h"

int cmd_push(const struct command_args *a)
{
	const char *kind;
	json_t *answer;

	if (command_call(a,
			 json_pack("{s:s, s:s, s:s}", "cmd", "push", "kind",
				   a->n_words > 0 ? a->words[0] : "", "token",
				   a->n_words > 1 ? a->words[1] : ""),
			 &answer))
		return 1;
	kind = out_text(answer, "push", "off");
	if (command_json(a, answer))
		;
	else if (!strcmp(kind, "off"))
		printf("no push service tells this device\n");
	else if (json_is_true(json_object_get(answer, "offered")))
		printf("%s tells this device; no keep-alives are sent\n", kind);
	else
		printf("%s is to tell this device; the coordinator has not "
		       "agreed (yet)\n",
		       kind);
	json_decref(answer);
	return 0;
}
