/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_CRASH_TREE_H
#define COWSNAP_TESTS_CRASH_TREE_H

/*
 * What is in a snapshot: the layers and files that were put there, one after the other. One number
 * says what a folder on disk should then hold, names, kinds, modes and bytes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TREE_LAYERS 10u /* different layers there are */
#define TREE_PARTS 14u  /* that a tree may be made of */

/* A part below TREE_LAYERS is a layer, another one a file that was written by hand. */
struct tree {
    unsigned count;
    uint32_t parts[TREE_PARTS];
};

/* A layer's blob in the content store. */
struct tree_layer {
    char digest[7 + 64 + 1];
    int64_t size;
};

/* Writes the blobs below CONTENT; what goes wrong ends the program, here and below. */
void tree_make_layers(const char *content, struct tree_layer layers[TREE_LAYERS]);

/* Writes the file by hand into the folder VOLUME. */
void tree_write_file(const char *volume, uint32_t part);

uint64_t tree_wanted(const struct tree *tree);

/* Of the folder at PATH; false when something in it cannot be read. */
bool tree_found(const char *path, uint64_t *sum);

#endif
