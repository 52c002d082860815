// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	diffapi "github.com/containerd/containerd/api/services/diff/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/mount"
	protobuf "github.com/gogo/protobuf/types"
	"github.com/opencontainers/go-digest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Every layer of the corpus that must be refused, on the corpus's base layer.
func TestRefusedLayers(t *testing.T) {
	corpus := os.Getenv("REFUSED_CORPUS")
	base, err := os.ReadFile(filepath.Join(corpus, "base.tar"))
	must(t, err)
	active, parent := key(t, "active"), key(t, "base")
	must(t, apply(ctx, store(t, base), prepare(t, active, "")))
	must(t, shared.Commit(ctx, parent, active))
	table, err := os.ReadFile(filepath.Join(corpus, "refused/manifest.tsv"))
	must(t, err)
	rows := strings.Split(strings.TrimSpace(string(table)), "\n")
	if len(rows) < 60 {
		t.Fatalf("the corpus has %d layers to refuse", len(rows))
	}
	// containerd's own differ takes it, too
	taken := map[string]bool{"tar-cut-after-pax": true}
	statuses := map[string]codes.Code{"INVALID_ARGUMENT": codes.InvalidArgument, "UNIMPLEMENTED": codes.Unimplemented}
	for _, row := range rows {
		fields := strings.Split(row, "\t")
		name := strings.SplitN(fields[0], ".", 2)[0]
		t.Run(name, func(t *testing.T) {
			blob, err := os.ReadFile(filepath.Join(corpus, "refused", fields[0]))
			must(t, err)
			id := store(t, blob)
			leavesNoTrace(t, func() {
				active := key(t, "active")
				err := apply(ctx, id, prepare(t, active, parent))
				must(t, shared.Remove(ctx, active))
				if taken[name] {
					must(t, err)
					return
				}
				wantStatus(t, err, statuses[fields[3]], "apply layer", id.String())
				t.Logf("%s: %s", fields[4], status.Convert(err).Message())
			})
		})
	}
	must(t, shared.Remove(ctx, parent))
}

