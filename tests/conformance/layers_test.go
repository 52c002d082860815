// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"path/filepath"
	"testing"

	"google.golang.org/grpc/codes"
)

// A layer goes into the snapshot whose mounts are given, and into no other, however mounts are made.
func TestLayerGoesWhereItsMountsSay(t *testing.T) {
	id := store(t, archive(t, file("file"), file("folder/file")))
	other := prepare(t, key(t, "other"), "")
	base := commit(t, "base", "", func(root string) { write(t, filepath.Join(root, "base"), "text") })
	active, name := key(t, "active"), key(t, "name")
	mounts := prepare(t, active, base)
	must(t, apply(ctx, id, mounts))
	look := func(root string) {
		want(t, filepath.Join(root, "base"), "text")
		want(t, filepath.Join(root, "folder/file"), "xxxxxxxxx")
	}
	mounted(t, mounts, look)
	mounted(t, other, func(root string) {
		if found := names(t, root); len(found) != 0 {
			t.Fatalf("the snapshot beside it holds %v", found)
		}
	})
	usage, err := shared.Usage(ctx, active)
	must(t, err)
	if usage.Inodes != 3 || usage.Size != 18 {
		t.Fatalf("two files of 9 bytes and a folder count as %+v", usage)
	}
	must(t, shared.Commit(ctx, name, active))
	viewed(t, name, look)
	// what is committed or gone is nobody's to write into
	wantStatus(t, apply(ctx, id, mounts), codes.FailedPrecondition, name, "active")
}
