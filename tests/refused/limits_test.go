// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"google.golang.org/grpc/codes"
)

// packedZeros is a layer of one file of so many bytes, all zero: pieces, each packed by itself.
func packedZeros(t *testing.T, size int64, program string, arguments ...string) digest.Digest {
	t.Helper()
	const piece = 64 << 20
	var header bytes.Buffer
	must(t, tar.NewWriter(&header).WriteHeader(&tar.Header{Name: "file", Typeflag: tar.TypeReg, Size: size, Mode: 0o644}))
	blob := compressed(t, &header, program, arguments...)
	zeroes := compressed(t, io.LimitReader(zeros{}, piece), program, arguments...)
	for left := size; left > 0; left -= piece {
		blob = append(blob, zeroes...)
	}
	return store(t, append(blob, compressed(t, io.LimitReader(zeros{}, 1024), program, arguments...)...))
}

// What inflates to very much more than it is, is refused once it is large, and leaves nothing.
func TestBombs(t *testing.T) {
	for _, c := range []struct {
		what string
		id   func() digest.Digest
		code codes.Code
	}{
		{"2 GiB of zeros as zstd", func() digest.Digest { return packedZeros(t, 2<<30, "zstd", "-q", "-c") }, codes.ResourceExhausted},
		{"2 GiB of zeros as gzip", func() digest.Digest { return packedZeros(t, 2<<30, "gzip", "-c") }, codes.ResourceExhausted},
		{"512 MiB of zeros as zstd", func() digest.Digest { return packedZeros(t, 512<<20, "zstd", "-q", "-c") }, codes.OK},
	} {
		t.Run(c.what, func(t *testing.T) {
			id := c.id()
			leavesNoTrace(t, func() {
				active := key(t, "active")
				err := apply(ctx, id, prepare(t, active, ""))
				if c.code == codes.OK {
					must(t, err)
				} else {
					wantStatus(t, err, c.code, id.String(), "500 times its blob", "apply.ratio_limit")
				}
				must(t, shared.Remove(ctx, active))
			})
		})
	}
}

// A file of one hole takes nothing, whatever its size is, up to the largest that btrfs has.
func TestHugeSparseFiles(t *testing.T) {
	for _, size := range []string{"1099511627776", "9223372036854775807"} {
		t.Run(size, func(t *testing.T) {
			var layer bytes.Buffer
			writer := tar.NewWriter(&layer)
			must(t, writer.WriteHeader(&tar.Header{Name: "x", Typeflag: tar.TypeReg, Size: 512, PAXRecords: map[string]string{
				"COW.sparse.major": "1", "COW.sparse.minor": "0", "COW.sparse.realsize": size}}))
			_, err := writer.Write(append([]byte("1\n"+size+"\n0\n"), make([]byte, 507-len(size))...))
			must(t, err)
			must(t, writer.Close())
			// archive/tar refuses to write what it takes for its own; the length of a record stays
			id := store(t, bytes.ReplaceAll(layer.Bytes(), []byte("COW.sparse"), []byte("GNU.sparse")))
			leavesNoTrace(t, func() {
				active := key(t, "active")
				err := apply(ctx, id, prepare(t, active, ""))
				must(t, err)
				must(t, shared.Remove(ctx, active))
			})
		})
	}
}

// A name of 2,000 folders, reached through forty symlinks one after the other: looking it up passes some eighty thousand
// folders, and more where each symlink leads through a deep folder to the next. A layer that spells many of them ends
// after a while, and one that is only deep does not.
func TestNamesThroughManyFolders(t *testing.T) {
	symlink := func(name, target string) tar.Header {
		return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target}
	}
	deep := func(levels int) string { return strings.Repeat("a/", levels) }
	chain := func(links int) (entries []tar.Header) {
		entries = append(entries, symlink("s0", "."))
		for i := 1; i < links; i++ {
			entries = append(entries, symlink(fmt.Sprintf("s%d", i), fmt.Sprintf("s%d", i-1)))
		}
		return
	}
	nested := func(levels, links int) (entries []tar.Header) {
		entries = append(entries, symlink("s0", "."))
		for i := 1; i < links; i++ {
			entries = append(entries, symlink(fmt.Sprintf("%sl%d", deep(levels), i), fmt.Sprintf("/s%d", i-1)),
				symlink(fmt.Sprintf("s%d", i), fmt.Sprintf("%sl%d", deep(levels), i)))
		}
		return
	}
	for _, c := range []struct {
		what   string
		levels int
		links  []tar.Header
		last   string
		code   codes.Code
	}{
		{"through forty symlinks", 1900, chain(40), "s39", codes.InvalidArgument},
		{"through symlinks in symlinks", 1000, nested(1000, 19), "s18", codes.InvalidArgument},
		{"of 150 folders", 150, chain(1), "s0", codes.OK},
	} {
		t.Run(c.what, func(t *testing.T) {
			entries := append([]tar.Header{{Name: deep(c.levels), Typeflag: tar.TypeDir, Mode: 0o755}}, c.links...)
			for i := 0; i < 400; i++ { // in turn, so that no folder is the one before
				entries = append(entries, file(fmt.Sprintf("%s/%sx%d", c.last, deep(c.levels), i)),
					file(fmt.Sprintf("%s/%sa/x%d", c.last, deep(c.levels-2), i)))
			}
			id := store(t, archive(t, entries...))
			leavesNoTrace(t, func() {
				active := key(t, "active")
				began := time.Now()
				err := apply(ctx, id, prepare(t, active, ""))
				if c.code == codes.OK {
					must(t, err)
				} else {
					wantStatus(t, err, c.code, id.String(), "lead through too many folders and symlinks")
					if took := time.Since(began); took > time.Minute {
						t.Errorf("that took %v", took)
					}
				}
				must(t, shared.Remove(ctx, active))
			})
		})
	}
}