// A name that climbs, an absolute one, a link that points outside: all of it stays inside, as with
// containerd's own differ, which takes such a name for one below the root.
func TestNothingIsWrittenOutside(t *testing.T) {
	outside := t.TempDir()
	write(t, filepath.Join(outside, "canary"), "untouched")
	up := strings.Repeat("../", 30)
	symlink := func(name, to string) tar.Header {
		return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to}
	}
	for name, layer := range map[string][]tar.Header{
		"climbing name":               {file(up + outside[1:] + "/new"), file("a/../" + up + outside[1:] + "/canary")},
		"absolute name":               {file(outside + "/new"), file(outside + "/canary")},
		"absolute symlink":            {symlink("link", outside), file("link/new"), file("link/canary")},
		"climbing symlink":            {symlink("link", up+outside[1:]), file("link/new"), file("link/canary")},
		"symlink by symlink":          {symlink("one", "/"), symlink("two", "one/"+up), file("two" + outside + "/new")},
		"symlink that becomes a file": {symlink("link", outside+"/canary"), file("link")},
		"folder over a symlink":       {symlink("link", outside), {Name: "link", Typeflag: tar.TypeDir, Mode: 0o700}, file("link/new")},
		"whiteout through a symlink":  {symlink("link", outside), {Name: "link/.wh.canary", Typeflag: tar.TypeReg}},
		"opaque through a symlink":    {symlink("link", outside), {Name: "link/.wh..wh..opq", Typeflag: tar.TypeReg}},
		"whiteout of a climbing name": {{Name: up + outside[1:] + "/.wh.canary", Typeflag: tar.TypeReg}},
		"hard link to the outside":    {{Name: "link", Typeflag: tar.TypeLink, Linkname: up + outside[1:] + "/canary"}},
		"hard link by a symlink": {symlink("link", outside),
			{Name: "hard", Typeflag: tar.TypeLink, Linkname: "link/canary"}},
		"hard link into the outside": {file("mine"), symlink("link", outside),
			{Name: "link/hard", Typeflag: tar.TypeLink, Linkname: "mine"}},
		"device through a symlink":     {symlink("link", outside), {Name: "link/null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}},
		"attributes through a symlink": {symlink("link", outside+"/canary"), {Name: "link/", Typeflag: tar.TypeDir, Mode: 0o777}},
	} {
		t.Run(name, func(t *testing.T) {
			before, err := os.Stat(filepath.Join(outside, "canary"))
			must(t, err)
			folder, err := os.Stat(outside)
			must(t, err)
			id := store(t, archive(t, layer...))
			leavesNoTrace(t, func() {
				active := key(t, "active")
				mounts := prepare(t, active, "")
				err := apply(ctx, id, mounts)
				// a hard link needs its target, inside
				if strings.HasPrefix(name, "hard link") && !strings.HasSuffix(name, "into the outside") {
					wantStatus(t, err, codes.InvalidArgument, id.String())
				} else {
					must(t, err)
				}
				if strings.HasSuffix(name, "name") && !strings.HasPrefix(name, "whiteout") {
					mounted(t, mounts, func(root string) {
						want(t, filepath.Join(root, outside, "new"), "xxxxxxxxx")
						want(t, filepath.Join(root, outside, "canary"), "xxxxxxxxx")
					})
				}
				must(t, shared.Remove(ctx, active))
			})
			if found := names(t, outside); len(found) != 1 || found[0] != "canary" {
				t.Fatalf("outside there is now %v", found)
			}
			want(t, filepath.Join(outside, "canary"), "untouched")
			after, err := os.Stat(filepath.Join(outside, "canary"))
			must(t, err)
			now, err := os.Stat(outside)
			must(t, err)
			if after.Mode() != before.Mode() || !after.ModTime().Equal(before.ModTime()) ||
				now.Mode() != folder.Mode() || !now.ModTime().Equal(folder.ModTime()) {
				t.Fatal("what is outside has another mode or time now")
			}
		})
	}
}

func TestBlobs(t *testing.T) {
	layer := archive(t, file("file"))
	good := store(t, layer)
	missing := digest.Digest("sha256:" + strings.Repeat("0a", 32))
	lying := digest.Digest("sha256:" + strings.Repeat("0b", 32))
	lyingZstd := digest.Digest("sha256:" + strings.Repeat("0c", 32))
	folder := digest.Digest("sha256:" + strings.Repeat("0d", 32))
	storeAs(t, lying, layer)
	packed := exec.Command("zstd", "-q", "-c")
	packed.Stdin = bytes.NewReader(layer)
	zstd, err := packed.Output()
	must(t, err)
	storeAs(t, lyingZstd, zstd)
	must(t, os.Mkdir(blobPath(folder), 0o755))
	t.Cleanup(func() { os.Remove(blobPath(folder)) })

	type descriptor = types.Descriptor
	for _, c := range []struct {
		what       string
		descriptor *descriptor
		code       codes.Code
		words      []string
	}{
		{"no descriptor", nil, codes.InvalidArgument, []string{"names no layer"}},
		{"a missing blob", &descriptor{MediaType: plain, Digest: missing}, codes.NotFound,
			[]string{missing.String(), "content_root"}},
		{"bytes that are not the digest's", &descriptor{MediaType: plain, Digest: lying}, codes.InvalidArgument,
			[]string{lying.String(), good.String(), "fetch the layer again"}},
		{"compressed bytes that are not the digest's", &descriptor{MediaType: plain + "+zstd", Digest: lyingZstd},
			codes.InvalidArgument, []string{lyingZstd.String(), fmt.Sprintf("%x", sha256.Sum256(zstd)), "fetch the layer again"}},
		{"another size", &descriptor{MediaType: plain, Digest: good, Size_: 7}, codes.InvalidArgument,
			[]string{good.String(), " 7", fmt.Sprint(len(layer)), "pull it again"}},
		{"a negative size", &descriptor{MediaType: plain, Digest: good, Size_: -1}, codes.InvalidArgument,
			[]string{good.String(), "negative"}},
		{"a folder for a blob", &descriptor{MediaType: plain, Digest: folder}, codes.InvalidArgument,
			[]string{"regular file"}},
		{"another algorithm", &descriptor{MediaType: plain, Digest: digest.Digest("sha512:" + strings.Repeat("0a", 64))},
			codes.Unimplemented, []string{"sha512", "sha256"}},
		{"an unheard-of algorithm", &descriptor{MediaType: plain, Digest: "blake9+b64u:abc_=-"}, codes.Unimplemented,
			[]string{"blake9+b64u", "sha256"}},
		{"no digest", &descriptor{MediaType: plain}, codes.InvalidArgument, []string{"digest"}},
		{"a digest too short", &descriptor{MediaType: plain, Digest: good[:70]}, codes.InvalidArgument, []string{"hex"}},
		{"a digest in capitals", &descriptor{MediaType: plain, Digest: digest.Digest("sha256:" + strings.ToUpper(good.Encoded()))},
			codes.InvalidArgument, []string{"hex"}},
		{"a path for a digest", &descriptor{MediaType: plain, Digest: "sha256:../../../../../../etc/passwd"},
			codes.InvalidArgument, []string{"hex"}},
		{"a path for an algorithm", &descriptor{MediaType: plain, Digest: "../x:abc"}, codes.InvalidArgument, []string{"../x"}},
		{"an unknown media type", &descriptor{MediaType: "application/vnd.cowsnap.unknown", Digest: good},
			codes.Unimplemented, []string{"application/vnd.cowsnap.unknown"}},
		{"an encrypted layer", &descriptor{MediaType: plain + "+gzip+encrypted", Digest: good}, codes.Unimplemented,
			[]string{"encrypted"}},
		{"no media type", &descriptor{Digest: good}, codes.Unimplemented, []string{"media type"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			leavesNoTrace(t, func() {
				active := key(t, "active")
				mounts := prepare(t, active, "")
				_, err := shared.diff.Apply(ctx, &diffapi.ApplyRequest{Diff: c.descriptor, Mounts: wire(mounts)})
				wantStatus(t, err, c.code, c.words...)
				must(t, shared.Remove(ctx, active))
			})
		})
	}
	t.Run("payloads", func(t *testing.T) {
		leavesNoTrace(t, func() {
			active := key(t, "active")
			_, err := shared.diff.Apply(ctx, &diffapi.ApplyRequest{
				Diff: &descriptor{MediaType: plain, Digest: good}, Mounts: wire(prepare(t, active, "")),
				Payloads: map[string]*protobuf.Any{"decryption": {TypeUrl: "x", Value: []byte("y")}}})
			wantStatus(t, err, codes.Unimplemented, good.String(), "payloads")
			must(t, shared.Remove(ctx, active))
		})
	})
}

func TestMounts(t *testing.T) {
	id := store(t, archive(t, file("file")))
	folder := t.TempDir()
	parent := commit(t, "parent", "", func(string) {})
	view := key(t, "view")
	readonly, err := shared.View(ctx, view, parent)
	must(t, err)
	gone := key(t, "gone")
	removed := prepare(t, gone, "")
	must(t, shared.Remove(ctx, gone))
	active := key(t, "active")
	ours := prepare(t, active, "")
	bind := func(source string, options ...string) mount.Mount {
		return mount.Mount{Type: "bind", Source: source, Options: options}
	}
	for _, c := range []struct {
		what   string
		mounts []mount.Mount
		code   codes.Code
		words  []string
	}{
		{"none", nil, codes.Unimplemented, []string{"one mount"}},
		{"two", []mount.Mount{ours[0], ours[0]}, codes.Unimplemented, []string{"one mount", "2"}},
		{"of another type", []mount.Mount{{Type: "ext4", Source: "/dev/mapper/x", Options: []string{"rw"}}},
			codes.Unimplemented, []string{"ext4"}},
		{"of no type", []mount.Mount{{Source: folder}}, codes.Unimplemented, []string{"type"}},
		{"overlay without upper", []mount.Mount{{Type: "overlay", Source: "overlay", Options: []string{"lowerdir=" + folder}}},
			codes.InvalidArgument, []string{"upperdir"}},
		{"read-only", []mount.Mount{bind(folder, "ro", "rbind")}, codes.InvalidArgument, []string{folder, "read-only"}},
		{"a view's", readonly, codes.InvalidArgument, []string{readonly[0].Source, "read-only"}},
		{"a view's, made writable", []mount.Mount{bind(readonly[0].Source, "rw", "rbind")}, codes.FailedPrecondition,
			[]string{parent, "active"}},
		{"a removed snapshot's", removed, codes.InvalidArgument, []string{removed[0].Source, "not there"}},
		{"ours by another spelling", []mount.Mount{bind(ours[0].Source+"/.", "rw", "rbind")}, codes.InvalidArgument,
			[]string{ours[0].Source, "pool"}},
		{"the pool itself", []mount.Mount{bind(filepath.Join(shared.root, "pool"), "rw")}, codes.InvalidArgument, []string{"pool"}},
		{"of no folder", []mount.Mount{bind("/no/such/folder", "rw")}, codes.InvalidArgument, []string{"/no/such/folder"}},
		{"of a relative folder", []mount.Mount{bind("tmp", "rw")}, codes.InvalidArgument, []string{"tmp", "absolute"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			leavesNoTrace(t, func() { wantStatus(t, apply(ctx, id, c.mounts), c.code, c.words...) })
			if found := names(t, folder); len(found) != 0 {
				t.Fatalf("%v was written", found)
			}
		})
	}
	mounted(t, ours, func(root string) {
		if found := names(t, root); len(found) != 0 {
			t.Fatalf("%v was written into the snapshot", found)
		}
	})
	for _, name := range []string{active, view, parent} {
		must(t, shared.Remove(ctx, name))
	}
}

// sparseBlob is a blob that begins with these bytes and goes on with zeros, up to a size. Its name is not
// its digest: what is tried with it ends before that could be seen.
func sparseBlob(t *testing.T, start []byte, size int64) digest.Digest {
	t.Helper()
	id := digest.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(t.Name()))))
	storeAs(t, id, start)
	must(t, os.Truncate(blobPath(id), size))
	return id
}

