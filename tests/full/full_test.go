// SPDX-License-Identifier: Apache-2.0

// Full disks: what cowsnapd answers while one of them really is, and that all is well again without a restart.
//
// FULL_DISKS is the folder in which run.sh has mounted the disks, FULL_TOOL the tool cowsnap; the rest is as in the
// conformance suite, whose server_test.go is compiled with these files.
package conformance

import (
	"archive/tar"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// hog is somebody who takes all that is there, and goes on taking what becomes free, until it is stopped.
type hog struct {
	once          sync.Once
	stopped, left chan struct{}
}

// take runs f over and over until it finds nothing more to take, and then in the background.
func take(t *testing.T, f func() error) *hog {
	t.Helper()
	h := &hog{stopped: make(chan struct{}), left: make(chan struct{})}
	for {
		err := f()
		if errors.Is(err, syscall.ENOSPC) {
			break
		}
		must(t, err)
	}
	t.Cleanup(h.stop)
	go func() {
		defer close(h.left)
		for {
			select {
			case <-h.stopped:
				return
			case <-time.After(time.Millisecond):
				_ = f()
			}
		}
	}()
	return h
}

func (h *hog) stop() {
	h.once.Do(func() { close(h.stopped) })
	<-h.left
}

// bytesInto takes space: a file in the folder that grows, by ever less when it must.
func bytesInto(folder string) func() error {
	chunk := make([]byte, 1<<20)
	rand.New(rand.NewSource(1)).Read(chunk)
	return func() error {
		file, err := os.OpenFile(filepath.Join(folder, "grows"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err == nil {
			defer file.Close()
			_, err = file.Write(chunk)
		}
		if err == nil {
			err = syscall.Fdatasync(int(file.Fd()))
		}
		if errors.Is(err, syscall.ENOSPC) && len(chunk) > 4096 {
			chunk = chunk[:len(chunk)/2]
			return nil
		}
		return err
	}
}

// filesInto takes inodes, or metadata where small files lie in those.
func filesInto(folder string, text []byte) func() error {
	number := 0
	return func() error {
		number++
		return os.WriteFile(filepath.Join(folder, fmt.Sprint("small-", number)), text, 0o600)
	}
}

// serve lets a server with that configuration stand for the shared one. ROOT is its root folder; what else it needs
// lies where there is room.
func serve(t *testing.T, root, config string) {
	t.Helper()
	first := shared
	shared = described(t, root, config)
	must(t, shared.start())
	t.Cleanup(func() {
		if err := shared.stop(syscall.SIGTERM); err != nil {
			t.Error("the server left with", err)
		}
		shared = first
	})
}

func described(t *testing.T, root, config string) *server {
	t.Helper()
	place := disk(t, "t/"+strings.ReplaceAll(t.Name(), "/", "-"))
	must(t, os.MkdirAll(place, 0o711))
	write(t, filepath.Join(place, "config.toml"), fmt.Sprintf("root = '%s'\n%s", root, config))
	return &server{root: place}
}

// again ends the server by that signal and starts another.
func again(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := shared.stop(signal); err != nil && signal == syscall.SIGTERM {
		t.Fatal("the server left with", err)
	}
	must(t, shared.start())
}

// mountedAt mounts the snapshot until the test ends, or until the function is called.
func mountedAt(t *testing.T, key string) (string, func()) {
	t.Helper()
	mounts, err := shared.Mounts(ctx, key)
	must(t, err)
	root := t.TempDir()
	must(t, syscall.Mount(mounts[0].Source, root, "", syscall.MS_BIND, ""))
	done := false
	unmount := func() {
		if !done {
			done = true
			if err := syscall.Unmount(root, 0); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(unmount)
	return root, unmount
}

// way is one way to be without room.
type way struct {
	root, config string
	refuses      string // what a refusal must say
	says         string // and one of them, at least
	mayRefuse    bool   // whether calls that add something find no room
	// fill takes all room; CONTAINER is the tree of the active snapshot "container".
	fill func(container string) *hog
	// give gives it back: what a stranger took. What the container took goes with its snapshot.
	give func()
	// views: the store has room, so views of what is there are made all the while.
	views bool
	// grows: the store, too, is to become larger until it finds no room. It goes on for long without, since it uses
	// its pages again.
	grows bool
}

const spares = 6

// takeItsCourse is what each way is tried with.
func (w *way) takeItsCourse(t *testing.T) {
	serve(t, w.root, w.config)
	random := make([]byte, 1<<20)
	rand.New(rand.NewSource(2)).Read(random)
	text := string(random)

	fill := func(root string) { write(t, filepath.Join(root, "file"), text) }
	base := commit(t, "base", "", fill)
	_, err := shared.View(ctx, "look", base)
	must(t, err)
	kept := []string{base, "look", "active"}
	mounted(t, prepare(t, "active", base), fill)
	mounted(t, prepare(t, "container", base), func(string) {})
	for i := 0; i < spares; i++ {
		mounted(t, prepare(t, fmt.Sprint("spare/", i), ""), fill)
	}
	syscall.Sync()

	layer := store(t, archive(t, tar.Header{Name: "some/", Typeflag: tar.TypeDir},
		tar.Header{Name: "some/file", Typeflag: tar.TypeReg, Size: int64(len(layerText))}))
	all := gather(t, base, layer, w.refuses, w.says)
	defer all.group.Wait()
	ended := false
	end := func() {
		if !ended {
			ended = true
			all.disperse()
		}
	}
	defer end()
	all.goOn(3)

	all.alone(func() { all.full.Store(true) })
	container, unmount := mountedAt(t, "container")
	before := all.refused()
	hog := w.fill(container)
	piled := 0
	for ; w.grows; piled++ {
		_, err := shared.raw.View(ctx, &snapshotsapi.ViewSnapshotRequest{Key: pile(piled), Parent: base})
		if status.Code(err) == codes.ResourceExhausted {
			break
		}
		must(t, err)
	}
	if w.mayRefuse {
		waitFor(t, "calls that are refused", func() bool { return all.refused() >= before+2*many })
	}
	all.goOn(5)
	w.served(t, base, text)
	must(t, shared.Remove(ctx, "spare/0"))
	for i := 0; i < piled; i++ {
		must(t, shared.Remove(ctx, pile(i)))
	}
	for i, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		all.alone(func() {
			again(t, signal)
			w.served(t, base, text)
			must(t, shared.Remove(ctx, fmt.Sprint("spare/", 1+i)))
		})
		all.goOn(2)
	}

	// room again
	hog.stop()
	unmount()
	w.give()
	for i := 3; i < spares; i++ {
		must(t, shared.Remove(ctx, fmt.Sprint("spare/", i)))
	}
	must(t, shared.Remove(ctx, "container"))
	waitFor(t, "room again", func() bool {
		err := cleanup()
		if err == nil {
			err = whetherAdded(t, base)
		}
		if err != nil && status.Code(err) != codes.ResourceExhausted {
			t.Error(err)
		}
		return err == nil
	})
	all.alone(func() { all.full.Store(false) })
	all.goOn(3)
	end()

	w.served(t, base, text)
	mounts, err := shared.Mounts(ctx, "active")
	must(t, err)
	mounted(t, mounts, func(root string) { same(t, filepath.Join(root, "file"), text) })
	all.whole(kept...)
	must(t, cleanup())
	if out, err := exec.Command(environment(t, "FULL_TOOL"), "--address", filepath.Join(shared.root, "s.sock"), "check").CombinedOutput(); err != nil {
		t.Errorf("cowsnap check: %v: %s", err, out)
	}
	if w.mayRefuse == (all.refused() == 0) || w.mayRefuse && atomic.LoadInt64(&all.said) == 0 {
		t.Errorf("%d calls were refused, and %d of these said what is full", all.refused(), all.said)
	}
	all.tell(strings.TrimPrefix(t.Name(), "Test"))
}

// pile is a key that takes some pages of the store.
func pile(number int) string { return fmt.Sprintf("%d/%s", number, strings.Repeat("k", 30<<10)) }

// served looks at what is there: by the view that stays, as a container that runs does.
func (w *way) served(t *testing.T, base, text string) {
	t.Helper()
	info, err := shared.Stat(ctx, base)
	must(t, err)
	usage, err := shared.Usage(ctx, info.Name)
	must(t, err)
	if usage.Size < int64(len(text)) {
		t.Errorf("Usage of %s is %d", base, usage.Size)
	}
	mounts, err := shared.Mounts(ctx, "look")
	must(t, err)
	look := func(root string) { same(t, filepath.Join(root, "file"), text) }
	mounted(t, mounts, look)
	if w.views {
		viewed(t, base, look)
	}
}

// whetherAdded makes a snapshot and takes it away again.
func whetherAdded(t *testing.T, base string) error {
	t.Helper()
	active := key(t, "probe")
	if _, err := shared.raw.Prepare(ctx, &snapshotsapi.PrepareSnapshotRequest{Key: active, Parent: base}); err != nil {
		return err
	}
	must(t, shared.Remove(ctx, active))
	return nil
}

func nothing() {}

func disk(t *testing.T, name string) string { return filepath.Join(environment(t, "FULL_DISKS"), name) }

const poolIsFull = `the pool.*(is full|is too full for it|has no space or no inodes left).*(remove|enlarge)`
const storeIsFull = `the file system that holds .*/meta is full .*; free some space there`

func TestPoolOutOfData(t *testing.T) {
	(&way{
		root: disk(t, "t/data"), config: "[pool]\nsize = '192MiB'\n", refuses: poolIsFull, mayRefuse: true, views: true,
		fill: func(container string) *hog { return take(t, bytesInto(container)) },
		give: nothing,
	}).takeItsCourse(t)
}

// Data take all of the disk first, so that no more of it can become metadata, as is usual on a pool in use.
func TestPoolOutOfMetadata(t *testing.T) {
	(&way{
		root: disk(t, "t/metadata"), config: "[pool]\nsize = '192MiB'\n", refuses: poolIsFull, mayRefuse: true, views: true,
		says: "nothing is left for metadata .*, though .* are for data: remove images",
		fill: func(container string) *hog {
			for number := 0; ; number++ {
				name := filepath.Join(container, fmt.Sprint("large-", number))
				if err := os.WriteFile(name, make([]byte, 1<<20), 0o600); err != nil {
					break
				}
			}
			syscall.Sync()
			for number := 0; ; number += 2 {
				if os.Remove(filepath.Join(container, fmt.Sprint("large-", number))) != nil {
					break
				}
			}
			syscall.Sync()
			return take(t, filesInto(container, make([]byte, 2000)))
		},
		give: nothing,
	}).takeItsCourse(t)
}

// Root, and with it the store, on the same btrfs as the volumes.
func TestPoolSharedWithTheStore(t *testing.T) {
	(&way{
		root: disk(t, "shared/root"), refuses: poolIsFull + "|" + storeIsFull, mayRefuse: true,
		fill: func(container string) *hog { return take(t, bytesInto(container)) },
		give: nothing,
	}).takeItsCourse(t)
}

func elsewhere(t *testing.T) string {
	t.Helper()
	folder := disk(t, "pools/"+strings.ReplaceAll(t.Name(), "/", "-"))
	must(t, os.Mkdir(folder, 0o711))
	return fmt.Sprintf("[pool]\npath = '%s'\n", folder)
}

func TestStoreOutOfSpace(t *testing.T) {
	(&way{
		root: disk(t, "space/root"), config: elsewhere(t), refuses: storeIsFull, mayRefuse: true, grows: true,
		fill: func(string) *hog { return take(t, bytesInto(disk(t, "space"))) },
		give: func() { must(t, os.Remove(disk(t, "space/grows"))) },
	}).takeItsCourse(t)
}

// The store needs no new inodes once it is there.
func TestStoreOutOfInodes(t *testing.T) {
	(&way{
		root: disk(t, "inodes/root"), config: elsewhere(t), refuses: "nothing is refused", mayRefuse: false, views: true,
		fill: func(string) *hog {
			must(t, os.Mkdir(disk(t, "inodes/many"), 0o700))
			return take(t, filesInto(disk(t, "inodes/many"), nil))
		},
		give: func() { must(t, os.RemoveAll(disk(t, "inodes/many"))) },
	}).takeItsCourse(t)
}

// A first start that finds no room says so, leaves nothing, and works when there is some.
func TestFirstStart(t *testing.T) {
	for _, c := range []struct {
		on   string
		take func(folder string) func() error
	}{
		{"space", bytesInto},
		{"inodes", func(folder string) func() error { return filesInto(folder, nil) }},
	} {
		t.Run(c.on, func(t *testing.T) {
			root, taken := disk(t, c.on+"/first"), disk(t, c.on+"/taken")
			must(t, os.Mkdir(root, 0o711))
			must(t, os.Mkdir(taken, 0o700))
			config := elsewhere(t)
			take(t, c.take(taken)).stop()
			server := described(t, root, config)
			out, err := exec.Command(environment(t, "CONFORMANCE_SERVE"), server.root).CombinedOutput()
			if err == nil || !strings.Contains(string(out), root) || !strings.Contains(string(out), "full") ||
				!strings.Contains(string(out), "free some") {
				t.Errorf("a start without %s says %v: %s", c.on, err, out)
			}
			must(t, os.RemoveAll(taken))
			serve(t, root, config)
			must(t, whetherAdded(t, ""))
		})
	}
}
