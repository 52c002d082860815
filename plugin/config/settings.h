/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_CONFIG_SETTINGS_H
#define COWSNAP_CONFIG_SETTINGS_H

/* The table of settings, for config.c and options.c. */

#include "config/config.h"

#include <stddef.h>

enum setting_kind {
    SETTING_PATH,   /* char *, absolute; owned by the config */
    SETTING_NAME,   /* const char *, one of names */
    SETTING_CHOICE, /* an enum whose values are the places in names */
    SETTING_SIZE,   /* uint64_t, bytes, least … most or 0 */
    SETTING_NUMBER, /* unsigned, least … most */
    SETTING_SWITCH, /* bool */
};

struct setting {
    const char *key;  /* with its section: "pool.size" */
    const char *flag; /* on the command line, without dashes; NULL when there is none */
    enum setting_kind kind;
    size_t offset;            /* in struct config */
    const char *const *names; /* ends with NULL */
    uint64_t least, most;     /* SETTING_PATH: most bytes of it */
};

#define SETTINGS 28
extern const struct setting settings[SETTINGS];

/* Sets it from TEXT, as a flag or a TOML string gives it, or from NUMBER or ON. CONDITION_INVALID
 * with a sentence that begins after the setting's name: "must be …". */
int setting_put_text(const struct setting *setting, struct config *config, struct bytes text,
                     struct reason *why);
int setting_put_number(const struct setting *setting, struct config *config, int64_t number,
                       struct reason *why);
int setting_put_switch(const struct setting *setting, struct config *config, bool on,
                       struct reason *why);

/* What a TOML value of it must be, with an example: "a boolean (true or false)". */
const char *setting_wants(const struct setting *setting);

#endif
