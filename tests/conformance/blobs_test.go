// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	diffapi "github.com/containerd/containerd/api/services/diff/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/mount"
	"github.com/opencontainers/go-digest"
)

const (
	plain    = "application/vnd.oci.image.layer.v1.tar"
	anyLayer = plain + "+gzip" // what a blob is, its first bytes tell
)

// blobPath is where containerd keeps a blob.
func blobPath(id digest.Digest) string {
	return filepath.Join(shared.root, "content/blobs", id.Algorithm().String(), id.Encoded())
}

// storeAs puts bytes into the content store under a name, which may lie.
func storeAs(t *testing.T, id digest.Digest, data []byte) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(blobPath(id)), 0o755))
	must(t, os.WriteFile(blobPath(id), data, 0o644))
	t.Cleanup(func() { os.Remove(blobPath(id)) })
}

func store(t *testing.T, data []byte) digest.Digest {
	t.Helper()
	id := digest.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(data)))
	storeAs(t, id, data)
	return id
}

func wire(mounts []mount.Mount) (wire []*types.Mount) {
	for _, m := range mounts {
		wire = append(wire, &types.Mount{Type: m.Type, Source: m.Source, Options: m.Options})
	}
	return wire
}

func apply(ctx context.Context, id digest.Digest, mounts []mount.Mount) error {
	_, err := shared.diff.Apply(ctx, &diffapi.ApplyRequest{
		Diff: &types.Descriptor{MediaType: anyLayer, Digest: id}, Mounts: wire(mounts)})
	return err
}

// archive makes a layer by archive/tar.
func archive(t *testing.T, entries ...tar.Header) []byte {
	t.Helper()
	var layer bytes.Buffer
	writer := tar.NewWriter(&layer)
	for _, entry := range entries {
		entry := entry
		if entry.Mode == 0 {
			entry.Mode = 0o755
		}
		must(t, writer.WriteHeader(&entry))
		if entry.Size > 0 {
			_, err := writer.Write(bytes.Repeat([]byte("x"), int(entry.Size)))
			must(t, err)
		}
	}
	must(t, writer.Close())
	return layer.Bytes()
}

func file(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg, Size: 9} }
