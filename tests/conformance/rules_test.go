// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	diffapi "github.com/containerd/containerd/api/services/diff/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/errdefs"
	"github.com/containerd/containerd/snapshots"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestStatusCodes(t *testing.T) {
	base := commit(t, "base", "", func(string) {})
	active, view := key(t, "active"), key(t, "view")
	prepare(t, active, base)
	_, err := shared.View(ctx, view, base)
	must(t, err)

	prepareRaw := func(key, parent string) error {
		_, err := shared.raw.Prepare(ctx, &snapshotsapi.PrepareSnapshotRequest{Key: key, Parent: parent})
		return err
	}
	viewRaw := func(key, parent string) error {
		_, err := shared.raw.View(ctx, &snapshotsapi.ViewSnapshotRequest{Key: key, Parent: parent})
		return err
	}
	commitRaw := func(name, key string) error {
		_, err := shared.raw.Commit(ctx, &snapshotsapi.CommitSnapshotRequest{Name: name, Key: key})
		return err
	}
	mountsRaw := func(key string) error {
		_, err := shared.raw.Mounts(ctx, &snapshotsapi.MountsRequest{Key: key})
		return err
	}
	removeRaw := func(key string) error {
		_, err := shared.raw.Remove(ctx, &snapshotsapi.RemoveSnapshotRequest{Key: key})
		return err
	}
	statRaw := func(key string) error {
		_, err := shared.raw.Stat(ctx, &snapshotsapi.StatSnapshotRequest{Key: key})
		return err
	}
	usageRaw := func(key string) error {
		_, err := shared.raw.Usage(ctx, &snapshotsapi.UsageRequest{Key: key})
		return err
	}
	nothing := key(t, "nothing")

	wantStatus(t, prepareRaw(active, ""), codes.AlreadyExists, active)
	wantStatus(t, prepareRaw(base, ""), codes.AlreadyExists, base)
	wantStatus(t, viewRaw(view, base), codes.AlreadyExists, view)
	wantStatus(t, prepareRaw(key(t, "x"), nothing), codes.NotFound, nothing)
	wantStatus(t, viewRaw(key(t, "x"), nothing), codes.NotFound, nothing)
	wantStatus(t, prepareRaw(key(t, "x"), active), codes.InvalidArgument, active)
	wantStatus(t, viewRaw(key(t, "x"), view), codes.InvalidArgument, view)
	wantStatus(t, prepareRaw("", ""), codes.InvalidArgument)
	wantStatus(t, prepareRaw(strings.Repeat("k", 64<<10), ""), codes.InvalidArgument, "65536")
	wantStatus(t, commitRaw(key(t, "x"), nothing), codes.NotFound, nothing)
	wantStatus(t, commitRaw(base, active), codes.AlreadyExists, base)
	wantStatus(t, commitRaw(key(t, "x"), view), codes.FailedPrecondition, view)
	wantStatus(t, commitRaw(key(t, "x"), base), codes.FailedPrecondition, base)
	wantStatus(t, mountsRaw(base), codes.FailedPrecondition, base)
	wantStatus(t, mountsRaw(nothing), codes.NotFound, nothing)
	wantStatus(t, removeRaw(base), codes.FailedPrecondition, base, "remove")
	wantStatus(t, removeRaw(nothing), codes.NotFound, nothing)
	wantStatus(t, statRaw(nothing), codes.NotFound, nothing)
	wantStatus(t, usageRaw(nothing), codes.NotFound, nothing)
	// nothing of all that changed anything
	must(t, shared.Remove(ctx, active))
	must(t, shared.Remove(ctx, view))
	must(t, shared.Remove(ctx, base))
}

func TestKeysAreAnyText(t *testing.T) {
	for _, name := range []string{"a b", "../../etc/passwd", "/", ".", "new\nline", "ünïcode", "nul\x00inside",
		strings.Repeat("k", 4096)} {
		active := key(t, name)
		mounted(t, prepare(t, active, ""), func(root string) { write(t, filepath.Join(root, "f"), name) })
		info, err := shared.Stat(ctx, active)
		must(t, err)
		if info.Name != active || info.Kind != snapshots.KindActive {
			t.Fatalf("%q came back as %q", active, info.Name)
		}
		must(t, shared.Remove(ctx, active))
	}
	// a NUL does not end a key
	prepare(t, "nul\x00one", "")
	prepare(t, "nul\x00two", "")
	must(t, shared.Remove(ctx, "nul\x00one"))
	must(t, shared.Remove(ctx, "nul\x00two"))
}

