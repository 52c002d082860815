/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_CMOCKA_SETUP_H
#define COWSNAP_TESTS_CMOCKA_SETUP_H

/* cmocka.h wants these four before it, in any order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