// paxHeader is the header of a PAX member whose body has that size.
func paxHeader(size int64) []byte {
	var layer bytes.Buffer
	writer := tar.NewWriter(&layer)
	writer.WriteHeader(&tar.Header{Name: "PaxHeaders/x", Typeflag: tar.TypeReg, Size: size, Format: tar.FormatUSTAR})
	header := layer.Bytes()[:512]
	header[156] = 'x'
	copy(header[148:156], "        ")
	sum := 0
	for _, b := range header {
		sum += int(b)
	}
	copy(header[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return header
}

func compressed(t *testing.T, input io.Reader, program string, arguments ...string) []byte {
	t.Helper()
	command := exec.Command(program, arguments...)
	command.Stdin = input
	out, err := command.Output()
	must(t, err)
	return out
}

// The memory that one Apply takes is bounded, whatever the layer says.
func TestMemory(t *testing.T) {
	const bound = 64 << 10 // KiB; docs/extraction.md
	gib := func() io.Reader { return io.LimitReader(zeros{}, 1<<30) }
	const some = 300 << 20
	entries := func() []byte {
		headers := make([]tar.Header, 0, 30000)
		for i := 0; i < cap(headers); i++ {
			headers = append(headers, tar.Header{Name: fmt.Sprintf("%s/%d", strings.Repeat("name", 20), i), Typeflag: tar.TypeReg})
		}
		return archive(t, headers...)
	}
	for _, c := range []struct {
		what string
		id   func() digest.Digest
		code codes.Code
		word string
		most int // KiB
	}{
		{"PAX header of 1 GiB", func() digest.Digest { return sparseBlob(t, paxHeader(1<<30), 1<<30+2048) },
			codes.InvalidArgument, "1073741824", bound},
		{"PAX header of 1 GiB, packed", func() digest.Digest {
			return store(t, compressed(t, io.MultiReader(bytes.NewReader(paxHeader(1<<30)), gib()), "zstd", "-q", "-1", "-c"))
		}, codes.InvalidArgument, "1073741824", bound},
		{"zstd window of 128 MiB", func() digest.Digest {
			return store(t, compressed(t, io.LimitReader(zeros{}, some), "zstd", "-q", "-1", "--long=27", "-c"))
		}, codes.Unimplemented, "window", bound},
		{"zstd window of 32 MiB", func() digest.Digest {
			// what the window takes beyond 8 MiB, the chunks in flight give
			return store(t, compressed(t, fileOf(t, rand.New(rand.NewSource(1)), 100<<20), "zstd", "-q", "-1", "--long=25", "-c"))
		}, codes.OK, "", 48 << 10},
		{"large file", func() digest.Digest {
			return store(t, compressed(t, fileOf(t, zeros{}, some), "zstd", "-q", "-1", "-c"))
		}, codes.OK, "", bound},
		{"many files", func() digest.Digest { return store(t, entries()) }, codes.OK, "", bound},
	} {
		t.Run(c.what, func(t *testing.T) {
			id := c.id()
			leavesNoTrace(t, func() {
				active := key(t, "active")
				mounts := prepare(t, active, "")
				resetPeak(t)
				before := memory(t, "VmRSS")
				err := apply(ctx, id, mounts)
				grown := memory(t, "VmHWM") - before
				if c.code == codes.OK {
					must(t, err)
				} else {
					wantStatus(t, err, c.code, id.String(), c.word)
				}
				t.Logf("the daemon grew by %d KiB: %v", grown, err)
				if grown > c.most {
					t.Errorf("the daemon grew by %d KiB", grown)
				}
				must(t, shared.Remove(ctx, active))
			})
		})
	}
}

// fileOf is a layer of one file.
func fileOf(t *testing.T, content io.Reader, size int64) io.Reader {
	t.Helper()
	var header bytes.Buffer
	must(t, tar.NewWriter(&header).WriteHeader(&tar.Header{Name: "file", Typeflag: tar.TypeReg, Size: size, Mode: 0o644}))
	return io.MultiReader(&header, io.LimitReader(content, size), io.LimitReader(zeros{}, 1024))
}

type zeros struct{}

func (zeros) Read(buffer []byte) (int, error) {
	for i := range buffer {
		buffer[i] = 0
	}
	return len(buffer), nil
}

// bigLayer is a layer of one file that takes a while to write, much longer than a call.
func bigLayer(t *testing.T) digest.Digest {
	t.Helper()
	var layer bytes.Buffer
	must(t, tar.NewWriter(&layer).WriteHeader(&tar.Header{Name: "file", Typeflag: tar.TypeReg, Size: 8 << 30, Mode: 0o644}))
	return sparseBlob(t, layer.Bytes(), 8<<30+2048)
}

// whileApplying runs f once the layer's file grows, and returns what Apply answers.
func whileApplying(t *testing.T, ctx context.Context, active string, f func(mounts []mount.Mount)) error {
	t.Helper()
	mounts := prepare(t, active, "")
	id := bigLayer(t)
	answer := make(chan error, 1)
	go func() { answer <- apply(ctx, id, mounts) }()
	for {
		select {
		case err := <-answer:
			t.Fatalf("the layer ended before anything could happen to it: %v", err)
		default:
		}
		// the pool's folders are closed to all but root, who may look
		if info, err := os.Stat(filepath.Join(mounts[0].Source, "file")); err == nil && info.Size() > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	f(mounts)
	select {
	case err := <-answer:
		return err
	case <-time.After(2 * time.Minute):
		t.Fatal("Apply does not end")
		return nil
	}
}

func TestRemovalDuringApply(t *testing.T) {
	leavesNoTrace(t, func() {
		active := key(t, "active")
		err := whileApplying(t, ctx, active, func([]mount.Mount) {
			begun := time.Now()
			must(t, shared.Remove(ctx, active))
			if took := time.Since(begun); took > time.Minute {
				t.Errorf("Remove took %v", took)
			}
		})
		wantStatus(t, err, codes.NotFound, "removed while a layer was written")
		wantStatus(t, stat(active), codes.NotFound, active)
	})
}

func TestOthersDuringApply(t *testing.T) {
	small := store(t, archive(t, file("small")))
	leavesNoTrace(t, func() {
		active := key(t, "active")
		going, stop := context.WithCancel(ctx)
		defer stop()
		err := whileApplying(t, going, active, func(mounts []mount.Mount) {
			wantStatus(t, apply(ctx, small, mounts), codes.FailedPrecondition, "being written")
			wantStatus(t, commitRaw(key(t, "name"), active), codes.FailedPrecondition, active)
			stop() // the caller goes away
		})
		if code := status.Code(err); code != codes.Canceled {
			t.Fatalf("the cancelled Apply answers %v", err)
		}
		// what is there now is a part of a layer, and can go
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			if err = shared.Remove(ctx, active); err == nil || time.Now().After(deadline) {
				break
			}
		}
		must(t, err)
	})
}