func TestTimes(t *testing.T) {
	active, name := key(t, "a"), key(t, "b")
	before := time.Now()
	prepare(t, active, "")
	info, err := shared.Stat(ctx, active)
	must(t, err)
	if info.Created.Before(before) || info.Created.After(time.Now()) || !info.Created.Equal(info.Updated) {
		t.Fatalf("created %v, updated %v", info.Created, info.Updated)
	}
	if info.Created.Nanosecond()%1000 == 0 && info.Updated.Nanosecond()%1000 == 0 {
		t.Log("the time has no nanoseconds, by chance or by loss:", info.Created)
	}
	info.Labels = map[string]string{"containerd.io/snapshot/x": "y"}
	updated, err := shared.Update(ctx, info)
	must(t, err)
	if !updated.Created.Equal(info.Created) || !updated.Updated.After(info.Updated) {
		t.Fatalf("after an update: created %v, updated %v", updated.Created, updated.Updated)
	}
	must(t, shared.Commit(ctx, name, active))
	must(t, shared.Remove(ctx, name))
}

func TestLabels(t *testing.T) {
	active, name := key(t, "a"), key(t, "b")
	labels := func(pairs ...string) map[string]string {
		made := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			made[pairs[i]] = pairs[i+1]
		}
		return made
	}
	wantLabels := func(key string, expected map[string]string) {
		t.Helper()
		info, err := shared.Stat(ctx, key)
		must(t, err)
		if len(info.Labels) != len(expected) || (len(expected) > 0 && !reflect.DeepEqual(info.Labels, expected)) {
			t.Fatalf("labels %v, expected %v", info.Labels, expected)
		}
	}
	update := func(given map[string]string, paths ...string) error {
		_, err := shared.Update(ctx, snapshots.Info{Name: active, Labels: given}, paths...)
		return err
	}
	prepare(t, active, "", snapshots.WithLabels(labels("a", "1", "b", "2", "empty", "")))
	wantLabels(active, labels("a", "1", "b", "2"))
	must(t, update(labels("b", "3", "c.d/e", "4"), "labels.b"))
	wantLabels(active, labels("a", "1", "b", "3"))
	must(t, update(labels("c.d/e", "4"), "labels.c.d/e", "labels.a"))
	wantLabels(active, labels("b", "3", "c.d/e", "4"))
	must(t, update(labels("z", "5"), "labels"))
	wantLabels(active, labels("z", "5"))
	must(t, update(labels("y", "6")))
	wantLabels(active, labels("y", "6"))
	must(t, update(labels("y", ""), "labels.y"))
	wantLabels(active, nil)
	for _, path := range []string{"name", "parent", "kind", "created", "labelsx", "Labels"} {
		if err := update(nil, path); !errdefs.IsInvalidArgument(err) {
			t.Fatalf("update of %q answers %v", path, err)
		}
	}
	if err := update(labels("long", strings.Repeat("v", 4093))); !errdefs.IsInvalidArgument(err) {
		t.Fatalf("a label of 4097 bytes answers %v", err)
	}
	must(t, update(labels("long", strings.Repeat("v", 4092)), "labels.long"))
	if _, err := shared.Prepare(ctx, key(t, "x"), "",
		snapshots.WithLabels(labels("long", strings.Repeat("v", 4093)))); !errdefs.IsInvalidArgument(err) {
		t.Fatalf("Prepare with a label of 4097 bytes answers %v", err)
	}
	must(t, shared.Commit(ctx, name, active, snapshots.WithLabels(labels("new", "1"))))
	wantLabels(name, labels("new", "1"))
}