// withServer runs f while another server stands for the shared one, with that configuration.
func withServer(t *testing.T, config string, f func()) {
	t.Helper()
	first := shared
	other := &server{root: filepath.Join(filepath.Dir(first.root), "limited")}
	must(t, os.Mkdir(other.root, 0o711))
	must(t, os.WriteFile(filepath.Join(other.root, "config.toml"), []byte(config), 0o600))
	must(t, other.start())
	shared = other
	defer func() {
		shared = first
		if err := other.stop(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		must(t, syscall.Unmount(filepath.Join(other.root, "pool"), 0))
		must(t, os.RemoveAll(other.root))
	}()
	f()
}

// free is what the pool's file system has left, and what of that is kept.
func free(t *testing.T) (available, reserve uint64) {
	t.Helper()
	var fs syscall.Statfs_t
	must(t, syscall.Statfs(filepath.Join(shared.root, "pool"), &fs))
	return fs.Bavail * uint64(fs.Bsize), fs.Blocks * uint64(fs.Bsize) / 32
}

func TestSetLimits(t *testing.T) {
	config := "[pool]\nsize = '1GiB'\n[apply]\nallow_device_nodes = false\nsize_limit = '3GiB'\n" +
		"record_content = true\n[snapshots]\nstock = 0\nseal = false\n"
	withServer(t, config, func() {
		t.Run("device nodes", func(t *testing.T) {
			for flag, word := range map[byte]string{tar.TypeChar: "a character device (1:3)", tar.TypeBlock: "a block device (1:3)"} {
				id := store(t, archive(t, file("file"), tar.Header{Name: "node", Typeflag: flag, Devmajor: 1, Devminor: 3}))
				active := key(t, "active")
				err := apply(ctx, id, prepare(t, active, ""))
				wantStatus(t, err, codes.InvalidArgument, id.String(), `"node"`, word, "apply.allow_device_nodes")
				must(t, shared.Remove(ctx, active))
			}
			active := key(t, "active")
			must(t, apply(ctx, store(t, archive(t, tar.Header{Name: "pipe", Typeflag: tar.TypeFifo})), prepare(t, active, "")))
			must(t, shared.Remove(ctx, active))
		})
		t.Run("size", func(t *testing.T) {
			active := key(t, "active")
			err := apply(ctx, bigLayer(t), prepare(t, active, ""))
			wantStatus(t, err, codes.ResourceExhausted)
			must(t, shared.Remove(ctx, active))
			must(t, cleanup())
		})
		t.Run("a byte that changes in silence", func(t *testing.T) {
			active, name := key(t, "active"), key(t, "name")
			mounts := prepare(t, active, "")
			must(t, apply(ctx, store(t, archive(t, file("folder/file"), file("other"))), mounts))
			must(t, shared.Commit(ctx, name, active))
			check := func(keys ...string) (string, error) {
				arguments := append([]string{"check", "--content", "--address", filepath.Join(shared.root, "s.sock")}, keys...)
				out, err := exec.Command(os.Getenv("REFUSED_TOOL"), arguments...).Output()
				return string(out), err
			}
			whole := "Files compared with what layers had: 1 snapshot; 0 without a record of it.\n"
			if out, err := check(); err != nil || out != "The store and the pool agree.\n"+whole {
				t.Fatalf("of a whole layer it is said: %v, %s", err, out)
			}
			changed, err := os.OpenFile(filepath.Join(mounts[0].Source, "folder/file"), os.O_WRONLY, 0)
			must(t, err)
			_, err = changed.WriteAt([]byte("y"), 4)
			must(t, err)
			must(t, changed.Close())
			for _, keys := range [][]string{nil, {name}} {
				out, err := check(keys...)
				if err == nil || !strings.Contains(out, `"folder/file": its bytes are others; remove`) || !strings.HasSuffix(out, whole) {
					t.Fatalf("of a changed layer it is said: %v, %s", err, out)
				}
			}
			must(t, shared.Remove(ctx, name))
			must(t, cleanup())
			if left := names(t, filepath.Join(shared.root, "manifests")); len(left) != 0 {
				t.Fatalf("records are left: %v", left)
			}
		})
		t.Run("the pool's reserve", func(t *testing.T) {
			content, err := io.ReadAll(fileOf(t, rand.New(rand.NewSource(1)), 1200<<20))
			must(t, err)
			id := store(t, content)
			active := key(t, "active")
			mounts := prepare(t, active, "")
			_, reserve := free(t)
			least, ended, watched := ^uint64(0), make(chan struct{}), make(chan struct{})
			go func() {
				defer close(watched)
				for {
					var fs syscall.Statfs_t
					if syscall.Statfs(filepath.Join(shared.root, "pool"), &fs) == nil && fs.Bavail*uint64(fs.Bsize) < least {
						least = fs.Bavail * uint64(fs.Bsize)
					}
					select {
					case <-ended:
						return
					case <-time.After(time.Millisecond):
					}
				}
			}()
			err = apply(ctx, id, mounts)
			close(ended)
			<-watched
			wantStatus(t, err, codes.ResourceExhausted, id.String(), "kept for removals", "cowsnap pool grow")
			t.Logf("%v; least %d MiB, reserve %d MiB", err, least>>20, reserve>>20)
			if least < reserve {
				t.Errorf("there were %d bytes left at a time, and %d are kept", least, reserve)
			}
			must(t, shared.Remove(ctx, active))
			must(t, cleanup())
			// and all is well again, without a restart
			must(t, apply(ctx, store(t, archive(t, file("file"))), prepare(t, active, "")))
			must(t, shared.Remove(ctx, active))
		})
	})
}