func TestFilters(t *testing.T) {
	mark := key(t, "mark")
	with := func(pairs ...string) snapshots.Opt {
		labels := map[string]string{"mark": mark}
		for i := 0; i < len(pairs); i += 2 {
			labels[pairs[i]] = pairs[i+1]
		}
		return snapshots.WithLabels(labels)
	}
	base, active, view, other := key(t, "base"), key(t, "active"), key(t, "view"), key(t, "other")
	prepare(t, other, "", with())
	must(t, shared.Commit(ctx, base, other, with("a.b/c", "x y", "n", "12")))
	prepare(t, active, base, with("n", "7"))
	_, err := shared.View(ctx, view, base, with())
	must(t, err)

	for filter, expected := range map[string][]string{
		"":                                   {base, active, view},
		"kind==committed":                    {base},
		"kind==active":                       {active},
		"kind==view":                         {view},
		"kind!=view":                         {base, active},
		"parent==" + base:                    {active, view},
		"parent!=" + base:                    {base},
		`name=="` + active + `"`:             {active},
		"labels.n":                           {base, active},
		`labels."a.b/c"=="x y"`:              {base},
		"labels.n~=/^[0-9]$/":                {active},
		`labels.n~=|^[0-9]{2}$|`:             {base},
		"labels.n==7,kind==active":           {active},
		"labels.n==7,kind==view":             nil,
		"labels.n!=7":                        {base, view},
		"labels.none":                        nil,
		"nofield==x":                         nil,
		`name~="/(base|view)$"`:              {base, view},
		"name~=(unclosed":                    nil,
		`labels."a.b/c"=="x\x20\u0079"`:      {base},
		"kind == committed , labels.n == 12": {base},
	} {
		text := "labels.mark==" + `"` + mark + `"`
		if filter != "" {
			text += "," + filter
		}
		var found []string
		err := shared.Walk(ctx, func(_ context.Context, info snapshots.Info) error {
			found = append(found, info.Name)
			return nil
		}, text)
		must(t, err)
		sort.Strings(found)
		sort.Strings(expected)
		if strings.Join(found, "\n") != strings.Join(expected, "\n") {
			t.Errorf("%s: found %q, expected %q", filter, found, expected)
		}
	}
	var either []string
	must(t, shared.Walk(ctx, func(_ context.Context, info snapshots.Info) error {
		either = append(either, info.Name)
		return nil
	}, "name=="+active, "name=="+view))
	if len(either) != 2 {
		t.Fatalf("two filters found %q", either)
	}
	for _, bad := range []string{"name=", "==x", "name==", "a,,b", "name==\"x", "name=x", `name~=|\d|`} {
		err := shared.Walk(ctx, func(context.Context, snapshots.Info) error { return nil }, bad)
		if !errdefs.IsInvalidArgument(err) {
			t.Errorf("the filter %q answers %v", bad, err)
		}
	}
}

func TestUsage(t *testing.T) {
	base := commit(t, "base", "", func(root string) {
		for i := 0; i < 100; i++ {
			write(t, filepath.Join(root, fmt.Sprint(i)), strings.Repeat("x", 10000))
		}
	})
	usage, err := shared.Usage(ctx, base)
	must(t, err)
	if usage.Size < 1000000 || usage.Size > 2000000 || usage.Inodes < 100 || usage.Inodes > 101 {
		t.Fatalf("100 files of 10,000 bytes count as %+v", usage)
	}
	active := key(t, "active")
	mounted(t, prepare(t, active, base), func(root string) {
		write(t, filepath.Join(root, "new"), strings.Repeat("y", 1<<20))
		syscall.Sync()
		usage, err := shared.Usage(ctx, active)
		must(t, err)
		if usage.Size < 1<<20 || usage.Size > 1<<20+1<<18 || usage.Inodes < 1 || usage.Inodes > 2 {
			t.Fatalf("one file of 1 MiB counts as %+v", usage)
		}
	})
	view := key(t, "view")
	_, err = shared.View(ctx, view, base)
	must(t, err)
	if usage, err := shared.Usage(ctx, view); err != nil || usage.Size != 0 {
		t.Fatalf("a view counts as %+v, %v", usage, err)
	}
}

func TestSharedLayer(t *testing.T) {
	ref := snapshots.WithLabels(map[string]string{"containerd.io/snapshot.ref": "sha256:" + key(t, "ref")})
	name, active := key(t, "name"), key(t, "active")
	prepare(t, active, "", ref)
	must(t, shared.Commit(ctx, name, active, ref))
	_, err := shared.Prepare(ctx, key(t, "again"), "", ref)
	if !errdefs.IsAlreadyExists(err) {
		t.Fatalf("Prepare of a layer that is here answers %v", err)
	}
	prepare(t, key(t, "child"), name, ref) // another parent: another chain
}

func TestMountsAreThoseOfPrepare(t *testing.T) {
	active := key(t, "active")
	first := prepare(t, active, "")
	second, err := shared.Mounts(ctx, active)
	must(t, err)
	if !reflect.DeepEqual(first, second) {
		t.Fatalf("%v, then %v", first, second)
	}
	if options := first[len(first)-1].Options; len(options) > 0 {
		for _, option := range options {
			if option == "ro" {
				t.Fatal("a writable snapshot has a read-only mount")
			}
		}
	}
}

func TestListIsWhole(t *testing.T) {
	prefix := key(t, "many")
	for i := 0; i < 350; i++ {
		prepare(t, fmt.Sprintf("%s-%d", prefix, i), "")
	}
	seen := map[string]int{}
	must(t, shared.Walk(ctx, func(_ context.Context, info snapshots.Info) error {
		seen[info.Name]++
		return nil
	}, "name~=\"^"+prefix+"\""))
	if len(seen) != 350 {
		t.Fatalf("%d of 350 were listed", len(seen))
	}
	for name, count := range seen {
		if count != 1 {
			t.Fatalf("%s was listed %d times", name, count)
		}
		must(t, shared.Remove(ctx, name))
	}
}

func TestRemovedSnapshotsAreGone(t *testing.T) {
	active := key(t, "active")
	mounts := prepare(t, active, "")
	must(t, shared.Remove(ctx, active))
	must(t, cleanup())
	must(t, cleanup())
	if mounts[0].Type == "bind" {
		wantMissing(t, mounts[0].Source)
	}
	prepare(t, active, "") // the key is free again
	must(t, shared.Remove(ctx, active))
}

func TestManyClientsAtOnce(t *testing.T) {
	base := commit(t, "base", "", func(root string) { write(t, filepath.Join(root, "file"), "text") })
	var group sync.WaitGroup
	failures := make(chan error, 64)
	for client := 0; client < 16; client++ {
		group.Add(1)
		go func(client int) {
			defer group.Done()
			for round := 0; round < 8; round++ {
				active, name := key(t, "active"), key(t, "name")
				_, err := shared.Prepare(ctx, active, base)
				if err == nil {
					_, err = shared.Stat(ctx, active)
				}
				if err == nil {
					err = shared.Commit(ctx, name, active)
				}
				if err == nil {
					err = shared.Remove(ctx, name)
				}
				if err != nil {
					failures <- err
					return
				}
			}
		}(client)
	}
	group.Wait()
	close(failures)
	for err := range failures {
		t.Error(err)
	}
	must(t, shared.Remove(ctx, base))
}

func TestOneOfManyWins(t *testing.T) {
	active, name := key(t, "active"), key(t, "name")
	race := func(count int, f func(i int) error) (won int) {
		results := make(chan error, count)
		for i := 0; i < count; i++ {
			go func(i int) { results <- f(i) }(i)
		}
		for i := 0; i < count; i++ {
			if err := <-results; err == nil {
				won++
			} else if !errdefs.IsAlreadyExists(err) && !errdefs.IsNotFound(err) {
				t.Error(err)
			}
		}
		return won
	}
	if won := race(12, func(int) error { _, err := shared.Prepare(ctx, active, ""); return err }); won != 1 {
		t.Fatalf("%d of 12 got one key", won)
	}
	if won := race(12, func(int) error { return shared.Commit(ctx, name, active) }); won != 1 {
		t.Fatalf("%d of 12 committed one key", won)
	}
	if won := race(12, func(int) error { return shared.Remove(ctx, name) }); won != 1 {
		t.Fatalf("%d of 12 removed one snapshot", won)
	}
}

func TestRestartKeepsWhatWasAnswered(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		base := commit(t, "base", "", func(root string) { write(t, filepath.Join(root, "file"), "text") })
		active := key(t, "active")
		mounts := prepare(t, active, base)
		mounted(t, mounts, func(root string) {
			write(t, filepath.Join(root, "mine"), "text")
			err := shared.stop(signal)
			if signal == syscall.SIGTERM {
				must(t, err)
			}
			write(t, filepath.Join(root, "later"), "text") // containers go on without the daemon
			must(t, shared.start())
			write(t, filepath.Join(root, "last"), "text")
		})
		again, err := shared.Mounts(ctx, active)
		must(t, err)
		if !reflect.DeepEqual(mounts, again) {
			t.Fatalf("%v, after the restart %v", mounts, again)
		}
		mounted(t, again, func(root string) {
			for _, name := range []string{"file", "mine", "later", "last"} {
				want(t, filepath.Join(root, name), "text")
			}
		})
		must(t, shared.Commit(ctx, key(t, "name"), active))
	}
}

// messages as they are, for requests that no honest client makes
type rawCodec struct{}

func (rawCodec) Marshal(v interface{}) ([]byte, error)      { return *v.(*[]byte), nil }
func (rawCodec) Unmarshal(data []byte, v interface{}) error { *v.(*[]byte) = data; return nil }
func (rawCodec) Name() string                               { return "raw" }

func call(method string, message []byte) error {
	var reply []byte
	return shared.conn.Invoke(ctx, method, &message, &reply, grpc.ForceCodec(rawCodec{}))
}

func TestMalformedMessages(t *testing.T) {
	const service = "/containerd.services.snapshots.v1.Snapshots/"
	for _, method := range []string{"Prepare", "View", "Mounts", "Commit", "Remove", "Stat", "Update", "Usage"} {
		for _, message := range []string{"\xff\xff\xff\xff", "\x12\x7fshort", "\x12\xff\xff\xff\xff\x0f", "\x08"} {
			code := status.Code(call(service+method, []byte(message)))
			if code != codes.InvalidArgument && code != codes.Internal {
				t.Errorf("%s of %q answers %v", method, message, code)
			}
		}
	}
	if code := status.Code(call(service+"Nothing", nil)); code != codes.Unimplemented {
		t.Errorf("an unknown method answers %v", code)
	}
	if code := status.Code(call("/containerd.services.nothing.v1.Nothing/Nothing", nil)); code != codes.Unimplemented {
		t.Errorf("an unknown service answers %v", code)
	}
}

func TestCommitParent(t *testing.T) {
	base := commit(t, "base", "", func(string) {})
	request := func(name, key, parent string) error {
		var message []byte
		for field, text := range map[byte]string{2: name, 3: key, 5: parent} { // parent: containerd 2.2
			message = append(message, field<<3|2, byte(len(text)&0x7f|0x80), byte(len(text)>>7))
			message = append(message, text...)
		}
		return call("/containerd.services.snapshots.v1.Snapshots/Commit", message)
	}
	active := key(t, "active")
	prepare(t, active, base)
	if code := status.Code(request(key(t, "x"), active, key(t, "other"))); code != codes.InvalidArgument {
		t.Fatalf("another parent at Commit answers %v", code)
	}
	must(t, request(key(t, "x"), active, base))
}

func TestHealth(t *testing.T) {
	for service, expected := range map[string]string{
		"": "\x08\x01", "containerd.services.snapshots.v1.Snapshots": "\x08\x01", "containerd.services.diff.v1.Diff": "\x08\x01",
	} {
		message := append([]byte{0x0a, byte(len(service))}, service...)
		var reply []byte
		must(t, shared.conn.Invoke(ctx, "/grpc.health.v1.Health/Check", &message, &reply, grpc.ForceCodec(rawCodec{})))
		if string(reply) != expected {
			t.Errorf("the health of %q is %q", service, reply)
		}
	}
}

func TestBigMessages(t *testing.T) {
	filters := []string{"name==" + strings.Repeat("n", 15<<20)}
	must(t, shared.Walk(ctx, func(context.Context, snapshots.Info) error {
		return errors.New("something has that name")
	}, filters...))
	filters[0] = "name==" + strings.Repeat("n", 17<<20)
	err := shared.Walk(ctx, func(context.Context, snapshots.Info) error { return nil }, filters...)
	if code := status.Code(err); code != codes.ResourceExhausted && !strings.Contains(err.Error(), "larger") {
		t.Fatalf("a message of 17 MiB answers %v", err)
	}
}

func TestDiffIsNotServed(t *testing.T) {
	_, err := shared.diff.Diff(ctx, &diffapi.DiffRequest{})
	if status.Code(err) != codes.Unimplemented {
		t.Fatalf("Diff answers %v", err)
	}
}

func TestSocketIsPrivate(t *testing.T) {
	socket, err := os.Stat(filepath.Join(shared.root, "s.sock"))
	must(t, err)
	if socket.Mode().Perm() != 0o600 {
		t.Fatalf("the socket has mode %v", socket.Mode())
	}
}
